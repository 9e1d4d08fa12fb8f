"""Recipes that learn from the same conversations for the same minutes, for benchmarks/cornell.py.

A recipe is a subclass of Recipe in a module here, and one line in RECIPES.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.speedrun.material import Material
from chatbot.registry import Registry

State = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """What some recipes need to know. nanogpt: a clone of it."""

    nanogpt: Path | None = None


class Recipe(ABC):
    """A way to make a model that predicts replies."""

    model: nn.Module
    steps: int = 0  # optimizer steps so far
    precision: str = "float32"  # of its products

    @abstractmethod
    def __init__(self, material: Material, options: Options) -> None: ...

    @abstractmethod
    def train(self, minutes: float) -> Iterator[tuple[float, State]]:
        """Ten or twenty looks at the model: minutes trained so far, and a copy of its weights."""

    @abstractmethod
    def nats(self) -> NDArray[np.float64]:
        """Of each judged reply (N,), its end included, by the weights that the model has now."""


def copied(model: nn.Module) -> State:
    """The weights as they are now."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


RECIPES = Registry(
    "recipe",
    {
        "tutorial": "benchmarks.speedrun.tutorial:Tutorial",
        "nanogpt": "benchmarks.speedrun.nanogpt:Laptop",
        "nanogpt-baby": "benchmarks.speedrun.nanogpt:Baby",
        "gpt2": "benchmarks.speedrun.gpt2:GPT2",
        "chatbot-seq2seq": "benchmarks.speedrun.ours:Seq2Seq",
        "chatbot-gpt": "benchmarks.speedrun.ours:GPT",
    },
)
