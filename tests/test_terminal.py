"""The real program in a pseudo-terminal: what a person sees where users of other programs complained."""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.terminals import Screen, cells, program

Open = Callable[..., Screen]
UP, LEFT, ALT_ENTER = "\x1b[A", "\x1b[D", "\x1b\r"
CTRL_C, CTRL_G, CTRL_R = "\x03", "\x07", "\x12"
KEPT = "This conversation is kept; /show says where."
GREETING = ["This is parrot.", "/help for help, /attention on to see where it looks, Ctrl-D to leave"]


def pasted(text: str) -> str:
    """What a terminal sends for a paste."""
    return f"\x1b[200~{text}\x1b[201~"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a screen with the program on it; `said` is what the bot replies, in turn."""
    monkeypatch.chdir(tmp_path)
    screens: list[Screen] = []

    def begin(*arguments: str, said: Any = ("Hi there.", "Fine, thanks."), **more: Any) -> Screen:
        size = {name: more.pop(name) for name in ("columns", "lines") if name in more}
        script: dict[str, Any] = {
            name: more.pop(name) for name in ("stops", "broken", "spelled") if name in more
        }
        script["bots"] = said if isinstance(said, dict) else {"parrot": said}
        command = more.pop("command", program("chat", *arguments))
        screens.append(Screen(tmp_path / "home", command, **size, SCRIPT=json.dumps(script), **more))
        return screens[-1]

    yield begin
    for screen in screens:
        screen.kill()


@pytest.fixture
def chat(start: Open) -> Open:
    """The same, when its prompt is open."""

    def begin(*arguments: str, **more: Any) -> Screen:
        screen = start(*arguments, **more)
        screen.open()
        return screen

    return begin


def go_on() -> None:
    """Let a reply that stopped go on."""
    Path("go").touch()


def editor(folder: Path, shell: str) -> str:
    """An editor that does this to its file, "$1"."""
    script = folder / "editor"
    script.write_text(f"#!/bin/sh\n{shell}\n")
    script.chmod(0o755)
    return str(script)


# What a person types, and what stands on the screen then, below the greeting.
CONVERSATIONS: dict[str, tuple[list[str], list[str]]] = {
    "a reply": (["hello"], ["> hello", "Hi there."]),
    "Enter alone says nothing": (["", "  "], [">", ">"]),
    "an unknown command is not said": (
        ["/atention"],
        ["> /atention", "Unknown command '/atention'. Type /? for help. (did you mean '/attention'?)"],
    ),
    "an unknown bot keeps this one": (
        ["/model owl", "hello"],
        [
            "> /model owl",
            "there is no bot 'owl' (known: parrot)",
            "> hello",
            "Hi there.",
        ],
    ),
    "unknown words are answered as any": (["zxqv ��� Łódź"], ["> zxqv ��� Łódź", "Hi there."]),
    "two slashes say one": (["//usr is a folder"], ["> //usr is a folder", "Hi there."]),
    "another reply": (["hello", "/regen"], ["> hello", "Hi there.", "> /regen", "Fine, thanks."]),
    "nothing to reply to again": (
        ["/regen"],
        ["> /regen", "There is no exchange yet. (say something first)"],
    ),
    "taken back": (["hello", "/undo"], ["> hello", "Hi there.", "> /undo", "Taken back: hello"]),
    "a new conversation": (
        ["hello", "/clear", "/undo"],
        [
            "> hello",
            "Hi there.",
            "> /clear",
            "A new conversation.",
            "> /undo",
            "There is no exchange yet. (say something first)",
        ],
    ),
    "right to left": (["שלום עולם", "مرحبا"], ["> שלום עולם", "Hi there.", "> مرحبا", "Fine, thanks."]),
    "nothing that a terminal obeys is kept": ([pasted("a\x1b[31mb")], ["> a^[[31mb", "Hi there."]),
    "the strip": (
        ["/attention on", "who are you"],
        [
            "> /attention on",
            "attention on: the model's own weights, while a reply is made",
            "> who are you",
            "Hi there.",
            "who are you",
        ],
    ),
    "a wrong setting": (
        ["/set temperature hot"],
        ["> /set temperature hot", "sampling.temperature must be a number, not 'hot'"],
    ),
}


@pytest.mark.parametrize("situation", CONVERSATIONS)
def test_what_is_typed_and_what_is_seen(chat: Open, situation: str) -> None:
    typed, seen = CONVERSATIONS[situation]
    screen = chat()
    for line in typed:
        screen.enter(line)
    assert screen.said == [*GREETING, *seen]
    assert screen.leave() == 0


@pytest.mark.parametrize("typed", ["exit", "quit", "/exit", "/bye", "/quit"])
def test_every_way_out_is_code_0(chat: Open, typed: str) -> None:
    assert chat().leave(typed + "\r") == 0


def test_ctrl_c_stops_a_reply_keeps_what_was_said_and_stays(chat: Open) -> None:
    screen = chat(said=["one two three four"], stops=3)
    screen.press("hello\r")
    screen.wait_for("one two")
    screen.press(CTRL_C)
    screen.open(2)
    assert screen.said == [*GREETING, "> hello", "one two three", "(interrupted)"]
    screen.enter("/save talk.md")
    assert "one two three *(interrupted)*\n" in Path("talk.md").read_text()
    assert screen.leave() == 0


def test_ctrl_c_stops_a_reply_with_its_strip(chat: Open) -> None:
    screen = chat("--attention", said=["one two three four"], stops=3, NO_COLOR="1")
    screen.press("hello you\r")
    screen.wait_for("one two\nhello█ you")
    screen.press(CTRL_C)
    screen.open(2)
    assert screen.said == [*GREETING, "> hello you", "one two three", "(interrupted)", "hello█ you▓"]


def test_ctrl_c_at_an_empty_prompt_says_how_to_leave(chat: Open) -> None:
    screen = chat()
    screen.press(CTRL_C)
    screen.open(2)
    assert screen.said == [*GREETING, ">", "Use Ctrl-D or /exit to leave."]


def test_ctrl_c_clears_what_is_typed(chat: Open) -> None:
    screen = chat()
    screen.press("never mind")
    screen.wait_for("> never mind")
    screen.press(CTRL_C)
    screen.open()
    screen.enter("hello")
    assert screen.said == [*GREETING, "> hello", "Hi there."]


def test_several_pasted_lines_are_one_prompt(chat: Open) -> None:
    screen = chat()
    screen.press(pasted("first line\nsecond line\nthird line"))
    screen.wait_for("third line")
    assert screen.prompts == 1  # nothing was sent
    screen.press("\r")
    screen.open(2)
    assert screen.said == [*GREETING, "> first line", "  second line", "  third line", "Hi there."]


def test_pasted_lines_that_begin_with_a_slash_are_no_command(chat: Open) -> None:
    screen = chat()
    screen.enter(pasted("/clear the table\n/exit through the door"))
    assert screen.said == [*GREETING, "> /clear the table", "  /exit through the door", "Hi there."]


def test_a_paste_of_200_lines_is_one_prompt(chat: Open) -> None:
    screen = chat("--no-history")
    lines = [f"line {number}" for number in range(200)]
    screen.press(pasted("\n".join(lines)))
    screen.wait_for("line 199")
    screen.press("\r")
    screen.open(2)
    assert screen.said[-3:-1] == ["  line 199", "Hi there."]
    assert screen.said[-1].startswith("Only the end of that was read")
    screen.enter("/save talk.jsonl")
    [told] = Path("talk.jsonl").read_text().splitlines()
    assert json.loads(told)["turns"][0]["text"] == "\n".join(lines)


def test_quotation_marks_hold_several_lines(chat: Open) -> None:
    screen = chat()
    for line in ('"""one', "two"):
        screen.press(f"{line}\r")
        screen.wait_for(line)
    screen.press('three"""\r')
    screen.open(2)
    assert screen.said == [*GREETING, '> """one', "  two", '  three"""', "Hi there."]


def test_alt_enter_begins_a_line(chat: Open) -> None:
    screen = chat()
    screen.press(f"one{ALT_ENTER}two\r")
    screen.open(2)
    assert screen.said == [*GREETING, "> one", "  two", "Hi there."]


@pytest.mark.parametrize("options", [(), ("--attention",)])
def test_a_reply_longer_than_the_screen_has_no_line_twice(chat: Open, options: tuple[str, ...]) -> None:
    words = [f"word{number}" for number in range(60)]
    screen = chat(*options, said=[" ".join(words)], columns=40, lines=8)
    screen.enter("hello you")
    above = screen.said[screen.said.index("> hello you") + 1 :]
    reply = [line for line in above if line != "hello you"]
    assert " ".join(reply).split() == words
    assert all(len(line) <= 40 for line in reply)


def test_a_narrow_window_breaks_between_words(chat: Open) -> None:
    screen = chat(said=["Yesterday I walked along the river until it became dark."], columns=30)
    screen.enter("/help")
    assert all(len(line) <= 30 for line in screen.said)
    screen.enter("and where did you walk then my friend")
    assert screen.said[-2:] == ["Yesterday I walked along the", "river until it became dark."]
    assert screen.shown[-1] == "parrot  temperature 0  /help"


@pytest.mark.parametrize("columns", [30, 60, 120])
@pytest.mark.parametrize("options", [(), ("--attention",)])
def test_a_window_resized_during_a_reply(chat: Open, options: tuple[str, ...], columns: int) -> None:
    said = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    screen = chat(*options, said=[said], stops=5, NO_COLOR="1")
    screen.press("hello\r")
    screen.wait_for("one two three four")
    screen.resize(columns, 24)
    go_on()
    screen.open(2)
    reply = screen.said[screen.said.index("> hello") + 1 :]
    assert " ".join(line for line in reply if line != "hello█") == said
    assert screen.leave() == 0


def test_what_is_typed_during_a_reply_is_not_printed_into_it(chat: Open) -> None:
    screen = chat(said=["one two three"], stops=2)
    screen.press("hello\r")
    screen.wait_for("one")
    screen.press("you")
    go_on()
    screen.wait(lambda: screen.prompts == 2 and screen.said[-1] == "one two three", "the whole reply")
    screen.wait_for("> you")
    assert screen.said == [*GREETING, "> hello", "one two three"]


def test_a_window_resized_at_the_prompt(chat: Open) -> None:
    screen = chat(columns=80)
    screen.press("hello")
    screen.wait_for("> hello")
    screen.resize(40, 12)
    screen.press(" you\r")
    screen.open(2)
    assert screen.said[-2:] == ["> hello you", "Hi there."]


def test_wide_characters_are_neither_cut_nor_doubled(chat: Open) -> None:
    said = "猫は屋根の上で朝から晩まで眠っていて、夜になると森へ出かけて、梟と話をします。"
    screen = chat("--attention", said=[said], columns=21, NO_COLOR="1")
    screen.enter("猫はどこ")
    reply = screen.said[screen.said.index("> 猫はどこ") + 1 : -1]
    assert "".join(reply) == said
    assert [len(line) for line in reply[:-1]] == [10, 10, 10]  # of 20 columns; one is left over


def test_emoji_with_joiners_stay_together(chat: Open) -> None:
    family = "👩‍👩‍👧"
    screen = chat(said=[f"We {family} are five 👍🏽 here"])
    screen.enter(f"hello {family}")
    assert screen.said[-2:] == [f"> hello {family}", f"We {family} are five 👍🏽 here"]


def test_bytes_of_a_character_wait_for_each_other(chat: Open) -> None:
    screen = chat(said=["Two such 🦉 owls"], stops=5, spelled=True)  # two of its four bytes are there
    screen.press("hello\r")
    screen.wait_for("Two")
    assert "�" not in str(screen)
    go_on()
    screen.open(2)
    assert screen.said[-1] == "Two such 🦉 owls"


def test_a_reply_cannot_change_the_terminal(chat: Open) -> None:
    screen = chat(said=["red \x1b[31m and \x1b]0;title\x07 end", "Next."])
    screen.enter("hello")
    screen.enter("you")
    assert screen.said[-1] == "Next."
    assert screen.emulator.title == ""
    assert not any(cell.fg == "red" for cell in cells(screen))


def test_the_arrow_brings_back_what_an_earlier_run_was_told(chat: Open, tmp_path: Path) -> None:
    first = chat()
    first.enter("hello")
    assert first.leave() == 0
    second = chat()
    second.press(UP)
    second.wait_for("> hello")
    second.press(f"{LEFT}{LEFT}p\r")
    second.open(2)
    assert second.said == [*GREETING, "> helplo", "Hi there."]
    assert stat.S_IMODE((tmp_path / "home/history").stat().st_mode) == 0o600


@pytest.mark.parametrize(("options", "more"), [(("--no-history",), {}), ((), {"CHATBOT_HISTORY": "0"})])
def test_no_history_leaves_no_file(
    chat: Open, tmp_path: Path, options: tuple[str, ...], more: dict[str, str]
) -> None:
    screen = chat(*options, **more)
    screen.enter("hello")
    screen.press(UP)  # but in this conversation it is there
    screen.wait_for("> hello\n")
    assert screen.leave(f"{CTRL_C}\x04") == 0
    assert not list((tmp_path / "home").glob("**/*"))


def test_ctrl_r_searches_what_was_said(chat: Open) -> None:
    screen = chat()
    screen.enter("where is the owl")
    screen.enter("who are you")
    screen.press(f"{CTRL_R}owl")
    screen.wait_for("I-search backward: owl", "where is the owl")
    screen.press("\r\r")
    screen.open(4)
    assert screen.said[-2:] == ["> where is the owl", "Hi there."]


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("/att\t", "/attention"), ("/set temp\t", "/set temperature"), ("/model ow\t", "/model owl")],
)
def test_tab_completes_commands_and_their_values(chat: Open, typed: str, completed: str) -> None:
    screen = chat(said={"parrot": ["Hi."], "owl": ["Hoo."]})
    screen.press(typed)
    screen.wait_for(f"> {completed}")
    assert screen.prompts == 1


def test_another_bot_goes_on_with_the_conversation(chat: Open) -> None:
    screen = chat(said={"parrot": ["Hi."], "owl": ["Hoo."]})
    screen.enter("hello")
    screen.enter("/model owl")
    screen.enter("you")
    assert screen.said[2:] == ["> hello", "Hi.", "> /model owl", "This is owl now.", "> you", "Hoo."]
    assert screen.shown[-1].startswith("owl  temperature")


def test_two_bots_are_compared_blind(chat: Open) -> None:
    screen = chat(said={"parrot": ["Hi."], "owl": ["Hoo."]})
    screen.enter("/compare parrot owl")
    screen.press("hello\r")
    screen.wait_for("Which is better?")
    assert "owl" not in str(screen).split("> hello")[1]
    screen.press("1\r")
    screen.open(4)  # the question is a prompt too
    assert {"1: parrot, 2: owl", "1: owl, 2: parrot"} & set(screen.said)


def test_the_status_line_knows_bot_settings_speed_and_context(chat: Open) -> None:
    screen = chat()
    assert screen.shown[-1] == "parrot  temperature 0  guidance 0  /help"
    screen.enter("hello")
    name, drawn, speed, context, changed, hint = screen.shown[-1].split("  ")
    assert (name, drawn, changed, hint) == ("parrot", "temperature 0", "guidance 0", "/help")
    assert speed.endswith(" tokens/s")
    assert context == "context 3/96"


def test_a_conversation_that_is_kept_goes_on(chat: Open) -> None:
    first = chat("--log")
    first.enter("hello")
    assert "kept" in first.shown[-1]
    assert first.leave() == 0
    second = chat("-c")
    assert second.said == [*GREETING, KEPT, "> hello", "Hi there."]
    second.enter("/undo")
    assert second.said[-1] == "Taken back: hello"


def test_a_conversation_that_is_open_elsewhere_is_left_alone(chat: Open, start: Open) -> None:
    first = chat("--log")
    first.enter("hello")
    second = start("-c", columns=200)
    assert second.ended() == 1
    assert "is open in another chatbot" in str(second)
    assert first.leave() == 0
    third = chat("-c")
    assert third.said == [*GREETING, KEPT, "> hello", "Hi there."]
    third.enter("/undo")
    assert third.leave() == 0
    assert "no conversation was kept yet" in str(ended(start("-c", columns=200)))


def ended(screen: Screen) -> Screen:
    screen.ended()
    return screen


def test_nothing_is_kept_unless_asked_for(chat: Open, tmp_path: Path) -> None:
    screen = chat("--no-history")
    screen.enter("hello")
    assert screen.leave() == 0
    assert not list((tmp_path / "home").glob("**/*"))


def test_a_conversation_is_saved_loaded_and_never_written_over(chat: Open) -> None:
    Path("mine.md").write_text("mine")
    screen = chat()
    screen.enter("hello")
    for line in ("/save mine.md", "/save talk.jsonl", "/clear", "/load talk.jsonl"):
        screen.enter(line)
    assert screen.said[4:] == [
        "> /save mine.md",
        "mine.md is there already (give the conversation another name)",
        "> /save talk.jsonl",
        "2 turns written to talk.jsonl",
        "> /clear",
        "A new conversation.",
        "> /load talk.jsonl",
        "> hello",
        "Hi there.",
    ]
    assert Path("mine.md").read_text() == "mine"


@pytest.mark.parametrize("keys", ["/edit\r", CTRL_G])
def test_the_editor_writes_what_is_said(chat: Open, tmp_path: Path, keys: str) -> None:
    screen = chat(EDITOR=editor(tmp_path, 'printf "written elsewhere" > "$1"'))
    screen.press(keys)
    screen.wait_for("> written elsewhere")
    if keys == CTRL_G:
        screen.press("\r")  # what came from the editor may still be changed
    screen.wait_for("Hi there.")
    assert screen.leave() == 0


def test_an_editor_may_read_from_the_terminal(chat: Open, tmp_path: Path) -> None:
    screen = chat(EDITOR=editor(tmp_path, 'echo ready; read line < /dev/tty; printf "%s" "$line" > "$1"'))
    screen.press("/edit\r")
    screen.wait_for("ready")
    screen.press("typed there\r")
    screen.open(2)
    assert screen.said[2:] == ["> /edit", "ready", "typed there", "> typed there", "Hi there."]


def test_a_reply_that_was_suspended_has_the_terminal_to_itself_again(chat: Open) -> None:
    screen = chat(said=["one two three"], stops=2)
    screen.press("hello\r")
    screen.wait_for("one")
    assert not screen.echoes
    screen.suspend()
    assert screen.echoes  # the shell's mode
    screen.resume()
    screen.wait(lambda: not screen.echoes, "the program's mode")
    go_on()
    screen.open(2)
    assert screen.said[-1] == "one two three"


def test_an_editor_that_is_not_there_is_one_line(chat: Open) -> None:
    screen = chat(EDITOR="/nowhere/editor")
    screen.enter("/edit")
    assert "set EDITOR to an editor that is there" in " ".join(screen.said)


def test_an_editor_that_changes_nothing_says_nothing(chat: Open, tmp_path: Path) -> None:
    screen = chat(EDITOR=editor(tmp_path, "true"))
    screen.enter("/edit")
    assert screen.said[-1] == "Nothing was changed."


def test_the_map_of_a_long_prompt_on_a_narrow_screen_is_in_bands(chat: Open) -> None:
    screen = chat(columns=30, lines=40)
    screen.enter("one two three four five six seven")
    screen.enter("/attention")
    shown = screen.said[screen.said.index("> /attention") + 1 :]
    assert all(len(line) <= 30 for line in shown)
    assert sum("there." in line for line in shown) >= 2  # a row in each band
    assert [word for word in " ".join(shown).split() if word in ("one", "seven")] == ["one", "seven"]


@pytest.mark.parametrize("columns", [10, 20, 30, 80])
def test_the_strip_keeps_to_one_line(chat: Open, columns: int) -> None:
    screen = chat("--attention", columns=columns, lines=30, NO_COLOR="1")
    screen.enter("what did you say about that yesterday")
    strip = screen.said[-1]
    assert len(strip) < columns
    assert "say█" in strip  # the last of the darkest


SHADES = set("░▒▓█")


def test_the_strip_is_tinted_where_there_is_colour(chat: Open) -> None:
    screen = chat("--attention")
    screen.enter("who are you")
    assert screen.said[-1] == "who are you"
    assert len({cell.fg for cell in cells(screen)}) > 2


@pytest.mark.parametrize("more", [{"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_the_strip_is_shaded_where_colour_is_not_wanted(chat: Open, more: dict[str, str]) -> None:
    screen = chat("--attention", **more)
    screen.enter("who are you")
    assert SHADES & set(screen.said[-1])
    assert {cell.fg for cell in cells(screen)} == {"default"}


def test_a_dumb_terminal_gets_plain_lines(start: Open) -> None:
    screen = start("--attention", TERM="dumb")
    screen.wait_for("\n>")
    screen.press("who are you\r")
    screen.wait_for("Hi there.", "who")
    screen.wait(lambda: screen.lines[screen.emulator.cursor.y] == ">", "a second prompt")
    assert b"\x1b" not in screen.raw
    assert screen.leave() == 0


def test_a_narrow_dumb_terminal_gets_lines_that_fit(start: Open) -> None:
    screen = start("--no-history", TERM="dumb", columns=40)
    for typed in ("/attention map", "one two three four five six seven eight"):
        screen.wait(lambda: screen.lines[screen.emulator.cursor.y] == ">", "a prompt")
        screen.press(f"{typed}\r")
    screen.wait_for("most")
    assert screen.leave() == 0
    shown = screen.raw.decode().partition("eight\r\n")[2].splitlines()
    assert max(map(len, shown)) <= 40


def test_a_dumb_terminal_is_asked_once(start: Open) -> None:
    screen = start(TERM="dumb", said={"parrot": ["Hi."], "owl": ["Hoo."]})
    for typed in ("/compare parrot owl", "hello"):
        screen.wait(lambda: screen.lines[screen.emulator.cursor.y] == ">", "a prompt")
        screen.press(f"{typed}\r")
    screen.wait_for("for neither:")
    screen.press("2\r")
    screen.wait(lambda: screen.lines[screen.emulator.cursor.y] == ">", "another prompt")
    assert screen.raw.count(b"Which is better?") == 1
    assert screen.leave() == 0


def test_replies_alone_go_to_a_redirected_stdout_and_the_prompt_stays_on_the_screen(start: Open) -> None:
    shell = f"{shlex.join(program('chat', '--attention'))} > replies.txt"
    screen = start(command=("sh", "-c", shell))
    screen.open()
    screen.enter("who are you")
    assert screen.said == [*GREETING, "> who are you", "who are you"]  # the strip was asked for
    assert screen.leave() == 0
    assert Path("replies.txt").read_text() == "Hi there.\n"


def test_a_bot_that_cannot_be_loaded_is_one_line_and_code_1(start: Open) -> None:
    screen = start(broken="config.json is damaged")
    assert screen.ended() == 1
    assert "Error: config.json is damaged" in screen.shown
    assert "Traceback" not in str(screen)


def test_a_style_that_is_not_there_is_wrong_usage(start: Open) -> None:
    screen = start("--style", "livly")
    assert screen.ended() == 2
    assert "parrot has no style 'livly'" in " ".join(screen.shown)
    assert "Traceback" not in str(screen)


def test_a_bot_that_is_not_there_is_one_line_and_code_1(start: Open) -> None:
    screen = start("owl")
    assert screen.ended() == 1
    assert screen.shown == ["Error: there is no bot 'owl'", "known: parrot"]


def test_one_reply_on_a_narrow_terminal_is_broken_between_words(start: Open) -> None:
    screen = start("-p", "hi", said=["I am only a small parrot in a cage."], columns=16)
    screen.wait_for("cage.")
    assert [line for line in screen.lines if line][-3:] == ["I am only a", "small parrot in", "a cage."]
