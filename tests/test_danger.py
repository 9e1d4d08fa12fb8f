"""What is said of danger, and what the program says then."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatbot import danger
from chatbot.cli import main
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved


@pytest.mark.parametrize(
    "text",
    [
        "I want to die",
        "i dont want to live",
        "I don’t want to LIVE anymore!",
        "He hits me.",
        "my dad beats me up",
    ],
)
def test_danger_is_heard_however_it_is_written(text: str) -> None:
    assert danger.speaks_of(text)


@pytest.mark.parametrize("text", ["", "I want to dine", "my diet", "the play ends", "what hits memory?"])
def test_other_words_are_none(text: str) -> None:
    assert not danger.speaks_of(text)


def test_every_phrase_of_the_list_is_found() -> None:
    lines = (files("chatbot") / "danger.txt").read_text().splitlines()
    phrases = [line for line in lines if line and not line.startswith("#")]
    assert len(phrases) > 30
    assert all(danger.speaks_of(f"So, {phrase.upper()}!") for phrase in phrases)


def test_the_line_stands_beside_the_reply_and_never_in_it(tmp_path: Path, tokenizer: Tokenizer) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    result = CliRunner().invoke(main, ["chat", str(folder), "--lines"], input="hello\nI want to die\nhello\n")
    assert result.exit_code == 0
    assert result.stderr.count(danger.HELP) == 1
    assert danger.HELP not in result.stdout
    assert result.stdout.count("\n") == 3
