"""How often a reply stays the same when the prompt is typed in a hurry."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.starter import hurried
from chatbot.bot import Bot
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved


def test_a_prompt_has_the_same_hurried_forms_every_time() -> None:
    made = hurried.variants("What are you going to do tonight?")
    assert made == hurried.variants("What are you going to do tonight?")
    assert len(made) == hurried.HANDS
    assert len(set(made)) > 1


def test_only_the_replies_that_stay_the_same_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tokenizer: Tokenizer
) -> None:
    folder = saved(tmp_path / "owl", "gpt", tokenizer)
    monkeypatch.setattr(hurried, "conversations", lambda file: [["Why?", "and then"], ["No."]])
    monkeypatch.setattr(hurried, "variants", lambda text: [text] * 4 + [text.lower()])
    monkeypatch.setattr(hurried, "greedy", lambda bot, texts: list(texts))
    result = CliRunner().invoke(hurried.main, [str(folder)])
    assert result.exit_code == 0, result.output
    assert result.output.endswith(": 80.0% of 10 replies are the same\n")


def test_replies_are_the_likeliest(tmp_path: Path, tokenizer: Tokenizer) -> None:
    bot = Bot.load(saved(tmp_path / "owl", "gpt", tokenizer))
    assert hurried.greedy(bot, ["why not"] * 20) == hurried.greedy(bot, ["why not"]) * 20
