"""How a model learns."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from chatbot.config import setting
from chatbot.engines.base import Precision
from chatbot.errors import ConfigError

MANY = 2_000_000  # tokens of a corpus that is not small
STEP = 4096  # tokens that a step learns from such a corpus; docs/training.md has the figures


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model learns. Lengths are in minutes or in steps; the one that ends first counts."""

    minutes: float = setting(30.0, "minutes to train each model; 0 for no limit")
    steps: int = setting(0, "optimizer steps; 0 for no limit")
    epochs: float | None = setting(
        None,
        "of a training by time: how often it goes through the corpus at the most; 0 for no limit, none for "
        "what the family can learn from so much before it learns it by heart",
    )
    batch_tokens: int = setting(
        0,
        "tokens of a step, padding included; a token that is only read counts a quarter; 0 for 4,096, or "
        "2,048 from a corpus of fewer than two million",
    )
    learning_rate: float = setting(
        0.0, "its highest value, after the warm-up; 0 for what suits model and optimizer"
    )
    gentle: float = setting(
        1.0, "a share of that rate: less of it forgets less of what a bot knew that another begins from"
    )
    warmup: float = setting(0.03, "the share of the training in which the learning rate rises")
    warmup_steps: int = setting(100, "the steps in which it rises at the least; of a short training, a third")
    final_rate: float = setting(0.05, "where the learning rate ends, as a share of its highest value")
    schedule: Literal["cosine", "stable"] = setting(
        "cosine", "how the learning rate falls: in half a cosine, or in a line in the last fifth"
    )
    optimizer: Literal["muon", "adamw"] = setting(
        "muon", "what follows the gradients: muon, with adamw for embeddings and vectors, or adamw alone"
    )
    weight_decay: float = setting(0.05, "the decay of matrices; vectors are spared")
    clip: float = setting(1.0, "the longest gradient")
    label_smoothing: float = setting(0.0, "the share of each target spread over all tokens")
    evaluations: int = setting(20, "how often to validate during the training")
    validation: int = setting(2000, "exchanges of the validation split to use; 0 for all of it")
    patience: int = setting(
        8, "after the warm-up, stop when so many validations were no better; 0 never stops early"
    )
    precision: Precision = setting(
        "auto", "of products: auto takes bfloat16 where it is faster; weights are always float32"
    )
    compile: Literal["auto", "on", "off"] = setting(
        "auto", "compile the layers; auto: in trainings by time that are long enough to be worth it"
    )
    shard: bool = setting(
        False, "under torchrun, whether each process keeps only a part of the weights: for large models"
    )
    seed: int = setting(0, "the same seed, corpus and number of steps give the same bot")

    def tokens_of_step(self, tokens: int) -> int:
        """How many tokens of a corpus of so many a step learns from."""
        return self.batch_tokens or (STEP if tokens >= MANY else STEP // 2)

    def __post_init__(self) -> None:
        if (self.epochs or 0) < 0:
            raise ConfigError(f"epochs must not be negative, not {self.epochs}")
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{item.name} must be a finite number, not {value}")
        if self.seed >= 1 << 63:
            raise ConfigError(f"seed must be under 2**63, not {self.seed}")
        if self.minutes < 0 or self.steps < 0 or not (self.minutes or self.steps):
            raise ConfigError("training needs a length: minutes or steps, over 0")
        for name in ("clip", "evaluations", "gentle"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be over 0, not {getattr(self, name)}")
        for name in ("warmup", "final_rate", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 0 and under 1, not {getattr(self, name)}")
        for name in (
            "batch_tokens",
            "learning_rate",
            "weight_decay",
            "warmup_steps",
            "validation",
            "patience",
            "seed",
        ):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, not {getattr(self, name)}")
