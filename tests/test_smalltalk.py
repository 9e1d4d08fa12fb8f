"""The corpus that comes with the program: readable whole, in its form, and no two dialogues alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.variety import doubles
from chatbot.corpus import Corpus, open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.dialogue import Dialogue

FOLDER = Path(__file__).parent.parent / "corpora" / "smalltalk"
GRAM = 4  # words


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return open_corpus(FOLDER)


@pytest.fixture(scope="module")
def dialogues(corpus: Corpus) -> list[Dialogue]:
    return list(clean(corpus, CleaningConfig(), corpus.report))


def test_none_is_lost(corpus: Corpus, dialogues: list[Dialogue]) -> None:
    assert len(dialogues) == corpus.report.conversations_listed >= 4000
    assert f"{len(dialogues):,} conversations" in (FOLDER / "README.md").read_text()


def test_everybody_answers_in_turn(dialogues: list[Dialogue]) -> None:
    usual = sum(len(dialogue.turns) <= 10 for dialogue in dialogues)
    assert usual > 0.9 * len(dialogues), "a few are long, to learn what was said long ago"
    for dialogue in dialogues:
        assert 4 <= len(dialogue.turns) <= 30
        speakers = ["user", "bot"] * (len(dialogue.turns) // 2)
        assert [turn.speaker for turn in dialogue.turns] == speakers, dialogue


def test_no_two_are_nearly_the_same(dialogues: list[Dialogue]) -> None:
    assert doubles([_grams(dialogue) for dialogue in dialogues]) == 0


def _grams(dialogue: Dialogue) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w']+", " ".join(turn.text.lower() for turn in dialogue.turns))
    return {tuple(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)}
