"""Batches of examples: few distinct shapes, little padding, an order that a seed decides.

B batch, S prompt length, T reply length, L stream length.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chatbot.preparation import Example, Examples
from chatbot.tokenizer import BOT, END, MARKS, PAD, USER

IGNORE = -100  # a target that is not learned; what torch's cross-entropy ignores by default
B = TypeVar("B", bound="Batch")


@dataclass(frozen=True)
class Batch:
    """What a family learns from; every field is a tensor with the batch first."""

    def to(self: B, device: torch.device) -> B:
        """The same batch on a device; a GPU copies it by itself, from memory that stays where it is."""
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        if device.type == "cuda":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}
        return replace(self, **{n: tensor.to(device, non_blocking=True) for n, tensor in tensors.items()})


@dataclass(frozen=True)
class PairBatch(Batch):
    """prompt (B, S), reply (B, T) from its bot mark to its end mark; both padded on the right."""

    prompt: Tensor
    reply: Tensor
    # Recurrent layers pay for each step, so replies are rounded finely.
    PROMPT_STEP: ClassVar[int] = 8
    REPLY_STEP: ClassVar[int] = 4

    @classmethod
    def collate(cls, examples: Sequence[Example]) -> PairBatch:
        """Examples side by side."""
        prompt = padded([e.prompt for e in examples], cls.PROMPT_STEP, PAD)
        # One more than a multiple: the last token is a target only, so that T - 1 steps are computed.
        reply = padded([[BOT, *e.reply] for e in examples], cls.REPLY_STEP, PAD, extra=1)
        return cls(prompt, reply)

    @classmethod
    def shapes(cls, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Padded (reply, prompt) lengths of examples whose (prompt, reply) lengths these are."""
        return np.stack(
            [rounded(lengths[:, 1], cls.REPLY_STEP), rounded(lengths[:, 0], cls.PROMPT_STEP)], axis=1
        )

    @staticmethod
    def cost(shape: NDArray[np.int64]) -> float:
        """Of one row of that shape, in tokens: a prompt's passes no output layer, so it counts a quarter."""
        return float(shape[0] + shape[1] / 4)


@dataclass(frozen=True)
class StreamBatch(Batch):
    """tokens (B, L): prompt and reply in one; targets (B, L): what follows, IGNORE where not learned."""

    tokens: Tensor
    targets: Tensor
    STEP: ClassVar[int] = 8

    @classmethod
    def collate(cls, examples: Sequence[Example]) -> StreamBatch:
        """Prompt, bot mark and reply of each example in one row."""
        rows = [[*e.prompt, BOT, *e.reply] for e in examples]
        targets = [cls._targets(row, e) for row, e in zip(rows, examples, strict=True)]
        return cls(padded([r[:-1] for r in rows], cls.STEP, PAD), padded(targets, cls.STEP, IGNORE))

    @staticmethod
    def cost(shape: NDArray[np.int64]) -> float:
        """Of one row of that shape: its tokens."""
        return float(shape[0])

    @classmethod
    def shapes(cls, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Padded lengths (n, 1) of the streams of examples whose (prompt, reply) lengths these are."""
        return rounded(lengths.sum(1), cls.STEP)[:, None]

    @staticmethod
    def _targets(row: list[int], example: Example) -> list[int]:
        if not example.whole:
            return [IGNORE] * len(example.prompt) + row[len(example.prompt) + 1 :]
        targets, voice = list[int](), row[0]
        for token in row[1:]:
            mark = token in (USER, BOT)  # given, never predicted
            voice = token if mark else voice
            targets.append(IGNORE if mark or (example.alone and voice != BOT) else token)
        return targets


def rounded(lengths: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """Lengths rounded up to multiples of `step`, `step` at the least."""
    return np.maximum(-(-lengths // step), 1) * step


def padded(rows: Sequence[list[int]], step: int, value: int, extra: int = 0) -> Tensor:
    """Rows as one tensor, as wide as the longest rounded up to a multiple of `step`, plus `extra`."""
    longest = max((len(row) for row in rows), default=0) - extra
    width = int(rounded(np.array([longest]), step)[0]) + extra
    filled = np.full((len(rows), width), value, np.int64)
    for i, row in enumerate(rows):
        filled[i, : len(row)] = row
    return torch.from_numpy(filled)


class Batches:
    """An endless, seeded walk over examples in batches that cost `tokens`, padding included (`cost`).

    Examples of like shape share a batch. `epoch` and `index` are the position: set them to go on
    exactly where another walk over the same examples stopped. share: (i, n) gives the i-th of n parts of
    every batch; of one with fewer rows than parts, some get a row without targets.
    """

    def __init__(
        self, examples: Examples, kind: type[PairBatch | StreamBatch], tokens: int, seed: int
    ) -> None:
        self.examples, self.kind, self.tokens, self.seed = examples, kind, tokens, seed
        self.epoch, self.index = 0, 0
        self.share = 0, 1
        self._shapes = kind.shapes(examples.lengths)
        self._plan: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    def __iter__(self) -> Iterator[PairBatch | StreamBatch]:
        while True:
            rows = self.plan()[self.index]
            self.index += 1
            if self.index == len(self.plan()):
                self.epoch, self.index = self.epoch + 1, 0
            yield self.collated(rows)

    def collated(self, rows: NDArray[np.int64]) -> PairBatch | StreamBatch:
        """This process's share of these rows of `examples`."""
        return _collated(self.kind, self.examples, rows, self.share)

    @property
    def largest(self) -> int:
        """Tokens of this epoch's largest batch, padding and what is only read included."""
        return max(len(rows) * int(self._shapes[rows].max(0).sum()) for rows in self.plan())

    @property
    def progress(self) -> float:
        """Epochs walked so far, as a fraction."""
        return self.epoch + self.index / len(self.plan())

    def plan(self) -> list[NDArray[np.int64]]:
        """This epoch's batches, as rows of `examples`, in their order."""
        if self._plan[0] != self.epoch:
            random = np.random.default_rng([self.seed, self.epoch])
            order = random.permutation(len(self._shapes))
            groups = grouped(self.kind, self._shapes, order, self.tokens)
            self._plan = (self.epoch, [groups[i] for i in random.permutation(len(groups))])
        return self._plan[1]


def in_order(
    examples: Examples,
    kind: type[PairBatch | StreamBatch],
    tokens: int,
    share: tuple[int, int] = (0, 1),
) -> Iterator[PairBatch | StreamBatch]:
    """Every example once, for measuring; share: as in Batches."""
    shapes = kind.shapes(examples.lengths)
    for rows in grouped(kind, shapes, np.arange(len(shapes)), tokens):
        yield _collated(kind, examples, rows, share)


def _collated(
    kind: type[PairBatch | StreamBatch], examples: Examples, rows: NDArray[np.int64], share: tuple[int, int]
) -> PairBatch | StreamBatch:
    """A part of these rows; if none is left for it, a row without targets."""
    part, parts = share
    found = [examples[i] for i in rows[part::parts]]
    return kind.collate(found or [Example(examples[rows[0]].prompt, [])])


def grouped(
    kind: type[PairBatch | StreamBatch], shapes: NDArray[np.int64], order: NDArray[np.int64], tokens: int
) -> list[NDArray[np.int64]]:
    """Cut rows into groups of like shape, that cost at most `tokens` and have at least one row.

    Group sizes are multiples of 8 where they can be: a bfloat16 kernel is prepared for each new
    shape, so shapes have to be few.
    """
    order = order[np.lexsort(shapes[order].T[::-1])]
    groups, start = [], 0
    while start < len(order):
        shape = shapes[order[start]]
        count = _rows(kind.cost(shape), tokens)
        widest = shapes[order[start : start + count]].max(0)
        count = min(count, _rows(kind.cost(widest), tokens))
        groups.append(order[start : start + count])
        start += count
    return groups


def _rows(cost: float, tokens: int) -> int:
    rows = max(1, int(tokens / cost))
    return rows - rows % 8 if rows >= 8 else rows


__all__ = [
    "BOT",
    "END",
    "IGNORE",
    "MARKS",
    "PAD",
    "USER",
    "Batch",
    "Batches",
    "PairBatch",
    "StreamBatch",
    "grouped",
    "in_order",
    "padded",
]
