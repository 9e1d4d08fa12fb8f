"""The text of PyTorch's chatbot tutorial: its normalisation, its pairs, its vocabulary of words."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from chatbot.dialogue import Dialogue

LONGEST, RAREST = 10, 3
PAD, START, END = 0, 1, 2

Pair = tuple[list[str], list[str]]


def normalised(text: str) -> str:
    """Lower case, ASCII letters and .!? alone, which are words of their own."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
    return " ".join(re.sub(r"[^a-z.!?]+", " ", re.sub(r"([.!?])", r" \1", plain)).split())


def pairs(dialogues: Sequence[Dialogue]) -> list[Pair]:
    """Every turn with the one after it, as words, in the order of preparation.exchanges."""
    return [
        (before.text.split(), reply.text.split())
        for dialogue in dialogues
        for before, reply in zip(dialogue.turns, dialogue.turns[1:], strict=False)
    ]


def is_short(pair: Pair) -> bool:
    """Words on both sides, and under ten of them."""
    return all(0 < len(side) < LONGEST for side in pair)


class Vocabulary:
    """The words of the training pairs that are not rare."""

    def __init__(self, training: Sequence[Pair]) -> None:
        counts = Counter(word for pair in training for side in pair for word in side)
        self._ids = {w: i for i, w in enumerate((w for w, n in counts.items() if n >= RAREST), END + 1)}

    def __len__(self) -> int:
        return len(self._ids) + END + 1

    def knows(self, pair: Pair) -> bool:
        """Whether it has every word of both sides."""
        return all(word in self._ids for side in pair for word in side)

    def ids(self, side: Sequence[str]) -> Tensor:
        """The ids, and the end."""
        return torch.tensor([*(self._ids[word] for word in side), END])
