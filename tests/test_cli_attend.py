"""`chatbot attend` as it is called: what it shows, what it writes, and what it says of wrong inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatbot.attribution import default_for, methods_for, title_of
from chatbot.bot import Bot
from chatbot.cli import main
from chatbot.models import FAMILIES
from chatbot.terminal.attention import words
from chatbot.tokenizer import Tokenizer
from tests.fakes import scripted_bot
from tests.test_attribution import saved_bot
from tests.test_imports import MAIN, loaded

Call = Callable[..., Result]


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bot:
    """Says one thing, and looks at all tokens alike; only its own weights can be asked for."""
    loaded = scripted_bot("Fine, thanks.")
    monkeypatch.setattr(Bot, "load", classmethod(lambda cls, name: loaded))
    monkeypatch.chdir(tmp_path)
    return loaded


@pytest.fixture
def call() -> Call:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["attend", *arguments])

    return run


def error(result: Result, code: int = 1) -> str:
    assert (result.stdout, result.exit_code) == ("", code)
    return result.stderr


def test_it_shows_the_reply_and_its_map(bot: Bot, call: Call) -> None:
    result = call("how are you?", "--method", "weights")
    assert (result.stderr, result.exit_code) == ("", 0)
    lines = result.stdout.splitlines()
    assert lines[0] == "Fine, thanks."
    assert lines[1] == "attention: the model's own weights, averaged over a word's tokens"
    assert lines[3].split() == ["│", "how", "are", "you?", "│", "marks"]
    assert lines[4].split()[0] == "Fine,"


@pytest.mark.parametrize(
    ("before", "speakers"),
    [((), ["user"]), (("Hm.",), ["bot", "user"]), (("Yes.", "Why?"), ["user", "bot", "user"])],
)
def test_it_looks_at_what_was_said_before(
    bot: Bot, call: Call, before: tuple[str, ...], speakers: list[str]
) -> None:
    told = [argument for text in before for argument in ("--before", text)]
    record = json.loads(call("how are you?", "--method", "weights", "--json", *told).stdout)
    assert record["prompt"] == "how are you?"
    turns = {word["turn"]: word["speaker"] for word in record["words"]}
    assert turns == dict(enumerate(speakers))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_method_of_a_family_shows_a_map_that_names_it(
    family: str, tokenizer: Tokenizer, tmp_path: Path, call: Call
) -> None:
    folder = str(saved_bot(tokenizer, tmp_path / "bot", family).checkpoint.folder)
    for method in methods_for(family):
        shown = call(folder, "Hello, how are you?", "--seed", "0", "-n", "5", "--method", method)
        assert (shown.stderr, shown.exit_code) == ("", 0)
        assert f"attention: {title_of(method)}, averaged" in shown.stdout
    by_default = call(folder, "Hello, how are you?", "--seed", "0", "-n", "5")
    assert f"attention: {title_of(default_for(family))}" in by_default.stdout


@pytest.mark.slow
def test_the_weights_need_no_torch(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = str(saved_bot(tokenizer, tmp_path / "bot", "gpt").checkpoint.folder)
    for method, expected in (("weights", False), ("norms", True)):
        asked = ["attend", folder, "hi", "-n", "3", "--seed", "0", "--method", method]
        assert ("torch" in loaded(MAIN.format(arguments=asked), tmp_path)) is expected


def test_json_has_pieces_words_and_every_share(tokenizer: Tokenizer, tmp_path: Path, call: Call) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "gpt")
    folder = str(bot.checkpoint.folder)
    asked = ("Where are you?", "--json", "--method", "weights", "-t", "0.5", "-n", "5", "--seed", "3")
    result = call(folder, *asked)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    reply = bot.reply("Where are you?", temperature=0.5, max_tokens=5, seed=3)
    assert (found["reply"], found["bot"], found["method"]) == (reply.text, "bot", "weights")
    assert found["sampling"]["seed"] == 3
    assert [row["weights"] for row in found["rows"]] == [list(row.weights) for row in words(reply).rows]
    assert [piece["attention"] for piece in found["pieces"]] == [list(t.attention) for t in reply.tokens]
    assert json.loads(call(folder, *asked, "--method", "norms").stdout)["rows"] != found["rows"]


def test_without_a_seed_the_one_that_was_drawn_is_written(bot: Bot, call: Call) -> None:
    found = json.loads(call("hello", "--json", "--method", "weights").stdout)
    assert isinstance(found["sampling"]["seed"], int)


def test_files_are_written_and_named(bot: Bot, call: Call, tmp_path: Path) -> None:
    result = call("hi", "--method", "weights", "--png", "a.png", "--svg", "a.svg", "--html", "a.html")
    assert (result.stdout, result.stderr, result.exit_code) == ("a.png\na.svg\na.html\n", "", 0)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()
    assert "Fine," in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_beside_json_the_files_are_not_named_on_stdout(bot: Bot, call: Call) -> None:
    result = call("hi", "--method", "weights", "--html", "a.html", "--json")
    assert result.stderr == "a.html\n"
    assert json.loads(result.stdout)["reply"] == "Fine, thanks."


def test_what_cannot_be_written_is_said_in_a_line(bot: Bot, call: Call) -> None:
    found = error(call("hi", "--method", "weights", "--html", "nowhere/a.html"))
    assert found == "Error: nowhere/a.html cannot be written: No such file or directory\n"
    assert "Is a directory" in error(call("hi", "--method", "weights", "--png", "."))


@pytest.mark.parametrize("arguments", [(), ("",), ("bot", " \n ")])
def test_a_text_without_words_is_wrong_usage(arguments: tuple[str, ...], bot: Bot, call: Call) -> None:
    assert "There is nothing to reply to" in error(call(*arguments), 2)


def test_a_bot_without_a_text_is_wrong_usage(tokenizer: Tokenizer, tmp_path: Path, call: Call) -> None:
    folder = str(saved_bot(tokenizer, tmp_path / "bot", "gpt").checkpoint.folder)
    found = error(call(folder), 2)
    assert f"'{folder}' is a bot, and there is no TEXT for it to reply to." in found


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("--html", ""), "Invalid value for '--html': it has no name."),
        (("--png", "map", "--html", "./map"), "Two files have the same name"),
    ],
)
def test_files_without_a_name_of_their_own_are_wrong_usage(
    bot: Bot, call: Call, files: tuple[str, ...], what: str
) -> None:
    assert what in error(call("hi", *files), 2)


def test_a_method_that_there_is_not_is_wrong_usage(bot: Bot, call: Call) -> None:
    assert "'wieghts' is not one of 'weights'" in error(call("hi", "--method", "wieghts"), 2)


def test_a_method_that_the_family_has_not_is_said_in_a_line(
    tokenizer: Tokenizer, tmp_path: Path, call: Call
) -> None:
    bot = saved_bot(tokenizer, tmp_path / "bot", "seq2seq")
    found = error(call(str(bot.checkpoint.folder), "hi", "--method", "rollout"))
    assert found == "Error: seq2seq has no rollout\nit has weights, norms, gradient\n"


def test_an_unknown_bot_is_said_in_a_line(call: Call) -> None:
    assert error(call("nobody", "hi")).startswith("Error: there is no bot 'nobody'\n")


def test_a_wrong_setting_is_wrong_usage(bot: Bot, call: Call) -> None:
    assert "temperature" in error(call("hi", "-t", "hot"), 2)


def test_without_matplotlib_a_picture_says_how_to_get_it(
    bot: Bot, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "chatbot.drawing.picture", raising=False)
    found = error(call("hi", "--png", "a.png"))
    assert found == "Error: a picture needs matplotlib, which is not installed\npip install -e '.[plot]'\n"
    assert call("hi", "--method", "weights", "--html", "a.html").exit_code == 0
