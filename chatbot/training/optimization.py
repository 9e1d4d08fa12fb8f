"""The optimizer and its learning rate."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from chatbot.engines.torch import AnyModel
from chatbot.training.config import MANY, TrainingConfig
from chatbot.training.muon import Muon

FALL = 0.2  # of a training: the fall of a stable schedule
SHARE = "share"  # of a parameter group: its rate, in rates of the training
FEW = 0.25  # of the share of the rate that embeddings have with MANY tokens to learn from, for the fewest
LATEST = 1 / 3  # of a training: then the learning rate has risen, however few its steps


def learning_rate(config: TrainingConfig, step: int, progress: float) -> float:
    """Linear warm-up, then half a cosine (Loshchilov & Hutter 2017) down to final_rate.

    "stable": at its highest first, then in a line down to it (Hu et al. 2024, section 4).
    step: how many are done; progress: 0 to 1 of the whole training.
    """
    along = min(1.0, max(0.0, progress - config.warmup) / (1 - config.warmup))
    high = (
        (1 + math.cos(math.pi * along)) / 2 if config.schedule == "cosine" else min(1.0, (1 - along) / FALL)
    )
    share = config.final_rate + (1 - config.final_rate) * high
    return config.learning_rate * share * risen(config, step, progress)


def risen(config: TrainingConfig, step: int, progress: float) -> float:
    """The warm-up, 0 to 1: by share and by steps, whichever is slower.

    Adam knows the size of a gradient only after some steps: at the full rate before that, a training goes
    astray, and a share of a short one is too few of them (Ma & Yarats 2021).
    """
    by_share = progress / config.warmup if config.warmup else 1.0
    by_steps = (step + 1) / config.warmup_steps if config.warmup_steps else 1.0
    return min(1.0, max(min(by_share, by_steps), progress / LATEST, 0.01))


class Optimizer:
    """One or several of torch's, as one; each parameter belongs to one of them."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def groups(self) -> list[dict[str, Any]]:
        """All parameter groups: their "lr" may be set."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self, rate: float) -> None:
        """Follow the gradients at that learning rate."""
        for group in self.groups:
            group["lr"] = rate * group.get(SHARE, 1.0)
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """What is remembered of a parameter; empty before the first step."""
        found = [part.state[parameter] for part in self.parts if parameter in part.state]
        return dict(found[0]) if found else {}

    def restore(self, parameter: nn.Parameter, state: dict[str, Tensor]) -> None:
        """Remember that of a parameter instead; nothing, if it is empty or of another kind of optimizer."""
        for part in self.parts:
            part.state.pop(parameter, None)
            fits = isinstance(part, torch.optim.AdamW) == ("exp_avg" in state)
            if state and fits and any(parameter is p for group in part.param_groups for p in group["params"]):
                part.state[parameter] = state


def peak_rate(model: AnyModel, config: TrainingConfig) -> float:
    """The highest learning rate: the training's, or what was found to be best for the optimizer."""
    usual = model.matrix_rate if config.optimizer == "muon" else model.peak_rate
    return config.learning_rate or config.gentle * usual


def most_epochs(model: AnyModel, config: TrainingConfig, tokens: int) -> float:
    """How often a training goes through a corpus of so many tokens; 0: no limit, as where steps are given."""
    if config.steps or not config.minutes:
        return 0.0
    return model.epochs(tokens >= MANY) if config.epochs is None else config.epochs


def optimizer(model: AnyModel, config: TrainingConfig, tokens: int = MANY) -> Optimizer:
    """AdamW (Loshchilov & Hutter 2019), weight decay on matrices only. tokens: that the corpus has.

    With "muon", the matrices inside of the model are moved by Muon (Jordan et al. 2024), at AdamW's length
    of step (Liu et al. 2025, eq. 4); embeddings and vectors are AdamW's still, at a higher rate:
    less so for a small corpus, which they would learn by heart.
    """
    inner = [p for name, p in model.named_parameters() if p.dim() == 2 and not name.startswith("embed")]
    chosen = set(inner) if config.optimizer == "muon" else set()
    rest = [p for p in model.parameters() if p not in chosen]
    share = model.embedding_share * (FEW + (1 - FEW) * min(1.0, tokens / MANY)) if chosen else 1.0
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": config.weight_decay, SHARE: share},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0, SHARE: share},
    ]
    adam = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
    if not chosen:
        return Optimizer(adam)
    return Optimizer(adam, Muon(inner, config.learning_rate, config.weight_decay))
