"""The corpus that comes with the program: readable whole, in its form, and no two dialogues alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.variety import doubles
from chatbot.corpus import Corpus, open_corpus
from chatbot.corpus.cleaning import CleaningConfig, clean
from chatbot.dialogue import Dialogue

CORPORA = Path(__file__).parent.parent / "corpora"
FOLDER = CORPORA / "smalltalk"
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


Written = tuple[Path, list[Dialogue]]


@pytest.fixture(scope="module", params=["plaintalk", "newcomers"])
def written(request: pytest.FixtureRequest) -> Written:
    folder: Path = CORPORA / request.param
    corpus = open_corpus(folder)
    found = list(clean(corpus, CleaningConfig(longest_turn=2000), corpus.report))
    assert len(found) == corpus.report.conversations_listed >= 4000
    assert not corpus.report.dropped
    return folder, found


def test_what_was_written_is_whole_and_everybody_answers_in_turn(written: Written) -> None:
    folder, found = written
    assert f"{len(found):,} conversations" in (folder / "README.md").read_text()
    for dialogue in found:
        assert 2 <= len(dialogue.turns) <= 30
        assert [turn.speaker for turn in dialogue.turns] == ["user", "bot"] * (len(dialogue.turns) // 2)


def test_in_it_the_user_says_what_nobody_said_before(written: Written) -> None:
    _, found = written
    said = [turn.text.lower() for dialogue in found for turn in dialogue.turns if turn.speaker == "user"]
    assert len(set(said)) > 0.9 * len(said)
    grams = [_grams(dialogue, 3, "user") for dialogue in found]
    assert doubles([own if len(own) >= GRAM else set() for own in grams]) == 0


def _grams(dialogue: Dialogue, size: int = GRAM, speaker: str = "") -> set[tuple[str, ...]]:
    texts = [turn.text.lower() for turn in dialogue.turns if speaker in ("", turn.speaker)]
    words = re.findall(r"[\w']+", " ".join(texts))
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
