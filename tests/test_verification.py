"""Replies kept with a bot, made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatbot.bot import Bot
from chatbot.checkpoint import MODEL, SAMPLES
from chatbot.cli import main
from chatbot.errors import CheckpointError
from chatbot.tokenizer import Tokenizer
from chatbot.verification import keep, verify
from tests.test_bot import saved

PROMPTS = ("Who are you?", "Hello.")


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A bot with replies kept."""
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    keep(Bot.load(folder), PROMPTS)
    return folder


def test_a_bot_says_again_what_it_said(folder: Path) -> None:
    assert verify(Bot.load(folder)) == (2, [])
    result = CliRunner().invoke(main, ["verify", str(folder)])
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "2 of 2 replies are the same")


def test_another_reply_is_shown_and_exit_code_1(folder: Path) -> None:
    kept = json.loads((folder / SAMPLES).read_text())
    kept[1]["reply"] = "Ho\x1b[31m!"
    (folder / SAMPLES).write_text(json.dumps(kept))
    _, (different,) = verify(Bot.load(folder))
    assert (different.prompt, different.then) == ("Hello.", "Ho\x1b[31m!")
    result = CliRunner().invoke(main, ["verify", str(folder)])
    assert result.exit_code == 1
    assert "then: Ho[31m!" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 of 2 replies are the same"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "[1]", '[{"prompt": 1, "reply": "", "sampling": {}}]', "[" * 9999]
)
def test_what_is_kept_must_be_replies(folder: Path, text: str) -> None:
    (folder / SAMPLES).write_text(text)
    with pytest.raises(CheckpointError, match=r"no replies are kept|is damaged"):
        verify(Bot.load(folder))


def test_weights_that_were_changed_are_refused(folder: Path) -> None:
    data = bytearray((folder / MODEL).read_bytes())
    data[-1] ^= 1
    (folder / MODEL).write_bytes(data)
    result = CliRunner().invoke(main, ["verify", str(folder)])
    assert result.exit_code == 1
    assert "checksum" in result.stderr


def test_a_bot_without_kept_replies_is_whole_all_the_same(folder: Path) -> None:
    (folder / SAMPLES).unlink()
    result = CliRunner().invoke(main, ["verify", str(folder)])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "owl: the weights are those that were saved"
    assert "chatbot report owl" in result.stdout
