"""Every figure of an evaluation: its name, unit, what is better, and how it is worked out.

docs/evaluation.md has each one's definition, source and traps. N replies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chatbot.evaluation import texts
from chatbot.evaluation.novelty import TrainingReplies
from chatbot.evaluation.statistics import Statistic

Statistics = dict[str, Statistic]


@dataclass(frozen=True, slots=True)
class Metric:
    """better: "less", "more", or "human", where the human replies' figure is what to come near."""

    title: str
    better: Literal["less", "more", "human"]
    decimals: int = 3
    percent: bool = False


SAYABLE = 25.0  # nats a word; text without spaces has words of hundreds, whose perplexity no figure tells


METRICS: dict[str, Metric] = {
    "bits_per_byte": Metric("bits per byte", "less"),
    "nats_per_word": Metric("nats per word", "less"),
    "perplexity_per_word": Metric("perplexity per word", "less", 0),
    "token_accuracy": Metric("token accuracy", "more", 1, percent=True),
    "hits_1": Metric("hits@1 of 20", "more", 1, percent=True),
    "hits_5": Metric("hits@5 of 20", "more", 1, percent=True),
    "mrr": Metric("MRR of 20", "more"),
    "f1": Metric("F1", "more"),
    "bleu": Metric("BLEU", "more", 2),
    "chrf": Metric("chrF", "more", 2),
    "distinct_1": Metric("distinct-1", "human"),
    "distinct_2": Metric("distinct-2", "human"),
    "intra_distinct_1": Metric("distinct-1 in a reply", "human"),
    "intra_distinct_2": Metric("distinct-2 in a reply", "human"),
    "commonest": Metric("20 commonest replies", "human", 1, percent=True),
    "repetition": Metric("repeated bigrams", "human", 1, percent=True),
    "length": Metric("words in a reply", "human", 1),
    "copied": Metric("longest copied run", "human", 1),
    "verbatim": Metric("verbatim in training", "human", 1, percent=True),
}

OVERLAP: dict[str, Callable[[Sequence[str], Sequence[str]], Statistic]] = {
    "f1": texts.f1,
    "bleu": texts.bleu,
    "chrf": texts.chrf,
}

VARIETY: dict[str, Callable[[Sequence[str]], Statistic]] = {
    "distinct_1": texts.distinct_1,
    "distinct_2": texts.distinct_2,
    "intra_distinct_1": texts.intra_distinct_1,
    "intra_distinct_2": texts.intra_distinct_2,
    "commonest": texts.commonest_share,
    "repetition": texts.repetition,
    "length": texts.length,
}


def likelihood(scores: NDArray[np.float64], words: NDArray[np.int64], size: NDArray[np.int64]) -> Statistics:
    """Of replies: their nats, tokens and right tokens (3, N), and their text's words and UTF-8 bytes (N,)."""
    nats, tokens, right = scores
    per_word = Statistic.ratio(nats, words)
    return {
        "bits_per_byte": Statistic.ratio(nats / math.log(2), size),
        "nats_per_word": per_word,
        **({"perplexity_per_word": per_word.then(_exp)} if per_word.total < SAYABLE else {}),
        "token_accuracy": Statistic.ratio(right, tokens),
    }


def ranking(ranks: NDArray[np.int64]) -> Statistics:
    """Of the true replies' ranks (N,) among their candidates, 1 the best."""
    return {
        "hits_1": Statistic.mean(ranks <= 1),
        "hits_5": Statistic.mean(ranks <= 5),
        "mrr": Statistic.mean(1 / ranks),
    }


def overlap(replies: Sequence[str], references: Sequence[str]) -> Statistics:
    """Of replies beside what humans replied."""
    return {name: function(replies, references) for name, function in OVERLAP.items()}


def variety(replies: Sequence[str], training: TrainingReplies) -> Statistics:
    """Of replies by themselves, a human's too."""
    found = {name: function(replies) for name, function in VARIETY.items()}
    return found | {"copied": training.copied(replies), "verbatim": training.verbatim(replies)}


def ranks(scores: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """The rank of the first of each row's candidates (N, C), more is better; ties are drawn by lot."""
    scores = np.nan_to_num(scores, nan=-np.inf)  # a broken bot's true reply is not the best of all
    better = (scores[:, 1:] > scores[:, :1]).sum(1)
    ties = (scores[:, 1:] == scores[:, :1]).sum(1)
    return np.asarray(1 + better + np.random.default_rng(seed).integers(0, ties + 1), np.int64)


def _exp(nats: float) -> float:
    return math.exp(min(nats, 700.0))
