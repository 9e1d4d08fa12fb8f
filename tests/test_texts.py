"""Metrics of texts: worked by hand, and sacrebleu's own where they are its."""

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from chatbot.evaluation import texts
from chatbot.evaluation.novelty import TrainingReplies
from chatbot.evaluation.statistics import Statistic


def value(statistic: Statistic) -> float:
    return statistic.total


REPLIES = ["I'm going home now.", "No.", "The cat sat on the mat."]
HUMANS = ["I'm going out.", "Yes, I do.", "A cat sat on that mat, you know."]


def test_words_are_lower_case_without_punctuation_and_articles() -> None:
    assert texts.words("The cat's a hat -- AN owl!") == ["cat", "s", "hat", "owl"]
    assert texts.words("Another theory, an_a, wait--what?") == ["another", "theory", "wait", "what"]
    assert texts.words("... !") == []


@pytest.mark.parametrize(
    ("reply", "human", "expected"),
    [
        ("the same words", "same words", 1.0),
        ("no", "yes", 0.0),
        ("", "yes", 0.0),
        ("...", "...", 0.0),
        ("I'm going.", "I'm home.", 2 / 3),  # as ParlAI has it: "I" and "m" of three words each
        ("one two three", "three four", 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2)),
        ("go go go", "go go", 2 * (2 / 3) * 1 / (2 / 3 + 1)),  # a word counts as often as both have it
    ],
)
def test_f1(reply: str, human: str, expected: float) -> None:
    assert value(texts.f1([reply], [human])) == pytest.approx(expected)
    assert value(texts.f1([reply, "x"], [human, "y"])) == pytest.approx(expected / 2)


def test_bleu_and_chrf_are_sacrebleus() -> None:
    assert value(texts.bleu(REPLIES, HUMANS)) == pytest.approx(sacrebleu.corpus_bleu(REPLIES, [HUMANS]).score)
    assert value(texts.chrf(REPLIES, HUMANS)) == pytest.approx(sacrebleu.corpus_chrf(REPLIES, [HUMANS]).score)
    assert value(texts.bleu(HUMANS, HUMANS)) == pytest.approx(100)


def test_a_resample_of_bleu_is_the_bleu_of_the_resampled_replies() -> None:
    statistic = texts.bleu(REPLIES, HUMANS)
    twice = statistic.value(2 * statistic.parts[0] + statistic.parts[2])
    some = [REPLIES[i] for i in (0, 0, 2)], [[HUMANS[i] for i in (0, 0, 2)]]
    assert twice == pytest.approx(sacrebleu.corpus_bleu(*some).score)


def test_distinct_counts_over_all_replies_and_intra_within_each() -> None:
    replies = ["so so good", "so good", "no"]
    assert value(texts.distinct_1(replies)) == pytest.approx(3 / 6)
    assert value(texts.distinct_2(replies)) == pytest.approx(2 / 3)  # so-so, so-good, so-good
    assert value(texts.intra_distinct_1(replies)) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert value(texts.intra_distinct_2(replies)) == pytest.approx(1)
    assert value(texts.intra_distinct_2(["no", "go go go"])) == pytest.approx(1 / 2)  # "no" has no bigram


def test_what_depends_on_the_number_of_replies_is_counted_in_blocks() -> None:
    replies = [f"word{i} again" for i in range(texts.BLOCK)]
    one, three = value(texts.distinct_1(replies)), value(texts.distinct_1(replies * 3))
    assert one == three == pytest.approx((texts.BLOCK + 1) / (2 * texts.BLOCK))
    assert value(texts.distinct_1(replies * 3 + ["left over"])) == three
    assert (
        value(texts.commonest_share(replies)) == value(texts.commonest_share(replies * 2)) == 20 / texts.BLOCK
    )


def test_the_share_of_the_commonest_replies() -> None:
    assert value(texts.commonest_share(["No!", "no"] * 10 + [f"w{i}" for i in range(30)])) == (20 + 19) / 50
    assert value(texts.commonest_share(["a dog", "the dog"])) == 1


def test_repetition_and_length() -> None:
    assert value(texts.repetition(["to be or not to be", "to be"])) == pytest.approx(1 / 6)
    assert value(texts.repetition(["no", "yes"])) == 0
    assert value(texts.length(["to be, or not", "the end"])) == 3


def copied(replies: list[str], training: list[str]) -> list[float]:
    return [float(n) for n in TrainingReplies(training).copied(replies).parts[:, 0]]


def test_copied_runs_and_whole_replies() -> None:
    training = ["I will go home now.", "go on", "No."]
    known = TrainingReplies(training)
    assert copied(["He will go home.", "home go", "owl", "go on home now", "no"], training) == [3, 1, 0, 2, 1]
    assert value(known.verbatim(["The no!", "go", "GO ON"])) == pytest.approx(2 / 3)


def runs_of(text: list[str]) -> set[tuple[str, ...]]:
    return {tuple(text[i:j]) for i in range(len(text)) for j in range(i + 1, len(text) + 1)}


def longest_run(reply: list[str], training: list[list[str]]) -> int:
    known = {run for text in training for run in runs_of(text)}
    return max((len(run) for run in runs_of(reply) & known), default=0)


SOME = st.lists(st.lists(st.sampled_from("bcde"), max_size=6), min_size=1, max_size=6)


@given(replies=SOME, training=SOME)
def test_copied_runs_are_those_of_a_plain_search(replies: list[list[str]], training: list[list[str]]) -> None:
    expected = [longest_run(reply, training) for reply in replies]
    assert copied([" ".join(r) for r in replies], [" ".join(t) for t in training]) == expected


def test_no_words_at_all_are_no_error() -> None:
    nothing = ["", "..."]
    assert value(texts.bleu(nothing, ["a", "b"])) == 0
    assert (
        value(texts.distinct_2(nothing)) == value(texts.length([""])) == value(texts.repetition(nothing)) == 0
    )
    assert copied(nothing, [""]) == [0, 0]
