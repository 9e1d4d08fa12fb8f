"""Metrics of texts: overlap with what a human replied, variety, dullness, repetition, length.

A word is what ParlAI's normalisation leaves: lower case, parted at punctuation, no article.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.evaluation.statistics import Statistic

BLOCK = 250  # replies: what a count of distinct n-grams is over depends on how many there are
COMMONEST = 20

ARTICLES = re.compile(r"\b(?:a|an|the)\b")
PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


def words(text: str) -> list[str]:
    """ParlAI's normalize_answer: lower case, punctuation as spaces ("I'm" is two words), no articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def f1(replies: Sequence[str], references: Sequence[str]) -> Statistic:
    """Unigram F1 of each reply with the human's, averaged (ParlAI's F1Metric)."""
    return Statistic.mean([_f1(words(a), words(b)) for a, b in zip(replies, references, strict=True)])


def _f1(found: list[str], wanted: list[str]) -> float:
    common = sum((Counter(found) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


def bleu(replies: Sequence[str], references: Sequence[str]) -> Statistic:
    """Corpus BLEU-4 of sacrebleu (Post 2018) with its defaults, 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU  # 0.2 s

    return _sacrebleu(BLEU(), replies, references)


def chrf(replies: Sequence[str], references: Sequence[str]) -> Statistic:
    """Corpus chrF2 of sacrebleu (Popović 2015) with its defaults, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF  # 0.2 s

    return _sacrebleu(CHRF(), replies, references)


def _sacrebleu(metric: Any, replies: Sequence[str], references: Sequence[str]) -> Statistic:
    """What sacrebleu's own bootstrap does: counts of each reply, the score of their sums."""
    counts = metric._extract_corpus_statistics(list(replies), [list(references)])

    def value(sums: NDArray[np.float64]) -> float:
        return float(metric._compute_score_from_stats([round(count) for count in sums]).score)

    return Statistic(np.array(counts, np.float64), value)


def distinct(replies: Sequence[str], n: int) -> Statistic:
    """Different n-grams of all replies over how many there are (Li et al. 2016), in blocks of 250 replies."""
    return Statistic.mean([_distinct(block, n) for block in blocks(replies)])


def _distinct(replies: Sequence[str], n: int) -> float:
    grams = [gram for reply in replies for gram in ngrams(words(reply), n)]
    return len(set(grams)) / max(1, len(grams))


def intra_distinct(replies: Sequence[str], n: int) -> Statistic:
    """Different n-grams within a reply over how many it has, averaged over replies that have one."""
    per_reply = [list(ngrams(words(reply), n)) for reply in replies]
    shares = [len(set(grams)) / len(grams) if grams else 0.0 for grams in per_reply]
    return Statistic.ratio(shares, [bool(grams) for grams in per_reply])


def commonest_share(replies: Sequence[str]) -> Statistic:
    """The share of replies that are one of the 20 commonest, in blocks of 250 replies."""
    return Statistic.mean([_commonest_share(block) for block in blocks(replies)])


def _commonest_share(replies: Sequence[str]) -> float:
    seen = Counter(" ".join(words(reply)) for reply in replies)
    return sum(count for _, count in seen.most_common(COMMONEST)) / len(replies)


def repetition(replies: Sequence[str]) -> Statistic:
    """The share of bigrams that the same reply has had before, of all bigrams."""
    per_reply = [list(ngrams(words(reply), 2)) for reply in replies]
    return Statistic.ratio([len(g) - len(set(g)) for g in per_reply], [len(g) for g in per_reply])


def length(replies: Sequence[str]) -> Statistic:
    """White-space words of a reply, on average."""
    return Statistic.mean([len(reply.split()) for reply in replies])


def blocks(replies: Sequence[str]) -> list[Sequence[str]]:
    """Blocks of equal size; what is left over is left out. Fewer replies than one block holds are one."""
    whole = len(replies) // BLOCK
    return [replies[i * BLOCK : (i + 1) * BLOCK] for i in range(whole)] if whole else [replies]


def ngrams(items: Sequence[str], n: int) -> Iterable[tuple[str, ...]]:
    """All n-grams, in their order."""
    return zip(*(items[i:] for i in range(n)), strict=False)


distinct_1, distinct_2 = partial(distinct, n=1), partial(distinct, n=2)
intra_distinct_1, intra_distinct_2 = partial(intra_distinct, n=1), partial(intra_distinct, n=2)
