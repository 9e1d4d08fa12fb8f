"""`chatbot chat` and `chatbot list` as they are called: stdout, stderr, exit codes; a real terminal."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pexpect
import pytest
from click.testing import CliRunner, Result

from chatbot import __version__, checkpoint
from chatbot.bot import Bot
from chatbot.checkpoint import Summary
from chatbot.cli import COMMANDS, main
from chatbot.cli.chat import _same, _talk, load
from chatbot.cli.list import aligned, count
from chatbot.decoding import STYLES
from chatbot.errors import ChatbotError
from chatbot.terminal import keeping, repl
from chatbot.terminal.keeping import Log
from chatbot.terminal.session import Opening
from tests.fakes import ScriptedResponder, scripted_bot
from tests.terminals import environment, heeds_ctrl_c

Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch) -> Bot:
    loaded = scripted_bot("Hi.", "Fine, thanks.")
    monkeypatch.setattr(checkpoint, "find", lambda name: loaded.checkpoint.folder)
    monkeypatch.setattr(Bot, "load", classmethod(lambda cls, folder, device, engine: loaded))
    return loaded


@pytest.fixture
def call() -> Call:
    def run(*arguments: str, input: str | bytes = "") -> Result:
        return CliRunner().invoke(main, arguments, input=input)

    return run


def outcome(result: Result) -> tuple[str, str, int]:
    return result.stdout, result.stderr, result.exit_code


def heard(bot: Bot) -> list[str]:
    assert isinstance(bot.responder, ScriptedResponder)
    return bot.responder.heard()


def drawn_with(bot: Bot, call: Call, *arguments: str) -> Any:  # Any: JSON values
    return json.loads(call("chat", "--json", "-p", "hello", *arguments).stdout)["sampling"]


def test_a_piped_prompt_gets_its_reply_alone_on_stdout(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", input="hello\n")) == ("Hi.\n", "", 0)


@pytest.mark.parametrize("arguments", [(), ("chat", "--whole")])
def test_the_whole_of_stdin_is_one_prompt(bot: Bot, call: Call, arguments: tuple[str, ...]) -> None:
    assert outcome(call(*arguments, input="hello,\nhow\r\nare you?\n\n")) == ("Hi.\n", "", 0)
    assert heard(bot) == ["hello, how are you?"]


def test_what_is_piped_into_a_chat_is_a_conversation_turn_by_turn(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", input="hello\nyou?\n\nyes")) == ("Hi.\nFine, thanks.\n\nHi.\n", "", 0)
    assert heard(bot) == ["hello", "hello|Hi.|you?", "Hi.|you?|Fine, thanks.|yes"]  # it sees three turns


def test_a_conversation_through_a_pipe_has_records_too(bot: Bot, call: Call) -> None:
    done = call("chat", "--json", "-v", input="hello\nyou?\n")
    assert [json.loads(line)["prompt"] for line in done.stdout.splitlines()] == ["hello", "you?"]
    assert done.stderr.count("seed") == 2


def test_nothing_said_in_a_conversation_is_no_error(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", input="")) == ("", "", 0)


def test_a_prompt_as_an_argument(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", "-p", "hello")) == ("Hi.\n", "", 0)


def test_what_is_piped_comes_before_the_argument(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", "-p", "you?", input="hello\n")) == ("Hi.\n", "", 0)
    assert heard(bot) == ["hello you?"]


def test_lines_get_a_reply_each(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", "--lines", input="hello\n\nyou?\nyes")) == (
        "Hi.\n\nFine, thanks.\nHi.\n",
        "",
        0,
    )
    assert heard(bot) == ["hello", "you?", "yes"]


def test_lines_of_nothing_are_nothing(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", "--lines")) == ("", "", 0)


@pytest.mark.parametrize("arguments", [("--whole",), ("-p", ""), ("-p", " \n"), ("--whole", "--json")])
def test_nothing_to_answer_is_a_usage_error(bot: Bot, call: Call, arguments: tuple[str, ...]) -> None:
    out, err, code = outcome(call("chat", *arguments, input=" \n"))
    assert (out, code) == ("", 2)
    assert err.endswith("Error: There is nothing to answer: give a --prompt, or pipe one in.\n")


def test_lines_and_an_argument_do_not_go_together(bot: Bot, call: Call) -> None:
    out, err, code = outcome(call("chat", "--lines", "-p", "hello"))
    assert (out, code) == ("", 2)
    assert "leave out --prompt" in err


def test_bytes_that_are_no_text_do_not_end_it(bot: Bot, call: Call) -> None:
    assert outcome(call("chat", input=b"hell\xffo\n")) == ("Hi.\n", "", 0)
    assert heard(bot) == ["hell\ufffdo"]


def test_json_is_one_object(bot: Bot, call: Call) -> None:
    out, err, code = outcome(call("chat", "--json", "--seed", "5", input="hello\n"))
    record = json.loads(out)
    assert (err, code) == ("", 0)
    assert (record["prompt"], record["reply"], record["sampling"]["seed"]) == ("hello", "Hi.", 5)
    assert [sum(piece["attention"]) for piece in record["pieces"]] == pytest.approx([1, 1, 1])


def test_json_of_lines_is_one_object_a_line(bot: Bot, call: Call) -> None:
    lines = call("chat", "--json", "--lines", input="hello\n\nyou?\n").stdout.splitlines()
    assert [json.loads(line)["reply"] for line in lines] == ["Hi.", "", "Fine, thanks."]


def test_attention_goes_to_stderr(bot: Bot, call: Call) -> None:
    out, err, code = outcome(call("chat", "--attention", "-p", "hello"))
    assert (out, code) == ("Hi.\n", 0)
    assert "│ hello │ marks" in err


def test_settings_that_are_not_given_are_the_bots_own(bot: Bot, call: Call) -> None:
    assert drawn_with(bot, call)["temperature"] == 0
    settings = drawn_with(bot, call, "-t", "0.3", "-k", "7", "--top-p", "0.5", "-n", "9", "--seed", "none")
    assert settings.pop("seed") is not None
    assert settings.items() >= {"temperature": 0.3, "top_k": 7, "top_p": 0.5, "max_tokens": 9}.items()
    assert settings["guidance"] == bot.sampling.guidance == 0


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (
            ("--temperature", "hot"),
            "'--temperature' / '--temp' / '-t': temperature must be a number, not 'hot'",
        ),
        (("--top-p", "2"), "'--top-p': top_p must be over 0 and at most 1, not 2.0"),
        (("-n", "0"), "max_tokens must be from 1 to 10,000, not 0"),
        (("--device", "tpu"), "'tpu' is not one of"),
    ],
)
def test_a_wrong_setting_is_a_usage_error(call: Call, arguments: tuple[str, ...], what: str) -> None:
    out, err, code = outcome(call("chat", "-p", "hello", *arguments))
    assert (out, code) == ("", 2)
    assert what in err


def test_with_no_bot_one_line_says_how_to_train_one(call: Call) -> None:
    for arguments in (("chat",), ("chat", "-p", "hello"), ("chat", "--lines")):
        out, err, code = outcome(call(*arguments, input="hello\n"))
        assert (out, code) == ("", 1)
        [_] = [line for line in err.splitlines() if "chatbot train corpora/smalltalk" in line]
        assert err.startswith("Error: there is no bot")


def test_an_error_quotes_nothing_that_a_terminal_obeys(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str | None) -> Path:
        raise ChatbotError("gpt has no setting '\x1b[31m'", "did you mean '\u202e'?")

    monkeypatch.setattr(checkpoint, "find", find)
    error = "Error: gpt has no setting '[31m'\ndid you mean ''?\n"
    assert outcome(call("chat", "-p", "hello")) == ("", error, 1)


def test_ctrl_c_ends_with_130(bot: Bot, call: Call) -> None:
    assert isinstance(bot.responder, ScriptedResponder)
    bot.responder.engine.interrupted_at = 1
    assert outcome(call("chat", "-p", "hello")) == ("Hi\n", "", 130)


def test_our_own_mistakes_keep_their_traceback(bot: Bot, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: object) -> Bot:
        raise ZeroDivisionError

    monkeypatch.setattr(Bot, "load", load)
    assert isinstance(call("chat", "-p", "hello").exception, ZeroDivisionError)


def test_list_says_what_there_is(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path("checkpoints")
    figures = {"nats_per_word": 4.0984, "bits": 1.5}
    bots = [
        Summary("cornell-gpt", here, "gpt", 5_230_000, "2026-01-31T12:00:00+00:00", figures, "cornell"),
        Summary("a\x1b[31m東", here, "seq2seq", 950, "2026-02-01", {}, "own"),
        Summary("torn", here, problem="torn/config.json is\ndamaged"),
    ]
    monkeypatch.setattr(checkpoint, "available", lambda: bots)
    assert outcome(call("list")) == (
        "   name         model    size  trained     nats/word  corpus\n"
        "   cornell-gpt  gpt      5.2M  2026-01-31  4.098      cornell\n"
        "*  a[31m東      seq2seq  950   2026-02-01  -          own\n"
        "   torn         cannot be used: torn/config.json is damaged\n",
        "* is who `chatbot chat` talks to without a name\n",
        0,
    )


def test_an_empty_list_says_how_to_train_one(call: Call) -> None:
    out, err, code = outcome(call("list"))
    assert (out, code) == ("", 0)
    assert "chatbot train corpora/smalltalk" in err


def test_numbers_are_short() -> None:
    assert [count(n) for n in (0, 999, 1_000, 1_234_567, 2_000_000_000)] == [
        "0",
        "999",
        "1.0k",
        "1.2M",
        "2.0G",
    ]


def test_cells_stand_below_each_other() -> None:
    assert aligned([["東京", "a"], ["x", "b"], ["only"]]) == ["東京  a", "x     b", "only"]


def test_help_lists_every_command_with_its_first_line(call: Call) -> None:
    out, err, code = outcome(call("--help"))
    assert (err, code) == ("", 0)
    for name in COMMANDS:
        assert f"\n  {name} " in out
    assert "Talk to a bot, or have it answer a pipe." in out


@pytest.mark.parametrize("name", ["chat", "list"])
def test_the_list_of_commands_says_what_the_command_says(call: Call, name: str) -> None:
    first = call(name, "--help").stdout.split("\n\n")[1].strip()
    assert " ".join(first.split()) in call("--help").stdout


def test_the_version(call: Call) -> None:
    assert outcome(call("--version")) == (f"chatbot, version {__version__}\n", "", 0)


@pytest.mark.parametrize(("name", "meant"), [("chta", "chat"), ("trian", "train"), ("Compare", "compare")])
def test_a_misspelt_command_is_a_usage_error(call: Call, name: str, meant: str) -> None:
    result = call(name, "corpora/cornell")
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.stderr


def test_what_is_no_command_is_answered(bot: Bot, call: Call) -> None:
    assert outcome(call("Where are you?", "-t", "0")) == ("Hi.\n", "", 0)
    assert outcome(call("-t", "0"))[2] == 2
    assert "quotation marks" in call("where", "are", "you").stderr


def test_what_comes_through_a_pipe_is_answered(tmp_path: Path) -> None:
    assert piped(tmp_path, "echo hello | chatbot").stdout == "Hi there.\n"


def test_verbose_tells_how_fast_a_reply_came_and_its_seed(bot: Bot, call: Call) -> None:
    told = call("chat", "-p", "hello", "--verbose").stderr
    assert re.fullmatch(r"3 tokens, [\d,]+ tokens/s, the first after \d+ ms, seed \d+\n", told)
    assert ", seed 7\n" in call("chat", "-p", "hello", "--verbose", "--seed", "7").stderr


def test_without_streaming_the_same_is_written(bot: Bot, call: Call) -> None:
    assert call("chat", "-p", "hello", "--no-stream").stdout == "Hi.\n"


def test_paths_shows_where_everything_is(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(tmp_path / "home"))
    lines = call("paths").stdout.splitlines()
    assert len(lines) == 7
    assert sum(str(tmp_path / "home") in line for line in lines) == 5


# What follows runs the program with a scripted bot, in a process of its own.

PROGRAM = """
from pathlib import Path
from chatbot import checkpoint
from chatbot.bot import Bot
from chatbot.cli import main
from tests.fakes import scripted_bot

bot = scripted_bot("Hi there.", "Fine, thanks.", "東京 \\x1b[31m")
checkpoint.find = lambda name: bot.checkpoint.folder
Bot.load = lambda folder, device, engine: bot
main()
"""


class Terminal:
    """A program in a pseudo-terminal. Its prompt is open where it switches bracketed paste on."""

    OPEN = r"\x1b\[\?2004h"

    def __init__(self, home: Path, *command: str, **more: str) -> None:
        self._child = pexpect.spawn(
            command[0],
            list(command[1:]),
            env=environment(home, PROMPT_TOOLKIT_NO_CPR="1", **more),
            encoding="utf-8",
            timeout=20,
            preexec_fn=heeds_ctrl_c,
        )

    def type(self, keys: str, *shown: str, prompt: str = OPEN) -> str:
        """Wait for the prompt, then press keys."""
        self._child.expect(prompt)
        return self.press(keys, *shown)

    def press(self, keys: str, *shown: str) -> str:
        """Press keys at once, wait for texts; what stood before the last of them."""
        self._child.send(keys)
        for text in shown:
            self._child.expect_exact(text)
        return str(self._child.before)

    def leave(self, prompt: str = OPEN) -> int:
        """Press Ctrl-D; the exit code."""
        self.type("\x04", prompt=prompt)
        self._child.expect(pexpect.EOF)
        self._child.close()
        return int(self._child.exitstatus)


CHAT = (sys.executable, "-c", PROGRAM, "chat")


def test_a_conversation_in_a_real_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *CHAT)
    terminal.type("hello\r", "Hi there.")
    terminal.type("/attention\r", "most 33%")
    terminal.type("\x03", "Ctrl-D or /exit")
    assert terminal.leave() == 0
    assert (tmp_path / "history").read_text().count("+hello") == 1


def test_the_arrow_brings_back_an_earlier_conversation(tmp_path: Path) -> None:
    for keys in ("hello\r", "\x1b[A\r"):
        terminal = Terminal(tmp_path, *CHAT)
        terminal.type(keys, "Hi there.")
        assert terminal.leave() == 0


def test_what_is_typed_before_the_prompt_is_said_at_the_prompt(tmp_path: Path) -> None:
    slow = 'print("STARTING", flush=True), __import__("time").sleep(0.3)'
    program = PROGRAM.replace(
        "main()",
        f"from chatbot.cli import chat\nbefore = chat._talk\n"
        f"chat._talk = lambda *given: ({slow}, before(*given))\nmain()",
    )
    terminal = Terminal(tmp_path, sys.executable, "-c", program, "chat")
    assert "hello" not in terminal.type("hello\r", "This is parrot", prompt="STARTING")
    terminal.type("", "Hi there.")
    assert terminal.leave() == 0


def test_a_bot_that_cannot_be_loaded_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    program = PROGRAM.replace(
        "engine: bot",
        "engine: (_ for _ in ()).throw(__import__('chatbot.errors').errors.ChatbotError('broken'))",
    )
    terminal = Terminal(tmp_path, sys.executable, "-c", program, "chat")
    assert "Traceback" not in terminal.press("", "Error: broken")
    terminal._child.expect(pexpect.EOF)
    terminal._child.close()
    assert terminal._child.exitstatus == 1


def test_ctrl_c_in_a_real_terminal_stops_a_reply_and_stays(tmp_path: Path) -> None:
    looks = 'lambda i, n: __import__("time").sleep(i) or [1 / n] * n'
    slow = f'scripted_bot("one two three four five six seven", looks={looks})'
    program = PROGRAM.replace('"東京 \\x1b[31m")', f'"")\nbot = {slow}')
    assert slow in program
    terminal = Terminal(tmp_path, sys.executable, "-c", program, "chat")
    terminal.type("hello\r", "one")
    terminal.press("\x03", "(interrupted)")
    terminal.type("/attention\r", "one")
    assert terminal.leave() == 0


def test_the_terminal_is_left_as_it_was(tmp_path: Path) -> None:
    shell = f"stty -a > before; {sys.executable} -c '{PROGRAM}' chat; stty -a > after"
    terminal = Terminal(tmp_path, "sh", "-c", f"cd {tmp_path}; {shell}")
    terminal.leave()
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


def test_colour_is_used_where_it_can_be(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, *CHAT, "--attention")
    assert "\x1b[1;4;38;5;202m" in terminal.type("hello\r", "there.", "hello")
    assert "\x1b[38;5;202m███" in terminal.type("/attention\r", "most 33%")
    assert terminal.leave() == 0


@pytest.mark.parametrize(("prompt", "more"), [(Terminal.OPEN, {"NO_COLOR": "1"}), ("> ", {"TERM": "dumb"})])
def test_no_colour_is_obeyed(tmp_path: Path, prompt: str, more: dict[str, str]) -> None:
    terminal = Terminal(tmp_path, *CHAT, "--attention", **more)
    shown = terminal.type("hello\r", "there.", "hello█", prompt=prompt)
    assert "\x1b[38;5" not in shown + terminal.type("/attention\r", "most 33%", prompt=prompt)
    assert terminal.leave(prompt) == 0


def test_replies_alone_go_to_a_redirected_stdout(tmp_path: Path) -> None:
    file = tmp_path / "replies.txt"
    terminal = Terminal(tmp_path, "sh", "-c", f"{sys.executable} -c '{PROGRAM}' chat > {file}")
    terminal.type("hello\r")
    assert terminal.leave() == 0
    assert file.read_text() == "Hi there.\n"


def piped(home: Path, shell: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", shell.replace("chatbot", f"{sys.executable} -c '{PROGRAM}'")],
        env=environment(home, **more),
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    done = piped(tmp_path, "yes | chatbot chat --lines | head -n 2")
    assert (done.stdout, done.stderr) == ("Hi there.\nFine, thanks.\n", "")


def test_a_locale_that_cannot_write_a_reply_is_no_error(tmp_path: Path) -> None:
    done = piped(tmp_path, r"printf 'a\nb\nc\n' | chatbot chat --lines", PYTHONIOENCODING="ascii")
    assert done.stdout == "Hi there.\nFine, thanks.\n?? [31m\n"
    assert (done.stderr, done.returncode) == ("", 0)


def test_json_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    shell = r"printf 'a\nb\nc\n' | chatbot chat --lines --json"
    done = piped(tmp_path, shell, PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout.splitlines()[2])["reply"] == "東京 \x1b[31m"


@pytest.mark.parametrize(
    ("shell", "why"),
    [
        ("chatbot chat -p hello >&-", "there is no standard output"),
        ("chatbot chat -p hello > /dev/full", "the reply cannot be written: No space left on device"),
    ],
)
def test_a_reply_that_cannot_be_written_is_said(tmp_path: Path, shell: str, why: str) -> None:
    if "/dev/full" in shell and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = piped(tmp_path, shell)
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 1


def test_a_carriage_return_within_a_line_does_not_end_it(tmp_path: Path) -> None:
    done = piped(tmp_path, r"printf 'a\rb\r\nc\r\n' | chatbot chat --lines")
    assert done.stdout.splitlines() == ["Hi there.", "Fine, thanks."]


def test_a_closed_stdin_is_an_empty_one(tmp_path: Path) -> None:
    done = piped(tmp_path, "chatbot chat -p hello <&-")
    assert (done.stdout, done.stderr, done.returncode) == ("Hi there.\n", "", 0)


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_several_settings_and_those_that_are_given_count_more(bot: Bot, style: str) -> None:
    folder = bot.checkpoint.folder
    drawn = load(folder, "cpu", "auto", style, {}).sampling
    assert {name: getattr(drawn, name) for name in STYLES[style]} == dict(STYLES[style])
    assert drawn.guidance == bot.sampling.guidance
    assert load(folder, "cpu", "auto", style, {"temperature": "0.11"}).sampling.temperature == 0.11


def test_a_style_is_taken_from_the_command_line(bot: Bot, call: Call) -> None:
    assert drawn_with(bot, call, "--style", "careful", "-t", "0")["candidates"] == 8
    assert drawn_with(bot, call, "--diverse", "-t", "0", "--min-tokens", "0")["candidates"] == 4


def test_a_style_that_is_not_there_is_wrong_usage(bot: Bot, call: Call) -> None:
    result = call("chat", "-p", "hello", "--style", "livly")
    assert result.exit_code == 2
    assert all(style in result.stderr for style in STYLES)


def test_a_style_that_another_bot_has_not_does_not_end_the_conversation(
    bot: Bot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, first: Callable[[], Bot], another: Callable[[str], Bot], opening: Opening) -> None:
        with pytest.raises(click.UsageError):  # at the start, it is wrong usage
            first()
        with pytest.raises(ChatbotError, match="parrot has no style 'livly'") as error:
            another("parrot")
        assert error.value.hint == "to talk to parrot, begin a conversation without --style"
        runs.append(name)

    runs: list[str] = []
    monkeypatch.setattr(repl, "run", run)
    _talk(bot.checkpoint.folder, lambda folder: load(folder, "cpu", "auto", "livly", {}), Opening())
    assert runs == ["parrot"]


def test_a_link_to_nowhere_is_no_conversation_to_go_on_with(tmp_path: Path) -> None:
    kept = keeping.folder()
    kept.mkdir(parents=True)
    (kept / "z.jsonl").symlink_to("nowhere")
    with pytest.raises(ChatbotError, match="no conversation was kept yet"):
        keeping.newest()
    (kept / "a.jsonl").touch()
    assert keeping.newest() == kept / "a.jsonl"


def test_an_impossible_figure_is_not_printed_digit_by_digit(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots = [Summary("owl", Path("owl"), "gpt", 1, "2026", {"nats_per_word": 1e308}, "own")]
    monkeypatch.setattr(checkpoint, "available", lambda: bots)
    assert "2026     -  " in call("list").stdout


def test_options_alone_are_for_what_comes_through_a_pipe(bot: Bot, call: Call) -> None:
    assert json.loads(call("--json", input="hello\nyou").stdout)["prompt"] == "hello you"
    assert outcome(call("-t", "0", input="hello")) == ("Fine, thanks.\n", "", 0)
    assert call("--version").stdout.startswith("chatbot, ")


def test_a_conversation_to_go_on_with_has_a_name(bot: Bot, call: Call) -> None:
    result = call("chat", "--cid", "")
    assert result.exit_code == 2
    assert "it has no name" in result.stderr


def test_help_on_a_full_disk_is_one_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = piped(tmp_path, "chatbot --help > /dev/full")
    assert "Traceback" not in done.stderr
    assert done.returncode != 0


def test_a_text_without_its_option_is_told_where_it_goes() -> None:
    result = CliRunner().invoke(main, ["chat", "owl", "how are you?"])
    assert result.exit_code == 2
    assert 'chatbot chat owl -p "..."' in result.stderr


def test_a_conversation_goes_on_with_the_bot_it_was_held_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [Summary("owl", tmp_path / "owl"), Summary("torn", tmp_path / "torn", problem="damaged")]
    monkeypatch.setattr(checkpoint, "available", lambda: there)

    def goes_on_with(bot: str) -> Path:
        return _same(Opening(log=Log(tmp_path / "talk.jsonl", bot=bot)), tmp_path / "newest")

    assert goes_on_with("owl") == tmp_path / "owl"
    for name in ("", "torn", "gone", "../owl", str(tmp_path / "owl")):
        assert goes_on_with(name) == tmp_path / "newest"
    assert _same(Opening(), tmp_path / "newest") == tmp_path / "newest"
