"""What can be typed after a slash."""

import json
import os
import re
import signal
import stat
import sys
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from importlib.abc import MetaPathFinder
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console

from chatbot.bot import Bot
from chatbot.corpus import Report, open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.corpus.judged import Judged, read_all
from chatbot.decoding import STYLES, SamplingConfig
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import ChatbotError, ConfigError
from chatbot.replying import Reply
from chatbot.terminal import commands, judging, keeping, transcript
from chatbot.terminal.commands import COMMANDS
from chatbot.terminal.session import Session
from chatbot.tokenizer import Tokenizer
from tests.fakes import ScriptedResponder, scripted_bot
from tests.test_bot import saved


@pytest.fixture
def session() -> Session:
    console = Console(file=StringIO(), width=80, color_system=None)
    return Session.of(scripted_bot("Hi.", "Fine.", "Yes."), console)


def printed(session: Session) -> str:
    assert isinstance(session.console.file, StringIO)
    return session.console.file.getvalue()


def test_help_names_every_command_and_its_help(session: Session) -> None:
    commands.run(session, "/help")
    text = " ".join(printed(session).split())
    for name, entry in COMMANDS.items():
        assert f"/{name}" in text
        assert entry.help.split(";")[0].split()[0] in text
    assert "Ctrl-D" in text


@pytest.mark.parametrize("name", ["help", "?", "attention", "set", "clear", "exit", "quit", "bye"])
def test_the_commands_that_people_try_are_there(name: str) -> None:
    assert name in COMMANDS


def test_an_unknown_command_is_an_error_with_the_nearest_one(session: Session) -> None:
    with pytest.raises(ChatbotError) as error:
        commands.run(session, "/hlep me")
    assert commands.problem(error.value) == (
        "Unknown command '/hlep'. Type /? for help. (did you mean '/help'?)"
    )


def test_attention_is_switched_on_and_off(session: Session) -> None:
    commands.run(session, "/attention on")
    assert session.attention
    commands.run(session, "/attention  off ")
    assert not session.attention
    assert printed(session).splitlines() == [
        "attention on: the model's own weights, while a reply is made",
        "attention off",
    ]


def test_attention_alone_shows_the_last_reply(session: Session) -> None:
    asked = Dialogue((Turn("user", "hello"),))
    session.last = Reply.collect(session.responder.reply(asked))
    commands.run(session, "/attention")
    assert "Hi. │ █████" in printed(session)
    assert not session.attention


@pytest.mark.parametrize(("line", "what"), [("/attention", "no reply yet"), ("/attention 1", "no reply yet")])
def test_attention_says_what_it_cannot_do(session: Session, line: str, what: str) -> None:
    with pytest.raises(ChatbotError, match=what):
        commands.run(session, line)


@pytest.mark.parametrize("line", ["/set temperature 0.2", "/set temperature=0.2", "/set temperature   .2"])
def test_set_changes_how_the_next_reply_is_drawn(session: Session, line: str) -> None:
    commands.run(session, line)
    assert session.sampling.temperature == 0.2
    assert session.sampling.top_k == 40
    assert printed(session).split()[:2] == ["temperature", "0.2"]


def test_set_takes_the_names_of_the_options_too(session: Session) -> None:
    commands.run(session, "/set top-k 3")
    assert session.sampling.top_k == 3


def test_a_seed_is_set_and_unset(session: Session) -> None:
    commands.run(session, "/set seed 5")
    assert session.sampling.seed == 5
    commands.run(session, "/set seed none")
    assert session.sampling.seed is None


def test_set_alone_shows_every_setting(session: Session) -> None:
    commands.run(session, "/set")
    names = [line.split()[0] for line in printed(session).splitlines() if not line.startswith(" ")]
    assert names == list(commands.SETTINGS)


def test_set_with_a_name_alone_shows_and_changes_nothing(session: Session) -> None:
    before = session.sampling
    for name in commands.SETTINGS:
        commands.run(session, f"/set {name}")
    assert session.sampling == before


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("/set temprature 1", "has no setting 'temprature'"),
        ("/set temperature hot", "must be a number, not 'hot'"),
        ("/set temperature -1", "from 0 to 100"),
        ("/set top_k 1.5", "whole number"),
        ("/set temperature nan", "from 0 to 100"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(session: Session, line: str, what: str) -> None:
    with pytest.raises(ConfigError) as error:
        commands.run(session, line)
    assert what in commands.problem(error.value)
    assert "\n" not in commands.problem(error.value)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_changes_its_settings_and_shows_them(session: Session, style: str) -> None:
    commands.run(session, "/set guidance 0.7")
    commands.run(session, f"/style {style}")
    sampling = session.sampling
    assert {name: getattr(sampling, name) for name in STYLES[style]} == dict(STYLES[style])
    assert sampling.guidance == 0.7
    usual, shown = SamplingConfig(), printed(session)
    assert f"* {style}" in " ".join(shown.split())
    changed = {name for name, value in STYLES[style].items() if value != getattr(usual, name)}
    assert all((f"{name} " in shown) == (name in changed) for name in STYLES[style])


def test_the_usual_style_is_the_way_back(session: Session) -> None:
    commands.run(session, "/style wild")
    commands.run(session, "/set guidance 0.7")
    commands.run(session, "/style usual")
    assert session.sampling == SamplingConfig()  # as it was saved with the bot


def test_styles_are_shown_with_the_one_that_holds_now(session: Session) -> None:
    commands.run(session, "/style lively")
    commands.run(session, "/style")
    lines = [" ".join(line.split()) for line in printed(session).splitlines()]
    assert "usual as it was saved" in lines
    assert any(line.startswith("* lively temperature 0.8") for line in lines)
    assert sum(line.startswith("*") for line in lines) == 2  # also where it was taken
    commands.run(session, "/show")
    assert "lively" in next(line for line in printed(session).splitlines() if line.startswith("style "))


def test_of_two_styles_the_last_one_counts() -> None:
    assert len({frozenset(style) for style in STYLES.values()}) == 1


def test_a_style_is_one_of_those_that_there_are(session: Session) -> None:
    with pytest.raises(ChatbotError) as error:
        commands.run(session, "/style carefull")
    assert "no style 'carefull'" in commands.problem(error.value)
    assert "did you mean 'careful'" in commands.problem(error.value)
    assert commands.completions(session, "/style ca") == ["careful"]


def test_clear_begins_another_conversation(session: Session) -> None:
    session.turns = (Turn("user", "hello"),)
    session.last = Reply("", (), (), "finished")
    commands.run(session, "/clear")
    assert not session.turns
    assert not session.last


@pytest.mark.parametrize("line", ["/exit", "/quit", "/bye"])
def test_leaving_is_the_end_of_the_input(session: Session, line: str) -> None:
    with pytest.raises(EOFError):
        commands.run(session, line)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("/att", ["/attention"]),
        ("/attention o", ["on", "off"]),
        ("/set to", ["top_k", "top_p"]),
        ("/nonsense x", []),
        ("att", []),
        ("/set\n", []),
    ],
)
def test_completion_offers_what_the_table_holds(session: Session, line: str, offered: list[str]) -> None:
    assert commands.completions(session, line) == offered


def talked(session: Session, *texts: str) -> None:
    """Exchanges, as the conversation keeps them."""
    for text in texts:
        session.last = Reply.collect(session.responder.reply(session.asked(text)))
        session.turns = (*session.asked(text).turns, Turn("bot", session.last.text))


def test_undo_takes_the_last_exchange_back(session: Session) -> None:
    talked(session, "hello", "you?")
    commands.run(session, "/undo")
    assert [turn.text for turn in session.turns] == ["hello", "Hi."]
    assert session.last is None
    assert "Taken back: you?" in printed(session)


def test_regen_says_the_same_again_and_draws_anew(session: Session) -> None:
    talked(session, "hello")
    session.sampling = replace(session.sampling, seed=4)
    assert [commands.run(session, "/regen"), session.again, session.turns] == ["hello", 1, ()]
    assert session.varied(session.sampling).seed == 5
    talked(session, "hello")
    assert [commands.run(session, "/regen"), session.again] == ["hello", 2]


def judged() -> list[Judged]:
    """What was kept, as `chatbot prefer` reads it."""
    return read_all([judging.file()], Report())


def test_good_keeps_the_reply_and_those_that_were_refused(session: Session) -> None:
    talked(session, "hello")
    commands.run(session, "/regen")
    talked(session, "hello")
    commands.run(session, "/good")
    assert judged() == [Judged((Turn("user", "hello"),), ("Fine.",), ("Hi.",))]
    assert stat.S_IMODE(judging.file().stat().st_mode) == 0o600
    told = "".join(printed(session).split())  # wherever it was wrapped
    assert f"chatbotprefer{judging.file()}--fromparrot--nameNAME" in told


def test_good_with_a_text_keeps_what_would_have_been_better(session: Session) -> None:
    talked(session, "hello", "how are\x1b[2J you?")
    commands.run(session, "/good  Well, and\x1b[31m you? ")
    said = (Turn("user", "hello"), Turn("bot", "Hi."), Turn("user", "how are you?"))
    [kept] = judged()
    assert [kept.turns[:2], kept.turns[2].text.endswith("you?")] == [said[:2], True]
    assert kept.good[0].startswith("Well, and")
    assert kept.bad == ("Fine.",)
    assert "\x1b" not in judging.file().read_text()
    assert session.turns[-1].text == "Fine."  # what was said stays said


def test_a_reply_that_came_again_is_not_both(session: Session) -> None:
    talked(session, "hello")
    session.refused = ("Hi.", "Yes.", "Yes.")
    commands.run(session, "/good")
    assert judged() == [Judged((Turn("user", "hello"),), ("Hi.",), ("Yes.",))]


@pytest.mark.parametrize("line", ["/good", "/good Hi.", "/good  Hi\u200b. ", "/good \u200b\u200d"])
def test_one_reply_alone_says_nothing(session: Session, line: str) -> None:
    talked(session, "hello")
    with pytest.raises(ChatbotError, match="no other reply"):
        commands.run(session, line)
    assert not judging.file().exists()


@pytest.mark.parametrize("speakers", [["bot"], ["user", "bot", "bot"]])
def test_what_answers_nobody_is_not_judged(session: Session, speakers: list[str]) -> None:
    session.turns = tuple(Turn(speaker, f"{i}.") for i, speaker in enumerate(speakers))
    with pytest.raises(ChatbotError, match="no reply yet"):
        commands.run(session, "/good Hello!")


def test_where_it_cannot_be_kept_is_one_line(session: Session, home: Path) -> None:
    home.write_text("no folder")
    talked(session, "hello")
    with pytest.raises(ChatbotError, match="cannot be written"):
        commands.run(session, "/good Hello!")


@pytest.mark.parametrize("line", ["/undo", "/regen", "/good", "/save talk.md", "/explain", "/why"])
def test_there_must_be_something_to_do_it_with(session: Session, line: str) -> None:
    with pytest.raises(ChatbotError, match=r"no exchange yet|nothing to save yet|no reply yet"):
        commands.run(session, line)


@pytest.mark.parametrize("suffix", ["jsonl", "md", "html"])
def test_a_conversation_is_saved_and_not_over_another(session: Session, tmp_path: Path, suffix: str) -> None:
    talked(session, "<b>hello</b> *you*\x1b[31m")
    file = tmp_path / f"talk.{suffix}"
    commands.run(session, f"/save {file}")
    written = file.read_text()
    assert "Hi." in written
    assert "\x1b" not in written
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(unsafe in written for unsafe in {"html": ["<b>"], "md": ["<b>", "*you*"]}.get(suffix, []))
    commands.run(session, f"/save {file}")  # its own file may be written again
    session.kept.clear()
    with pytest.raises(ChatbotError, match="is there already"):
        commands.run(session, f"/save {file}")
    assert file.read_text() == written


def test_a_saved_conversation_is_a_corpus_and_goes_on(session: Session, tmp_path: Path) -> None:
    talked(session, "hello\u2028there", "you?")
    file = tmp_path / "talk.jsonl"
    commands.run(session, f"/save {file}")
    turns, session.turns = session.turns, ()
    assert [turn.text for dialogue in open_corpus(file) for turn in dialogue.turns] == [t.text for t in turns]
    commands.run(session, f"/load {file}")
    assert session.turns == turns
    assert "> you?" in printed(session)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("/save", "takes a file"),
        ("/save talk", "says no kind of file"),
        ("/save talk.txt", "says no kind of file"),
        ("/save nowhere/talk.md", "cannot be written"),
        ("/load", "no conversation was kept yet"),
        ("/load nothing.jsonl", "there is no nothing.jsonl"),
        ("/load talk.md", "there is no talk.md"),
        ("/load .", "is no conversation"),
        ("/save ~nosuchuser/talk.md", "there is no home ~nosuchuser"),
        ("/load ~nosuchuser/talk.jsonl", "there is no home ~nosuchuser"),
        ("/why ~nosuchuser", "there is no home ~nosuchuser"),
        (f"/save {300 * 'x'}.md", "cannot be written"),
        (f"/load {300 * 'x'}.jsonl", "there is no xxx"),
        (f"/why {300 * 'x'}", "is not at xxx"),
        ("/save talk\0.md", "cannot be written"),
        (f"/explain {5000 * '5'}", "from 1 to 3, not '555555555'"),
        (f"/attention {5000 * '5'}", "has no word 555555555"),
        ("/model nobody", "no bot 'nobody'"),
        ("/compare", "one bot or two"),
        ("/compare a b c", "one bot or two"),
        ("/compare nobody", "no bot 'nobody'"),
        ("/explain 0", "from 1 to 3"),
        ("/explain x", "from 1 to 3"),
        ("/why nowhere", "is not at nowhere"),
        (
            "/attention sideways",
            "(it takes the number of a word, or one of on, map, off, heads, layers, weights",
        ),
        ("/attention ²", "/attention knows no '²'"),
        ("/undo 3", "/undo takes nothing more, not '3' (type /undo alone)"),
        ("/clear x", "/clear takes nothing more"),
        ("/regen x", "/regen takes nothing more"),
        ("/attention 9", "has no word 9"),
        ("/attention 0", "has no word 0"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    talked(session, "hello")
    before = session.turns
    with pytest.raises(ChatbotError) as error:
        commands.run(session, line)
    assert what in commands.problem(error.value)
    assert session.turns == before
    assert not session.rivals


@pytest.mark.parametrize("command", ["/clear", "/load other.jsonl"])
def test_another_conversation_leaves_what_was_kept_and_saved_of_this_one(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    transcript.write(Path("other.jsonl"), (Turn("user", "good night"), Turn("bot", "Sleep well.")), "owl")
    session.log = before = keeping.fresh()
    talked(session, "hello")
    before.write(session.turns, "parrot")
    commands.run(session, "/save talk.md")
    commands.run(session, command)
    assert session.log is not before
    assert session.log.file != before.file
    assert transcript.read(before.file) == (Turn("user", "hello"), Turn("bot", "Hi."))
    talked(session, "you?")
    with pytest.raises(ChatbotError, match="is there already"):
        commands.run(session, "/save talk.md")
    assert keeping.Log(before.file).claim()  # another chatbot may go on with it


def test_a_kept_conversation_is_one_programs_alone() -> None:
    first, second = keeping.fresh(), keeping.fresh()
    assert first.file != second.file
    first.write((Turn("user", "hello"), Turn("bot", "Hi.")), "parrot")
    with pytest.raises(ChatbotError, match="is open in another chatbot"):
        keeping.resumed()
    first.close()
    assert [turn.text for turn in keeping.resumed()[1]] == ["hello", "Hi."]


def test_a_kept_conversation_is_found_by_the_beginning_of_its_name(session: Session) -> None:
    for name, text in (("2026-01-02T10-00-00", "tea"), ("2026-01-03T10-00-00", "snow")):
        keeping.fresh().close()
        log = keeping.Log(keeping.folder() / f"{name}.jsonl")
        log.write((Turn("user", text), Turn("bot", "Yes.")), "parrot")
    log, turns, _ = keeping.resumed("2026-01-02")
    log.close()
    assert turns[0].text == "tea"
    assert keeping.resumed("2026-01-03T10-00-00.jsonl")[1][0].text == "snow"
    for name, told in (
        ("2026-01", "several conversations are called"),
        ("1999", "no conversation was kept as"),
    ):
        with pytest.raises(ChatbotError, match=told) as error:
            keeping.resumed(name)
        assert error.value.hint == "there are: 2026-01-03T10-00-00, 2026-01-02T10-00-00"
    commands.run(session, "/load 2026-01-02")
    assert session.turns[0].text == "tea"


def test_a_conversation_is_kept_from_now_on_and_no_longer(session: Session) -> None:
    talked(session, "hello")
    commands.run(session, "/log")
    assert "is not kept" in printed(session)
    commands.run(session, "/log on")
    assert session.log
    file = session.log.file
    assert file.name in printed(session).replace("\n", "")
    assert next(turn.text for turn in transcript.read(file)) == "hello"
    commands.run(session, "/log off")
    assert session.log is None
    assert file.exists()
    assert keeping.Log(file).claim()


def test_of_several_conversations_in_a_file_the_others_are_not_lost() -> None:
    log = keeping.fresh()
    log.write((Turn("user", "hello"), Turn("bot", "Hi.")), "parrot")
    log.close()
    log.file.write_text(both := 2 * log.file.read_text())
    resumed, turns, _ = keeping.resumed()
    assert "holds 2 conversations, of which the last goes on" in resumed.spoiled
    for _ in range(2):
        resumed.write(turns, "parrot")
    assert [file.read_text() for file in keeping.folder().glob("*.damaged*")] == [both]


def test_edit_says_something_else_instead(session: Session) -> None:
    talked(session, "hello")
    session.edit = lambda text: text.upper() + "\n"
    assert commands.run(session, "/edit") == "HELLO"
    assert session.turns == ()
    talked(session, "hello")
    session.edit = lambda text: None
    assert commands.run(session, "/edit") is None
    assert len(session.turns) == 2


def test_another_bot_goes_on_with_the_conversation_and_the_settings(session: Session) -> None:
    talked(session, "hello")
    commands.run(session, "/set temperature 0.2")
    session.load = lambda name: scripted_bot("Ho.", name=name)
    commands.run(session, "/model owl")
    assert session.bot.name == "owl"
    assert session.sampling.temperature == 0.2
    talked(session, "you?")
    assert ScriptedResponder.heard(cast(ScriptedResponder, session.responder)) == ["hello|Hi.|you?"]


def test_two_bots_are_compared_until_it_is_off(session: Session) -> None:
    session.load = lambda name: scripted_bot("Ho.", name=name)
    commands.run(session, "/compare owl")
    assert [bot.name for bot in session.rivals] == ["parrot", "owl"]
    commands.run(session, "/compare off")
    assert session.rivals == ()
    with pytest.raises(ChatbotError, match="with itself"):
        commands.run(session, "/compare owl owl")
    assert session.rivals == ()


def test_settings_and_styles_hold_for_both_bots_that_are_compared(session: Session) -> None:
    session.load = lambda name: scripted_bot("Ho.", name=name)
    commands.run(session, "/compare owl")
    commands.run(session, "/set top_k 3")
    session.rivals = (session.rivals[0], session.rivals[1].with_sampling(SamplingConfig(top_k=7)))
    commands.run(session, "/set top_k")  # shows one's own, and changes none
    assert [bot.sampling.top_k for bot in session.rivals] == [3, 7]
    commands.run(session, "/style lively")
    assert [bot.sampling.temperature for bot in (session.bot, *session.rivals)] == [0.8] * 3
    with pytest.raises(ChatbotError, match="must be"):
        commands.run(session, "/set top_k -1")
    assert [bot.sampling.top_k for bot in session.rivals] == [40, 40]


def test_a_bots_own_styles_are_in_help_and_completed_where_all_who_answer_know_them(session: Session) -> None:
    object.__setattr__(session.bot.checkpoint.config, "styles", {"owlish": {"top_k": 3}})
    assert commands.completions(session, "/style ow") == ["owlish"]
    commands.run(session, "/help")
    assert "careful, lively, wild, diverse, owlish" in " ".join(printed(session).split())
    session.load = lambda name: scripted_bot("Ho.", name=name)
    commands.run(session, "/compare crow")
    assert commands.completions(session, "/style ow") == []
    session.loading = Future()
    assert commands.completions(session, "/style ca") == ["careful"]  # it does not wait for the bot


def test_show_says_who_this_is_and_what_is_changed(session: Session) -> None:
    commands.run(session, "/set top_k 3")
    commands.run(session, "/show")
    shown = printed(session).split("\n", 1)[1]
    assert "parrot" in shown
    assert "top_k 3" in shown


@pytest.mark.parametrize(
    "figures", [None, 5, {"nats_per_word": "hot"}, {"nats_per_word": None}, {"nats_per_word": 1e308}]
)
def test_show_leaves_out_a_figure_that_is_none(session: Session, figures: object) -> None:
    session.bot.header = {"figures": figures}
    commands.run(session, "/show")
    assert "folder" in printed(session)
    assert "nats a word" not in printed(session)
    session.bot.header = {"figures": {"nats_per_word": 4.0984}}
    commands.run(session, "/show")
    assert "nats a word  4.098" in printed(session)


def test_a_folder_that_may_not_be_entered_is_one_line(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: object, **options: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    talked(session, "hello")
    monkeypatch.setattr(os, "stat", refused)  # what a mode of 000 does, but not to root
    for line in (f"/load {tmp_path}/talk.jsonl", f"/save {tmp_path}/no/talk.md", f"/why {tmp_path}/talks"):
        with pytest.raises(ChatbotError):
            commands.run(session, line)


class PressesCtrlC(MetaPathFinder):
    """Presses Ctrl-C while this module is imported."""

    def __init__(self, module: str) -> None:
        self.module = module

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Find nothing."""
        if name == self.module:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("/attention gradient", "chatbot.attribution.lens"),
        ("/attention heads", "chatbot.attribution.lens"),
        ("/attention gradient", "chatbot.attribution.methods"),
        ("/why", "chatbot.nearest"),
    ],
)
def test_ctrl_c_waits_for_what_a_command_imports(
    session: Session, monkeypatch: pytest.MonkeyPatch, line: str, module: str
) -> None:
    talked(session, "hello")
    for name in {module, "chatbot.attribution.lens"}:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "meta_path", [PressesCtrlC(module), *sys.meta_path])
    with pytest.raises(KeyboardInterrupt):
        commands.run(session, line)
    assert module in sys.modules  # it is whole, and can be used the next time


def test_why_shows_the_nearest_exchange_of_the_training_part(session: Session, tmp_path: Path) -> None:
    pairs = [(f"hello {n}", "Hi.") for n in range(20)] + [
        (f"what is {n}", f"An owl, {n}.") for n in range(20)
    ]
    lines = [{"turns": [{"speaker": "AB"[i], "text": t} for i, t in enumerate(pair)]} for pair in pairs]
    file = tmp_path / "talks.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    facts = {"name": "talks"}
    object.__setattr__(session.bot.checkpoint.config, "corpus", facts)
    talked(session, "hello there")
    commands.run(session, f"/why {file}")
    shown = printed(session)
    assert "▁Hi 50%" in shown
    assert re.search("> hello [0-9]+\nHi.\n1 of the reply's 1 words are the same", shown)


@pytest.mark.parametrize(("speaker", "nearest"), [("B", "> hi\nHi, hello."), ("C", "> hello there\nHi.")])
def test_why_shows_what_the_bot_s_side_said_to_a_bot_that_learned_it_alone(
    session: Session, tmp_path: Path, speaker: str, nearest: str
) -> None:
    talks = [["hi", "Hi, hello.", f"so {n}", "hello there", "Hi.", "Well."] for n in range(20)]
    lines = [{"turns": [{"speaker": "AB"[i % 2], "text": t} for i, t in enumerate(talk)]} for talk in talks]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    object.__setattr__(session.bot.checkpoint.config, "corpus", {"name": "talks"})
    responder = session.bot.responder
    object.__setattr__(responder, "examples", replace(responder.examples, speaker=speaker))
    talked(session, "hello there")
    commands.run(session, f"/why {tmp_path}/talks.jsonl")
    assert nearest in printed(session)


def test_explain_takes_a_piece_apart() -> None:
    console = Console(file=StringIO(), width=80, color_system=None)
    session = Session.of(scripted_bot("Hi."), console)
    session.sampling = SamplingConfig(top_k=2, temperature=0.1, guidance=0.0)
    talked(session, "hello")
    commands.run(session, "/explain 2")
    shown = printed(session)
    assert "<user> ▁hello <end>" in shown
    assert "said before: ▁Hi" in shown
    assert all(rule in shown for rule in ("no_repeat 5", "top_k 2", "temperature 0.1", "top_p 0.9"))
    assert "guidance" not in shown
    assert "Drawn: . with" in shown
    assert "(the model alone: 50%)" in shown


def test_explain_says_of_a_beam_search_what_it_did() -> None:
    session = Session.of(scripted_bot("Hi."), Console(file=StringIO(), width=80, color_system=None))
    talked(session, "hello")
    session.sampling = SamplingConfig(beams=3, temperature=0.1, top_k=2, top_p=0.5, guidance=0.0)
    commands.run(session, "/explain 1")
    shown = printed(session)
    assert "By a beam search, 3 wide: ▁Hi with 50% (the model alone: 50%)" in shown
    assert "no_repeat 5" in shown
    assert not any(rule in shown for rule in ("Drawn", "temperature", "top_k", "top_p"))


@pytest.mark.parametrize("width", range(30, 60, 3))
def test_a_piece_is_not_parted_from_its_number(width: int) -> None:
    console = Console(file=StringIO(), width=width, color_system=None)
    session = Session.of(scripted_bot("Hi you there, how are you all today?"), console)
    talked(session, "hello")
    with suppress(ChatbotError):  # what it learned from is not there
        commands.run(session, "/why")
    commands.run(session, "/explain 2")
    lines = printed(session).partition("Drawn: ")[0].splitlines()
    assert not [line for line in lines if re.match(r"(\w+( \S+)?)? +[\d.]+%|[\d.]+%", line)]
    assert any(line.startswith("▁Hi 50%") for line in lines)


def test_a_row_of_the_map_alone(session: Session) -> None:
    session.bot = scripted_bot("Hi you.")
    talked(session, "hello")
    commands.run(session, "/attention 2")
    assert "you. │" in printed(session)
    assert "Hi │" not in printed(session)


def test_other_methods_heads_and_layers_of_a_real_model(tmp_path: Path, tokenizer: Tokenizer) -> None:
    def shown(family: str, *lines: str) -> str:
        folder = tmp_path / family
        bot = Bot.load(folder if folder.exists() else saved(folder, family, tokenizer))
        session = Session.of(bot, Console(file=StringIO(), width=80, color_system=None))
        talked(session, "Who are you?")
        for line in lines:
            commands.run(session, line)
        return printed(session)

    assert "gradient times input" in shown("seq2seq", "/attention")  # the one that tells most of the truth
    told = shown("gpt", "/attention", "/attention rollout", "/attention layers", "/attention heads")
    assert told.index("the model's own weights") < told.index("rolled out") < told.index("layer 0")
    assert "head 0" in told
    with pytest.raises(ChatbotError, match="seq2seq has no rollout"):
        shown("seq2seq", "/attention rollout")
    with pytest.raises(ChatbotError, match="looks once"):
        shown("seq2seq", "/attention heads")


def test_another_reply_is_drawn_more_freely_each_time(session: Session) -> None:
    sampling = replace(session.sampling, temperature=0.5, seed=7)
    drawn = []
    for again in range(5):
        session.again = again
        drawn.append(session.varied(sampling))
    assert [one.temperature for one in drawn] == pytest.approx([0.5, 0.7, 0.9, 1.0, 1.0])
    assert [one.seed for one in drawn] == [7, 8, 9, 10, 11]
    assert session.varied(replace(sampling, temperature=1.4)).temperature == 1.4


@pytest.mark.parametrize(("beams", "candidates"), [(3, 1), (1, 3)])
def test_another_reply_is_drawn_by_itself(session: Session, beams: int, candidates: int) -> None:
    sampling = replace(session.sampling, beams=beams, candidates=candidates)
    assert session.varied(sampling) == sampling
    session.again = 1
    assert (session.varied(sampling).beams, session.varied(sampling).candidates) == (1, 1)


def test_edit_takes_the_text_itself(session: Session) -> None:
    session.turns = (Turn("user", "hello"), Turn("bot", "Hi."))
    assert commands.run(session, "/edit good morning") == "good morning"
    assert not session.turns


def test_a_conversation_that_was_loaded_has_no_reply_to_look_into(session: Session, tmp_path: Path) -> None:
    transcript.write(tmp_path / "talk.jsonl", (Turn("user", "hello"), Turn("bot", "Hi.")), "owl")
    commands.run(session, f"/load {tmp_path}/talk.jsonl")
    with pytest.raises(ChatbotError) as error:
        commands.run(session, "/attention")
    assert "of those before, only the words were kept" in commands.problem(error.value)


def test_a_conversation_with_two_bots_says_which_said_what(session: Session, tmp_path: Path) -> None:
    session.turns = (Turn("user", "old"), Turn("bot", "Hm."))
    session.add("hello", "Hi.", "owl")
    session.add("you?", "Hoo.", "parrot")
    assert session.voices == ("", "", "", "owl", "", "parrot")
    for kind in ("md", "html", "jsonl"):
        transcript.write(tmp_path / f"talk.{kind}", session.turns, "owl", session.voices)
    markdown = (tmp_path / "talk.md").read_text()
    assert markdown.startswith("# A conversation with owl and parrot\n")
    assert "**owl:** Hm" in markdown  # where it is not known, the one who talks now
    assert "**parrot:** Hoo" in markdown
    page = (tmp_path / "talk.html").read_text()
    assert '<p class="bot" title="parrot">Hoo.</p>' in page
    [told] = (tmp_path / "talk.jsonl").read_text().splitlines()
    assert [turn.get("bot") for turn in json.loads(told)["turns"]] == [None] * 5 + ["parrot"]
    assert transcript.read(tmp_path / "talk.jsonl") == session.turns
    commands.run(session, "/undo")
    session.add("well?", "Hi.", "owl")
    assert session.voices == ("", "", "", "owl", "", "owl")


def test_what_is_said_otherwise_is_drawn_as_usual(session: Session) -> None:
    session.turns = (Turn("user", "hello"), Turn("bot", "Hi."))
    commands.run(session, "/regen")
    assert session.again == 1
    session.turns = (Turn("user", "hello"), Turn("bot", "Ho."))
    commands.run(session, "/edit good morning")
    assert session.again == 0


def test_a_refused_comparison_changes_nothing(session: Session) -> None:
    other = scripted_bot("Hoo.", name="owl")
    session.load = lambda name: other if name == "owl" else session.bot
    commands.run(session, "/compare owl")
    before = session.rivals
    with pytest.raises(ChatbotError, match="compared with itself"):
        commands.run(session, f"/compare {session.bot.name}")
    assert session.rivals == before


def test_what_was_set_holds_for_a_rival_that_comes_later(session: Session) -> None:
    session.load = lambda name: scripted_bot("Hoo.", name=name)
    commands.run(session, "/set temperature 0.9")
    commands.run(session, "/compare owl")
    assert [rival.sampling.temperature for rival in session.rivals] == [0.9, 0.9]


def test_where_replies_go_to_a_file_none_can_be_compared(session: Session) -> None:
    session.console = Console(stderr=True)
    with pytest.raises(ChatbotError, match="no choosing"):
        commands.run(session, "/compare owl")


def test_who_wants_to_forget_can_though_nothing_more_is_kept(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.log = keeping.fresh()
    session.turns = (Turn("user", "hello"), Turn("bot", "Hi."))

    def no_room() -> keeping.Log:
        raise ChatbotError("cannot be made")

    monkeypatch.setattr(keeping, "fresh", no_room)
    with pytest.raises(ChatbotError):
        commands.run(session, "/clear")
    assert not session.turns
    assert session.log is None


def test_commands_are_known_in_capitals_and_settings_by_their_beginning(session: Session) -> None:
    commands.run(session, "/SET")
    with pytest.raises(ConfigError) as error:
        commands.run(session, "/set temperatur 0.8")
    assert "did you mean 'temperature'" in commands.problem(error.value)
    commands.run(session, "/set manners")
    assert re.search(r"manners +on ", printed(session))


def test_a_reply_that_was_stopped_is_marked_wherever_it_is_kept(session: Session, tmp_path: Path) -> None:
    session.add("hello", "Once there", "owl", cut=True)
    session.add("go on", "Hi.", "owl")
    session.add("well?", "Hoo.", "owl")
    for kind in ("md", "html", "jsonl"):
        transcript.write(tmp_path / f"talk.{kind}", session.turns, "owl", session.voices)
    assert "**owl:** Once there *(interrupted)*\n" in (tmp_path / "talk.md").read_text()
    assert "Once there <small>(interrupted)</small></p>" in (tmp_path / "talk.html").read_text()
    assert (tmp_path / "talk.html").read_text().count("(interrupted)") == 1
    read = transcript.read(tmp_path / "talk.jsonl")
    assert read == session.turns
    assert [turn.cut for turn in read] == [False, True, False, False, False, False]
    session.console.print(transcript.shown(read))
    assert "Once there (interrupted)\n" in printed(session)
    corpus = open_corpus(tmp_path / "talk.jsonl")
    [learned] = clean(corpus, CleaningConfig(), corpus.report)
    assert [turn.text for turn in learned.turns] == ["go on", "Hi.", "well?", "Hoo."]
    assert corpus.report.dropped["turns: cut short"] == 1


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("/set score b", ["balance", "bidi", "backward"]),
        ("/set manners ", ["on", "off"]),
        ("/set seed n", ["none"]),
        ("/set top_k ", []),
        ("/set nothing ", []),
        ("/set temp", ["temperature"]),
    ],
)
def test_values_of_settings_are_completed(session: Session, line: str, offered: list[str]) -> None:
    assert commands.completions(session, line) == offered


def test_files_are_completed(session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "talks").mkdir()
    (tmp_path / "talk\nmore.md").touch()  # no line can hold it
    for name in ("talk.md", ".hidden", "talks/one.jsonl"):
        (tmp_path / name).touch()
    assert commands.completions(session, "/save ta") == ["talk.md", "talks/"]
    assert commands.completions(session, "/load talks/") == ["talks/one.jsonl"]
    assert commands.completions(session, "/save .h") == [".hidden"]
    assert commands.completions(session, "/save nowhere/") == []
    assert commands.completions(session, "/save ") == ["talk.md", "talks/"]


def test_kept_conversations_are_listed_and_loaded_by_name(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "home"))
    log = keeping.fresh()
    log.write((Turn("user", "hello owl"), Turn("bot", "Hi.")), "owl")
    log.close()
    for number in range(12):  # later ones that cannot be read
        (keeping.folder() / f"9{number}.jsonl").write_text("{")
    commands.run(session, "/load")
    assert re.search(rf"{log.file.name} +hello owl\n", printed(session))
    assert "before them" not in printed(session)
    assert commands.completions(session, "/load 20") == [log.file.name]
    commands.run(session, f"/load {log.file.name}")
    assert [turn.text for turn in session.turns] == ["hello owl", "Hi."]


def test_names_that_other_programs_have_are_known_or_lead_to_ours(session: Session) -> None:
    for given, ours in (("repeat_penalty", "repetition_penalty"), ("num_predict", "max_tokens")):
        commands.run(session, f"/set {given} 2")
        assert getattr(session.sampling, ours) == 2
    for given, ours in (("reset", "clear"), ("models", "model"), ("q", "exit"), ("seed", "set seed")):
        with pytest.raises(ChatbotError) as error:
            commands.run(session, f"/{given}")
        assert error.value.hint == f"did you mean '/{ours}'?"
    with pytest.raises(ChatbotError) as error:
        commands.run(session, "/etc/passwd is a file")
    assert error.value.hint == "to say it to the bot: //etc/passwd ..."


def test_the_history_file_can_be_left_alone_from_now_on(session: Session) -> None:
    commands.run(session, "/set nohistory")
    assert not session.remembers
    commands.run(session, "/set history")
    assert session.remembers
    for off in ("/set history off", "/set history=0", "/set nohistory on"):
        commands.run(session, "/set history on")
        commands.run(session, off)
        assert not session.remembers
    with pytest.raises(ConfigError, match="must be on or off"):
        commands.run(session, "/set history maybe")


def test_why_asks_whose_reply_it_was(session: Session) -> None:
    talked(session, "hello")
    session.last_bot = scripted_bot("Ho.", name="crow")
    object.__setattr__(session.last_bot.checkpoint.config, "corpus", {"name": "nests"})
    with pytest.raises(ChatbotError, match="what crow learned from is not at corpora/nests or ") as error:
        commands.run(session, "/why")
    assert error.value.hint == "say where it is: /why CORPUS"


def test_what_the_bots_in_the_box_learned_from_is_found_beside_them(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        {"turns": [{"speaker": "A", "text": f"hello {n}"}, {"speaker": "B", "text": "Hi."}]} for n in range(9)
    ]
    (tmp_path / "corpora" / "nests").mkdir(parents=True)
    file = tmp_path / "corpora" / "nests" / "dialogues.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setenv("CHATBOT_STARTERS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path.parent)
    object.__setattr__(session.bot.checkpoint.config, "corpus", {"name": "nests"})
    talked(session, "hello")
    commands.run(session, "/why")
    assert "nearest in what it learned from:" in printed(session)


def test_explain_shows_the_context_and_no_score_of_what_is_not_looked_at() -> None:
    def first(position: int, length: int) -> list[float]:
        return [0.0, 0.75, 0.25] + [0.0] * (length - 3)

    session = Session.of(
        scripted_bot("Hi.", looks=first), Console(file=StringIO(), width=100, color_system=None)
    )
    talked(session, "hello you")
    session.bot.family = "seq2seq"
    commands.run(session, "/explain 1")
    shown = printed(session)
    assert re.search(r"▁hello +75% +score \+0.0 ", shown)
    assert re.search(r"▁you +25% +score -1.1 ", shown)
    assert shown.count("score ") == 2  # none of the marks, which it does not see
    assert "c = 0.75 ▁hello + 0.25 ▁you\n" in shown
    assert "Luong et al. 2015, eq. 5" in shown
    assert "Press & Wolf 2017" in shown


def test_of_several_corpora_that_were_one_the_first_is_searched(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [(f"hello {n}", "Hi.") for n in range(9)]
    lines = [{"turns": [{"speaker": "AB"[i], "text": t} for i, t in enumerate(pair)]} for pair in pairs]
    (tmp_path / "corpora" / "small-nests").mkdir(parents=True)
    file = tmp_path / "corpora" / "small-nests" / "dialogues.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    object.__setattr__(session.bot.checkpoint.config, "corpus", {"name": "small-nests-and-trees"})
    talked(session, "hello")
    commands.run(session, "/why")
    assert "> hello" in printed(session)
