"""What a training should come to: a law of model size and targets, fitted to trainings on Cornell.

Hoffmann et al. 2022, section 3.3: L(N, D) = E + A / N^alpha + B / D^beta, with N parameters and D targets
learned. Targets that come again and again are worth less (Muennighoff et al. 2023). A family that has dropout
when it goes through a corpus many times has another E and A then: small models hold less, large ones go on
where they would know the corpus by heart.

expected.json holds the laws and the trainings they were fitted to; benchmarks/expectations.py makes it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chatbot.config import from_dict

FILE = Path(__file__).with_name("expected.json")
AGAIN = ", again"  # behind a family's name
REPEATED = 15.4  # epochs after the first until repeating has lost most of its worth; R_D* of the paper


@dataclass(frozen=True, kw_only=True)
class Law:
    """Nats a word of validation replies; the five constants of the equation."""

    least: float  # E
    size: float  # A
    alpha: float
    data: float  # B
    beta: float

    def nats(self, parameters: float, targets: float, unique: float) -> float:
        """After so many targets, of a corpus that has `unique` of them."""
        seen = worth(targets, unique)
        nats: float = self.least + self.size * parameters**-self.alpha + self.data * seen**-self.beta
        return nats


def worth(targets: float, unique: float) -> float:
    """Targets learned, some of them again, in fresh ones that would teach as much."""
    if targets <= unique:
        return targets
    again = targets / unique - 1
    return unique + unique * REPEATED * (1 - math.exp(-again / REPEATED))


@cache
def law(family: str, again: bool = False) -> Law | None:
    """A family's, if it has been measured; again: with dropout, many times through a corpus."""
    laws = json.loads(FILE.read_text(encoding="utf-8"))["laws"]
    name = f"{family}{AGAIN}" if again and f"{family}{AGAIN}" in laws else family
    found: Law | None = from_dict(Law, laws[name], name) if name in laws else None
    return found
