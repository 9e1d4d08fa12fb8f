"""The conversation at a prompt, with real keys through a pipe."""

import json
import os
import re
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from prompt_toolkit.application import Application
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from chatbot.bot import Bot
from chatbot.corpus import open_corpus
from chatbot.dialogue import Turn
from chatbot.errors import ChatbotError, CheckpointError
from chatbot.interrupts import after_resuming
from chatbot.replying import Event
from chatbot.terminal import commands, comparing, keeping, leaving, repl, transcript
from chatbot.terminal.keeping import Log, fresh
from chatbot.terminal.repl import (
    CommandCompleter,
    Repl,
    begin_loading,
    history,
    prompt_session,
    status,
)
from chatbot.terminal.session import Look, Session
from chatbot.terminal.wrapping import Wrapped
from tests.fakes import ScriptedResponder, scripted_bot

ENTER, ALT_ENTER, CTRL_C, CTRL_D, CTRL_J = "\r", "\x1b\r", "\x03", "\x04", "\n"


class Conversation:
    """What was typed, and what the screen and stdout showed."""

    def __init__(self, bot: Bot, keys: PipeInput, attention: Look = "") -> None:
        self.bot, self.screen, self.out = bot, StringIO(), StringIO()
        console = Console(file=self.screen, width=80, color_system=None)
        self.session = Session.of(bot, console, attention)
        prompts = prompt_session(InMemoryHistory(), self.session, input=keys, output=DummyOutput())
        self.repl = Repl(self.session, bot.name, prompts, self.out.write, lambda: 20)

    def heard(self) -> list[str]:
        """What the bot was given to read."""
        assert isinstance(self.bot.responder, ScriptedResponder)
        return self.bot.responder.heard()

    @property
    def lines(self) -> list[str]:
        """What the screen showed after the greeting, without empty lines."""
        return [line for line in self.screen.getvalue().splitlines()[2:] if line]


@contextmanager
def conversation(
    typed: str,
    *replies: str,
    attention: Look = "",
    interrupted_at: int | None = None,
    prepare: Callable[[Session], None] | None = None,
) -> Iterator[Conversation]:
    """A conversation in which these keys were pressed, then Ctrl-D."""
    with create_pipe_input() as keys:
        keys.send_text(typed + CTRL_D)
        bot = scripted_bot(*replies or ("Hi.",), interrupted_at=interrupted_at)
        talk = Conversation(bot, keys, attention)
        if prepare:
            prepare(talk.session)
        talk.repl.run()
        yield talk


def test_ctrl_d_leaves() -> None:
    with conversation("") as talk:
        assert talk.out.getvalue() == ""
        assert talk.lines == []


def test_the_greeting_is_at_most_three_lines_and_says_who_how_and_where_out() -> None:
    with conversation("") as talk:
        greeting = talk.screen.getvalue()
        assert len(greeting.splitlines()) <= 3
        for word in ("parrot", "/help", "Ctrl-D"):
            assert word in greeting


def test_the_bots_name_cannot_control_the_terminal() -> None:
    with create_pipe_input() as keys:
        keys.send_text(CTRL_D)
        talk = Conversation(scripted_bot("Hi.", name="[red]\x1b[31mevil"), keys)
        talk.repl.run()
    assert talk.screen.getvalue().startswith("This is [red][31mevil.\n")


def test_what_is_typed_gets_a_reply_on_stdout_and_nothing_else_goes_there() -> None:
    with conversation("hello" + ENTER + "you?" + ENTER, "Hi.", "Fine, thanks.") as talk:
        assert talk.out.getvalue() == "Hi.\nFine, thanks.\n"


def test_the_conversation_grows() -> None:
    with conversation("hello" + ENTER + "you?" + ENTER, "Hi.", "Fine.") as talk:
        assert talk.heard() == ["hello", "hello|Hi.|you?"]
        assert talk.session.turns == (
            Turn("user", "hello"),
            Turn("bot", "Hi."),
            Turn("user", "you?"),
            Turn("bot", "Fine."),
        )


def test_clear_forgets_the_conversation() -> None:
    with conversation("hello" + ENTER + "/clear" + ENTER + "you?" + ENTER, "Hi.", "Fine.") as talk:
        assert talk.heard() == ["hello", "you?"]


@pytest.mark.parametrize("word", ["/exit", "/quit", "/bye", "exit", "quit", " /exit "])
def test_words_that_leave(word: str) -> None:
    with conversation(word + ENTER + "hello" + ENTER) as talk:
        assert talk.heard() == []


def test_ctrl_c_clears_what_is_typed() -> None:
    with conversation("nonsense" + CTRL_C + "hello" + ENTER) as talk:
        assert talk.heard() == ["hello"]
        assert leaving.HOW not in talk.lines


def test_ctrl_c_with_nothing_typed_says_how_to_leave_and_stays() -> None:
    with conversation(CTRL_C + "hello" + ENTER) as talk:
        assert talk.lines == [leaving.HOW]
        assert talk.out.getvalue() == "Hi.\n"


def test_who_asks_how_to_leave_is_told() -> None:
    with conversation("hello" + ENTER + "how do I exit?" + ENTER, "Hi!", "Start small.") as talk:
        assert talk.out.getvalue() == "Hi!\nStart small.\n"
        assert talk.lines == [leaving.HOW]


def test_ctrl_c_stops_a_reply_keeps_what_was_said_and_stays() -> None:
    with conversation("hello" + ENTER + "you?" + ENTER, "Hi there friend", interrupted_at=2) as talk:
        assert talk.out.getvalue() == "Hi there\nHi there friend\n"
        assert talk.lines == ["(interrupted)"]
        assert talk.heard()[1] == "hello|Hi there|you?"


def test_ctrl_c_before_the_first_word_leaves_the_conversation_as_it_was() -> None:
    with conversation("hello" + ENTER + "you?" + ENTER, "Hi.", interrupted_at=0) as talk:
        assert talk.out.getvalue() == "Hi.\n"
        assert talk.lines == ["(interrupted)"]
        assert [turn.text for turn in talk.session.turns] == ["you?", "Hi."]


def test_a_reply_without_words_says_so_and_is_no_turn() -> None:
    with conversation("hello" + ENTER, "") as talk:
        assert talk.lines == ["(no words)"]
        assert (talk.out.getvalue(), talk.session.turns) == ("", ())


def test_what_was_typed_before_the_prompt_was_there_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the terminal makes line feeds of Enters."""
    monkeypatch.setattr(repl, "EARLY", 60.0)  # seconds: a busy machine must not be late
    with conversation("hello" + CTRL_J + "you" + CTRL_J) as talk:
        assert talk.heard() == ["hello", "hello|Hi.|you"]


def test_a_new_line_does_not_send() -> None:
    with conversation("hello" + ALT_ENTER + "you" + ENTER) as talk:
        assert talk.heard() == ["hello you"]


def test_a_paste_of_several_lines_is_one_prompt() -> None:
    with conversation("\x1b[200~hello\nmy\r\nfriend\x1b[201~" + ENTER) as talk:
        assert talk.heard() == ["hello my friend"]


def test_a_paste_that_begins_with_a_slash_is_no_command() -> None:
    with conversation("\x1b[200~/exit\nplease\x1b[201~" + ENTER) as talk:
        assert talk.heard() == ["/exit please"]


def test_two_slashes_say_one() -> None:
    with conversation("//exit" + ENTER) as talk:
        assert talk.heard() == ["/exit"]


def test_an_unknown_command_never_reaches_the_bot() -> None:
    with conversation("/hepl" + ENTER) as talk:
        assert talk.lines == ["Unknown command '/hepl'. Type /? for help. (did you mean '/help'?)"]
        assert talk.heard() == []


def test_an_empty_line_is_not_said() -> None:
    with conversation(ENTER + "  " + ENTER) as talk:
        assert talk.heard() == []


def test_a_prompt_that_cleaning_leaves_nothing_of_is_one_line() -> None:
    with conversation("\u200b" + ENTER + "hello" + ENTER) as talk:
        assert talk.lines == ["there is nothing to reply to (say something first)"]
        assert talk.out.getvalue() == "Hi.\n"


def test_attention_on_shows_a_map_after_each_reply() -> None:
    with conversation("hello" + ENTER + "/attention map" + ENTER + "you" + ENTER) as talk:
        assert talk.out.getvalue() == "Hi.\nHi.\n"
        assert talk.lines[0] == "attention map"
        assert re.fullmatch(r"hello\S │ Hi\.\S │ you\S", talk.lines[1])
        assert talk.lines[2].startswith("attention: ")
        assert sum(line.startswith("attention: ") for line in talk.lines) == 1


def test_attention_on_shows_a_line_below_each_reply() -> None:
    with conversation("/attention on" + ENTER + "hello you" + ENTER) as talk:
        assert talk.lines == [
            "attention on: the model's own weights, while a reply is made",
            "hello█ you█",
        ]


def test_attention_can_be_on_from_the_start() -> None:
    with conversation("hello" + ENTER, attention="map") as talk:
        assert "│ hello │ marks" in talk.screen.getvalue()


def test_a_setting_changes_the_next_reply() -> None:
    with conversation("/set max_tokens 1" + ENTER + "hello" + ENTER, "Hi there.") as talk:
        assert talk.out.getvalue() == "Hi\n"


def test_ctrl_z_suspends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    suspended: list[bool] = []
    monkeypatch.setattr(Application, "suspend_to_background", lambda *given: suspended.append(True))
    with conversation("hel\x1alo" + ENTER) as talk:
        assert talk.heard() == ["hello"]
    assert suspended == [True]


def test_tab_completes_commands() -> None:
    with conversation("/att\to\x15/at\t on" + ENTER) as talk:
        assert talk.session.attention


def test_the_completer_replaces_the_word_before_the_cursor() -> None:
    session = Session.of(scripted_bot("Hi."), Console(file=StringIO()))
    found = CommandCompleter(session).get_completions(Document("/attention o"), CompleteEvent())
    assert [(completion.text, completion.start_position) for completion in found] == [("on", -1), ("off", -1)]


def test_the_history_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "history"
    history(file).append_string("hello")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(history(file).load_history_strings()) == ["hello"]


def test_a_history_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.touch(mode=0o644)
    history(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_where_no_history_can_be_written_it_is_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert isinstance(history(tmp_path / "file" / "history"), InMemoryHistory)


def test_a_full_disk_does_not_end_the_conversation(tmp_path: Path) -> None:
    kept = history(tmp_path / "history")
    (tmp_path / "history").unlink()
    (tmp_path / "history").mkdir()  # what cannot be written to
    kept.append_string("hello")
    assert kept.get_strings() == ["hello"]


def test_regen_replaces_the_last_exchange() -> None:
    with conversation("hello" + ENTER + "/regen" + ENTER, "Hi.", "Ho.") as talk:
        assert talk.heard() == ["hello", "hello"]
        assert [turn.text for turn in talk.session.turns] == ["hello", "Ho."]


def test_regen_says_nothing_that_was_refused() -> None:
    def surely(session: Session) -> None:
        cast(ScriptedResponder, session.responder).engine.probability = 1 - 1e-9

    again = "hello" + ENTER + 2 * ("/regen" + ENTER)
    with conversation(again, "Hi.", "Hi.", "Ho.", "Ho.", "Oh.", prepare=surely) as talk:
        assert talk.heard() == ["hello"] * 5
        assert [turn.text for turn in talk.session.turns] == ["hello", "Oh."]
        assert (talk.session.refused, talk.session.again) == (("Hi.", "Ho."), 2)
    with conversation(again + "you" + ENTER, "Hi.", "Ho.", "Oh.", "Hi.", prepare=surely) as talk:
        assert [turn.text for turn in talk.session.turns] == ["hello", "Oh.", "you", "Hi."]
        assert (talk.session.refused, talk.session.again) == ((), 0)


@pytest.mark.parametrize(("command", "waiting"), [("/regen", ""), ("/edit", "hello friend")])
def test_a_reply_that_is_stopped_before_its_first_word_replaces_none(command: str, waiting: str) -> None:
    def stop_at_the_second(session: Session) -> None:
        session.edit = lambda text: text + " friend"
        engine = cast(ScriptedResponder, session.responder).engine
        looks = engine.looks

        def stopping(position: int, length: int) -> Sequence[float]:
            if len(engine.prompts) == 2:
                raise KeyboardInterrupt
            return looks(position, length)

        engine.looks = stopping

    with conversation("hello" + ENTER + command + ENTER, "Hi.", "Ho.", prepare=stop_at_the_second) as talk:
        assert [turn.text for turn in talk.session.turns] == ["hello", "Hi."]
        assert talk.lines[-2:] == ["(interrupted)", "The reply before is there again."]
        assert talk.session.last
        assert talk.session.last.text == "Hi."
        assert talk.session.waiting == waiting


def test_an_edited_text_that_cannot_be_answered_replaces_nothing() -> None:
    def edited(session: Session) -> None:
        session.edit = lambda text: "\u200b"

    with conversation("hello" + ENTER + "/edit" + ENTER, prepare=edited) as talk:
        assert [turn.text for turn in talk.session.turns] == ["hello", "Hi."]
        assert not talk.session.waiting


def test_what_was_not_answered_is_what_was_said_last() -> None:
    with conversation("hello" + ENTER + "/regen" + ENTER, "Hi.", interrupted_at=0) as talk:
        assert [turn.text for turn in talk.session.turns] == ["hello", "Hi."]
        assert not talk.session.waiting
    with conversation("hello" + ENTER + "/undo" + ENTER + "/regen" + ENTER, "Hi.", interrupted_at=0) as talk:
        assert talk.lines == [
            "(interrupted)",
            "Taken back: hello",
            "There is no exchange yet. (say something first)",
        ]

    def edited(session: Session) -> None:
        session.edit = str.upper

    with conversation("hello" + ENTER + "/edit" + ENTER, "Hi.", prepare=edited, interrupted_at=0) as talk:
        assert [turn.text for turn in talk.session.turns] == ["HELLO", "Hi."]


def test_three_quotation_marks_make_room_for_lines() -> None:
    with conversation('"""hello' + ENTER + "my" + ENTER + 'friend"""' + ENTER) as talk:
        assert talk.heard() == ["hello my friend"]


def test_quotation_marks_alone_say_nothing() -> None:
    with conversation('""""""' + ENTER + "hello" + ENTER) as talk:
        assert talk.heard() == ["hello"]


def test_a_conversation_that_is_kept_is_on_disk_after_each_exchange(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"

    def keep(session: Session) -> None:
        session.log = Log(file)

    with conversation("hello" + ENTER + "you?" + ENTER, "Hi.", "Fine.", prepare=keep) as talk:
        assert transcript.read(file) == talk.session.turns
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_damaged_conversation_that_was_to_go_on_says_which_and_what_to_do(home: Path) -> None:
    keeping.folder().mkdir(parents=True)
    file = keeping.folder() / "talk.jsonl"
    file.write_text("{\n")
    with pytest.raises(ChatbotError, match=r"kept last cannot be gone on with: .*talk\.jsonl") as error:
        keeping.resumed()
    assert error.value.hint == f"begin another with --log, or move {file} away"


def test_what_is_taken_back_is_taken_from_the_disk_too(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"

    def keep(session: Session) -> None:
        session.log = Log(file)

    with conversation("hello" + ENTER + "you?" + ENTER + "/undo" + ENTER, "Hi.", prepare=keep):
        assert [turn.text for turn in transcript.read(file)] == ["hello", "Hi."]
    with conversation("hello" + ENTER + "/undo" + ENTER, "Hi.", prepare=keep):
        assert not file.exists()


def test_a_damaged_conversation_that_goes_on_says_so_and_stays_beside(home: Path) -> None:
    keeping.folder().mkdir(parents=True)
    file = keeping.folder() / "talk.jsonl"
    transcript.write(file, (Turn("user", "hello"), Turn("bot", "Hi.")), "parrot")
    file.write_text(torn := file.read_text() + '{"turns": [{"speaker"')

    def go_on(session: Session) -> None:
        session.log, session.turns, session.voices = keeping.resumed()

    with conversation("you?" + ENTER, "Fine.", prepare=go_on) as talk:
        told = " ".join(talk.screen.getvalue().split())
        assert "talk.jsonl is damaged: not JSON (1 of its conversations, first talk.jsonl:2)" in told
        assert "before it is written anew, all of it goes to talk.jsonl.damaged" in told
        assert transcript.read(file) == talk.session.turns
    assert (keeping.folder() / "talk.jsonl.damaged").read_text() == torn
    assert keeping.newest() == file


def test_a_conversation_that_goes_on_shows_its_end() -> None:
    turns = tuple(Turn(("user", "bot")[i % 2], f"turn {i}") for i in range(10))

    def go_on(session: Session) -> None:
        session.turns = turns

    with conversation("hello" + ENTER, prepare=go_on) as talk:
        assert talk.lines == [
            "... 4 turns before",
            "> turn 4",
            "turn 5",
            "> turn 6",
            "turn 7",
            "> turn 8",
            "turn 9",
        ]
        assert talk.session.turns[:10] == turns


@pytest.mark.parametrize(
    ("answer", "better", "said"),
    [("1", "first", "first"), ("2", "second", "second"), ("=", None, "first"), ("", ..., "first")],
)
def test_two_bots_are_compared_blindly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, better: object, said: str
) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path))
    monkeypatch.setattr(comparing, "shuffled", lambda count: [1, 0])

    def compare(session: Session) -> None:
        session.rivals = (scripted_bot("Ho.", name="owl"), session.bot)

    with conversation("hello" + ENTER + answer + ENTER, "Hi.", prepare=compare) as talk:
        assert talk.out.getvalue() == "Hi.\nHo.\n"
        going_on = "" if answer in comparing.ANSWERS else "; going on with 1"
        assert talk.lines == ["1:", "2:", f"1: parrot, 2: owl{going_on}"]
        assert talk.session.turns[1].text == {"first": "Hi.", "second": "Ho."}[said]
        assert talk.session.refused == ({"first": "Ho.", "second": "Hi."}[said],)
    names = {"first": "parrot", "second": "owl"}
    expected = [] if better is ... else [names.get(str(better))]
    assert [one["better"] for one in map(json.loads, read_lines(comparing.file()))] == expected
    for tally in comparing.tallies():
        assert (tally.one, tally.other) == ("owl", "parrot")
        assert (tally.ones, tally.equal, tally.others) == (
            better == "second",
            better is None,
            better == "first",
        )


def test_lines_of_a_message_stay_lines_where_it_is_kept(home: Path) -> None:
    def keep(session: Session) -> None:
        session.log = fresh()

    with conversation("one" + ALT_ENTER + "two" + ENTER, prepare=keep) as talk:
        assert talk.heard() == ["one two"]
        assert talk.session.log
        (dialogue,) = open_corpus(talk.session.log.file)
        assert dialogue.turns[0].text == "one\ntwo"
        assert "one  \ntwo" in transcript.as_markdown(talk.session.turns, "parrot", ["", "parrot"])


def test_without_streaming_a_reply_is_shown_when_it_is_whole() -> None:
    shown: list[str] = []
    with create_pipe_input() as keys:
        keys.send_text("hello" + ENTER + CTRL_D)
        talk = Conversation(scripted_bot("Hi there, you."), keys)
        talk.repl.streams = False
        events = talk.session.watch.watch

        def watch(stream: Iterator[Event]) -> Iterator[Event]:
            for event in events(stream):
                shown.append(talk.out.getvalue())
                yield event

        talk.session.watch.watch = watch  # type: ignore[method-assign, assignment]
        talk.repl.run()
    assert set(shown) == {""}
    assert talk.out.getvalue() == "Hi there, you.\n"


def test_that_nothing_typed_can_be_kept_is_said() -> None:
    with create_pipe_input() as keys:
        keys.send_text(CTRL_D)
        talk = Conversation(scripted_bot("Hi."), keys)
        talk.repl.forgets = True
        talk.repl.run()
    assert talk.lines == ["What you type is not kept for the next time: the history file cannot be written."]


def test_ctrl_d_at_the_choice_leaves_and_keeps_the_exchange() -> None:
    def compare(session: Session) -> None:
        session.rivals = (session.bot, scripted_bot("Ho.", name="owl"))

    with conversation("hello" + ENTER + CTRL_D + "never said" + ENTER, prepare=compare) as talk:
        assert talk.session.turns[0].text == "hello"
        assert talk.session.turns[1].text in ("Hi.", "Ho.")
        assert len(talk.session.turns) == 2
    assert comparing.tallies() == []


def test_nothing_tells_who_is_who_before_the_choice() -> None:
    def compare(session: Session) -> None:
        session.verbose, session.attention = True, "map"
        session.rivals = (session.bot, scripted_bot("Ho.", name="owl"))

    with conversation("hello" + ENTER + "1" + ENTER, prepare=compare) as talk:
        before, who, after = talk.lines[:2], talk.lines[2], talk.lines[3:]
        assert before == ["1:", "2:"]
        assert "parrot" in who
        for told in ("tokens/s", "attention: "):
            assert sum(told in line for line in after) == 2
        assert [line for line in after if line in ("1:", "2:")] == ["1:", "2:"]


def read_lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_a_bot_is_loaded_while_the_user_types() -> None:
    loaded = threading.Event()
    with create_pipe_input() as keys:
        keys.send_text("hello" + ENTER + CTRL_D)
        talk = Conversation(scripted_bot("Hi."), keys)
        bot, talk.session.loading = talk.bot, Future()

        def load() -> Bot:
            assert loaded.wait(10)
            return bot

        said = talk.repl.say

        def say(text: str) -> None:
            said(text)
            if text == "loading ...":
                loaded.set()

        talk.repl.say = say  # type: ignore[method-assign]
        thread = threading.Thread(target=begin_loading, args=(talk.session.loading, load, talk.repl.prompts))
        thread.start()
        talk.repl.run()
        thread.join()
    assert talk.lines == ["loading ..."]
    assert talk.out.getvalue() == "Hi.\n"


def test_a_bot_that_cannot_be_loaded_ends_the_conversation() -> None:
    def load() -> Bot:
        raise CheckpointError("it is damaged")

    with create_pipe_input() as keys:
        talk = Conversation(scripted_bot("Hi."), keys)
        talk.session.loading = Future()
        begin_loading(talk.session.loading, load, talk.repl.prompts)
        with pytest.raises(CheckpointError, match="it is damaged"):
            talk.repl.run()


def test_the_status_line_says_who_and_how() -> None:
    bot = scripted_bot("Hi.", name="a\x1b[31mb")
    session = Session(Future(), Console(file=StringIO()))
    assert status("owl", session) == "owl is loading ..."
    session.loading.set_result(bot)
    assert status("owl", session) == "a[31mb  temperature 0  guidance 0  /help"
    session.last = bot.reply("hello")
    session.watch.tokens, session.watch.seconds = 1234, 1.0
    assert "1,234 tokens/s  context 3/96" in status("owl", session)


def test_a_full_disk_loses_no_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "file"))

    def prepare(session: Session) -> None:
        session.log = Log(tmp_path / "file" / "talk.jsonl")
        session.rivals = (session.bot, scripted_bot("Ho.", name="owl"))

    with conversation("hello" + ENTER + "1" + ENTER, "Hi.", prepare=prepare) as talk:
        assert sum("cannot be written" in line for line in talk.lines) == 2
        assert talk.session.turns[0].text == "hello"
        assert talk.session.last


def test_who_goes_on_with_anothers_conversation_is_told() -> None:
    file = keeping.folder() / "talk.jsonl"
    file.parent.mkdir(parents=True)
    transcript.write(file, (Turn("user", "hello"), Turn("bot", "Hi.")), "owl")
    file.write_text(file.read_text() + '{"turns": [{"speaker"')  # torn

    def go_on(session: Session) -> None:
        session.log, session.turns, session.voices = keeping.resumed()

    with conversation("you?" + ENTER, "Fine.", prepare=go_on) as talk:
        assert "Until now you talked with owl here." in talk.screen.getvalue()


def test_a_line_on_help_stands_below_the_reply() -> None:
    with conversation("I want to die" + ENTER + "hello" + ENTER) as talk:
        told = " ".join(talk.screen.getvalue().split())
        assert told.count("please call your emergency number") == 1
        assert talk.out.getvalue() == "Hi.\nHi.\n"


def test_a_hostile_name_in_a_kept_conversation_is_harmless() -> None:
    file = keeping.folder() / "talk.jsonl"
    file.parent.mkdir(parents=True)
    turns = [{"speaker": "user", "text": "hello"}, {"speaker": "bot", "text": "Hi."}]
    file.write_text(json.dumps({"turns": turns, "bot": "evil\x1b[2J\x1b]0;x\x07"}) + "\n")

    def go_on(session: Session) -> None:
        session.log, session.turns, session.voices = keeping.resumed()

    with conversation("", "Fine.", prepare=go_on) as talk:
        told = talk.screen.getvalue()
        assert "evil" in told
        assert "\x1b[2J" not in told
        assert "\x07" not in told
    file.write_text(json.dumps({"turns": turns, "bot": "x" * 5000}) + "\n")
    assert transcript.spoken(file, 2) == ("", ("", ""))


def test_of_a_prompt_that_is_too_long_it_is_told_that_only_the_end_was_read() -> None:
    with conversation("hello " * 400 + ENTER + "hello" + ENTER) as talk:
        told = " ".join(talk.screen.getvalue().split())
        assert told.count("Only the end of that was read") == 1


def test_who_said_what_outlives_going_on_and_loading() -> None:
    file = keeping.folder() / "talk.jsonl"
    file.parent.mkdir(parents=True)
    turns = tuple(Turn(("user", "bot")[i % 2], f"turn {i}") for i in range(4))
    transcript.write(file, turns, "parrot", ("", "owl", "", "parrot"))

    def go_on(session: Session) -> None:
        session.log, session.turns, session.voices = keeping.resumed()

    with conversation("you?" + ENTER, "Fine.", prepare=go_on):
        pass
    assert transcript.spoken(file, 6) == ("parrot", ("", "owl", "", "parrot", "", "parrot"))
    with conversation(f"/load {file}" + ENTER, "Fine.") as talk:
        assert talk.session.voices == ("", "owl", "", "parrot", "", "parrot")
    assert transcript.spoken(file, 5) == ("parrot", ())


def test_another_reply_is_explained_as_it_was_drawn() -> None:
    with conversation("hello" + ENTER + "/regen" + ENTER, "Hi.", "Ho.") as talk:
        usual = talk.session.bot.sampling.temperature
        assert talk.session.replier.sampling.temperature == pytest.approx(usual + 0.2)


def test_a_log_that_cannot_be_written_is_not_called_kept(tmp_path: Path) -> None:
    log = keeping.fresh()
    turns = (Turn("user", "hello"), Turn("bot", "Hi."))
    log.file.parent.joinpath(f".{log.file.name}.partial").mkdir()
    with pytest.raises(ChatbotError):
        log.write(turns, "parrot")
    assert log.failed
    log.file.parent.joinpath(f".{log.file.name}.partial").rmdir()
    log.write(turns, "parrot")
    assert not log.failed


def test_ctrl_j_begins_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repl, "EARLY", 0.0)
    with conversation("hello" + "\n" + "you" + ENTER) as talk:
        assert talk.heard() == ["hello you"]


def test_an_enter_typed_before_the_beginning_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repl, "EARLY", 60.0)  # seconds: a busy machine must not be late
    with conversation("hello\nyou" + ENTER) as talk:
        assert talk.heard() == ["hello", "hello|Hi.|you"]


def test_tab_completes_or_lists_and_leaves_the_line() -> None:
    with conversation("/mod\t\b\t\t" + CTRL_C + "/att\ton" + ENTER + "/attention o\t" + "n" + ENTER) as talk:
        assert talk.session.attention == "strip"
        assert talk.lines.count("attention on: the model's own weights, while a reply is made") == 1
        assert "on  off" in talk.screen.getvalue()


def test_a_stopped_reply_is_kept_as_stopped() -> None:
    with conversation("hello" + ENTER, "Hi there friend", interrupted_at=2) as talk:
        assert [turn.cut for turn in talk.session.turns] == [False, True]


def test_a_kept_conversation_is_told_of_at_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path))

    def prepare(session: Session) -> None:
        session.log = fresh()

    with conversation("", prepare=prepare) as talk:
        assert "This conversation is kept; /show says where." in talk.lines
        assert talk.session.log
        talk.session.log.close()


def test_what_was_stopped_is_not_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, "show", replace(commands.COMMANDS["show"], run=stop))
    with conversation("/show" + ENTER) as talk:
        assert talk.lines == ["(stopped)"]


def test_a_reply_goes_on_at_the_beginning_of_a_line_after_ctrl_z() -> None:
    written: list[str] = []
    line = Wrapped(written.append, lambda: 12)
    with after_resuming(line.moved):
        line.add("one two ")
        os.kill(os.getpid(), signal.SIGCONT)
        line.add("three four ")
    line.end()
    assert "".join(written) == "one two three four"  # the shell wrote a line of its own in it
    assert signal.getsignal(signal.SIGCONT) is signal.SIG_DFL


def test_a_history_that_is_not_wanted_keeps_nothing(tmp_path: Path) -> None:
    wanted = True
    kept = history(tmp_path / "history", lambda: wanted)
    kept.append_string("hello")
    wanted = False
    kept.append_string("secret")
    text = (tmp_path / "history").read_text()
    assert "hello" in text
    assert "secret" not in text
