"""How much of a reply was copied from the training replies.

n-grams are compared by 64-bit hashes, so that millions of words are searched in a second or two; by
chance, two of 10**7 n-grams share one once in 10**5 evaluations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chatbot.evaluation.statistics import Statistic
from chatbot.evaluation.texts import words

LONGEST = 50  # words of a copied run that is still counted
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio (Knuth, vol. 3, section 6.4)

Hashes = NDArray[np.uint64]


class TrainingReplies:
    """The replies that a bot was trained on, searchable."""

    def __init__(self, replies: Sequence[str]) -> None:
        self._ids: dict[str, int] = {}
        texts = [words(reply) for reply in replies]
        self._whole = {" ".join(text) for text in texts}
        self._stream, self._left = self._numbers(texts, grow=True)

    def verbatim(self, replies: Sequence[str]) -> Statistic:
        """The share of replies that, as words, are a training reply."""
        return Statistic.mean([" ".join(words(reply)) in self._whole for reply in replies])

    def copied(self, replies: Sequence[str]) -> Statistic:
        """The longest run of words in a reply that stands in one training reply, in words, on average."""
        stream, left = self._numbers([words(reply) for reply in replies], grow=False)
        owner = np.repeat(np.arange(len(replies)), [len(words(reply)) for reply in replies])
        longest = np.zeros(len(replies), np.int64)
        mine, theirs = np.arange(len(stream)), np.arange(len(self._stream))
        my_hash, their_hash = np.zeros(len(mine), np.uint64), np.zeros(len(theirs), np.uint64)
        for n in range(1, LONGEST + 1):
            # Only runs that matched with one word less can match with one more.
            mine, my_hash = _longer(stream, left, mine, my_hash, n)
            theirs, their_hash = _longer(self._stream, self._left, theirs, their_hash, n)
            found = np.isin(my_hash, their_hash)
            mine, my_hash = mine[found], my_hash[found]
            if not len(mine):
                break
            longest[owner[mine]] = n
            kept = np.isin(their_hash, my_hash)
            theirs, their_hash = theirs[kept], their_hash[kept]
        return Statistic.mean(longest)

    def _numbers(self, texts: list[list[str]], grow: bool) -> tuple[Hashes, NDArray[np.int64]]:
        """All words as numbers in one row, and how many words of its text each begins with."""
        if grow:
            for text in texts:
                for word in text:
                    self._ids.setdefault(word, len(self._ids) + 1)
        flat = [self._ids.get(word, 0) for text in texts for word in text]  # 0: never seen
        left = [len(text) - i for text in texts for i in range(len(text))]
        return np.array(flat, np.uint64), np.array(left, np.int64)


def _longer(
    stream: Hashes, left: NDArray[np.int64], starts: NDArray[np.int64], hashes: Hashes, n: int
) -> tuple[NDArray[np.int64], Hashes]:
    """The runs that have room for an n-th word, and their hashes with it."""
    room = left[starts] >= n
    starts, hashes = starts[room], hashes[room]
    return starts, _mixed(hashes + stream[starts + n - 1]) * MULTIPLIER


def _mixed(values: Hashes) -> Hashes:
    """Spread the bits: a product alone leaves the low ones as they were."""
    mixed = (values ^ (values >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(mixed ^ (mixed >> np.uint64(27)))
