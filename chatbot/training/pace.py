"""How fast this machine learns: a few steps, timed before a training."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from chatbot.batches import Batch, Batches
from chatbot.engines.torch import AnyModel, products
from chatbot.training.config import TrainingConfig
from chatbot.training.memory import keep_freed
from chatbot.training.optimization import Optimizer, optimizer

MOST = 3.0  # times the seconds asked for that the first round may take, and the others
SAMPLE = 6  # batches: enough for their lengths to be about the corpus's


@dataclass(frozen=True)
class Pace:
    """Of a step, on the average of some: seconds, and targets that it learns."""

    seconds: float
    targets: float


def measure(
    model: AnyModel, batches: Batches, config: TrainingConfig, precision: str, seconds: float
) -> Pace:
    """The pace of a model on the first batches of a corpus, in about so many seconds. The model is spoilt.

    Kernels are made and memory is taken in a first round, which is not counted.
    """
    keep_freed()
    sample = [batches.collated(rows) for rows in islice(batches.plan(), SAMPLE)]
    follow, most = optimizer(model, config), MOST * seconds
    steps, _, _ = _walked(_learned(model, sample, follow, precision), len(sample), 0.0, most)
    sample = sample[:steps]
    steps, targets, took = _walked(_learned(model, sample, follow, precision), len(sample), seconds, most)
    return Pace(took / steps, targets / steps)


def _walked(learned: Iterator[int], size: int, least: float, most: float) -> tuple[int, int, float]:
    """Rounds of so many steps for `least` seconds, and no step after `most`: steps, targets, seconds."""
    began, steps, targets = time.monotonic(), 0, 0
    while True:
        targets, steps = targets + next(learned), steps + 1
        took = time.monotonic() - began
        if took >= most or (took >= least and steps % size == 0):
            return steps, targets, took


def _learned(model: AnyModel, sample: Sequence[Batch], follow: Optimizer, precision: str) -> Iterator[int]:
    """The targets of one step after the other, round and round; no weight is changed."""
    device = next(model.parameters()).device
    model.train()
    while True:
        for batch in sample:
            with products(precision, device):
                loss = model.loss(batch.to(device))
            follow.zero_grad()
            loss.total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            with products(precision, device):
                follow.step(0.0)
            yield loss.tokens
