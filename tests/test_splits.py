"""Splits: the same on every machine, honest where sources allow it, never without validation."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot.corpus.splits import SPLITS, Folds, split
from chatbot.dialogue import Dialogue, Turn
from chatbot.errors import CorpusError

TURNS = (Turn("A", "one"), Turn("B", "two"))


def dialogues(sources: Iterable[str], fold: str = "") -> list[Dialogue]:
    return [Dialogue(TURNS, source, number, fold) for number, source in enumerate(sources, start=1)]


def sizes(folds: Folds) -> tuple[int, int, int]:
    return len(folds.train), len(folds.validation), len(folds.test)


def test_films_fall_where_they_fell_when_this_was_written() -> None:
    films = dialogues(f"m{number}" for number in range(617))
    folds = split(films)
    assert sizes(folds) == (554, 30, 33)
    assert [d.source for d in folds.validation[:6]] == ["m38", "m79", "m98", "m123", "m167", "m174"]
    assert [d.source for d in folds.test[:6]] == ["m0", "m27", "m29", "m45", "m64", "m107"]


def test_no_source_is_in_two_folds() -> None:
    folds = split(dialogues(f"m{number % 100}" for number in range(3000)))
    train, validation, test = ({d.source for d in fold} for fold in folds)
    assert len(train | validation | test) == len(train) + len(validation) + len(test)
    assert sum(sizes(folds)) == 3000
    assert min(sizes(folds)) > 0


def test_parlai_counts_the_conversations_from_one() -> None:
    folds = split(dialogues(["m0"] * 40), "parlai")
    assert [d.number for d in folds.test] == [10, 20, 30, 40]
    assert [d.number for d in folds.validation] == [1, 11, 21, 31]
    assert [d.number for d in folds.train[:9]] == [2, 3, 4, 5, 6, 7, 8, 9, 12]


@pytest.mark.parametrize(
    ("word", "fold"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("valid_rare", "validation"),
        ("validation", "validation"),
        ("dev", "validation"),
        ("test_freq", "test"),
    ],
)
def test_published_words_are_understood(word: str, fold: str) -> None:
    assert SPLITS["published"](dialogues(["x"], word)[0]) == fold


def test_a_word_that_is_no_fold_is_named() -> None:
    with pytest.raises(CorpusError, match="'beatles'") as error:
        split(dialogues(["x", "y"], "beatles"), "published")
    assert "source" in error.value.hint
    with pytest.raises(CorpusError, match="no published fold"):
        split(dialogues(["x", "y"]), "published")


def test_published_folds_without_training_are_an_error_and_without_validation_are_not() -> None:
    with pytest.raises(CorpusError, match="nothing to train on"):
        split(dialogues("abc", "test"), "published")
    folds = split(dialogues((str(n) for n in range(40)), "train"), "published")
    assert sizes(folds) == (38, 2, 0)


def test_one_large_source_is_divided_dialogue_by_dialogue() -> None:
    folds = split(dialogues(["chat"] * 400))
    assert sum(sizes(folds)) == 400
    assert min(sizes(folds)) > 5
    assert len(folds.train) > 340


def test_parts_of_one_conversation_stay_together_even_then() -> None:
    whole = dialogues(["chat"] * 100)
    folds = split([*whole, *whole])
    train, validation, test = ({d.number for d in fold} for fold in folds)
    assert len(train | validation | test) == len(train) + len(validation) + len(test)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f" * 9]), min_size=2, max_size=60))
def test_two_dialogues_are_enough_for_training_and_validation(sources: list[str]) -> None:
    folds = split(dialogues(sources))
    assert folds.train
    assert folds.validation
    assert sum(sizes(folds)) == len(sources)
    assert split(dialogues(sources)) == folds


@pytest.mark.parametrize("by", ["source", "parlai"])
def test_small_corpora_of_every_size_can_train(by: str) -> None:
    for count in range(2, 80):
        train, validation, test = sizes(split(dialogues(f"s{n}" for n in range(count)), by))
        assert train >= count / 2
        assert validation
        assert train + validation + test == count


def test_nothing_is_divided_into_nothing_and_one_dialogue_is_trained_on() -> None:
    assert sizes(split([])) == (0, 0, 0)
    assert sizes(split(dialogues(["x"]))) == (1, 0, 0)


def test_an_unknown_split_is_an_error_with_a_suggestion() -> None:
    with pytest.raises(CorpusError) as error:
        split([], "sources")
    assert error.value.hint == "did you mean 'source'?"
