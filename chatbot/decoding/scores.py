"""What makes one reply better than another: the scores that the best of several is chosen by."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chatbot.decoding.config import Score
from chatbot.decoding.loop import Chosen
from chatbot.errors import ConfigError

# Of a prompt and replies to it, both as ids: each reply's mean log p(token of the last turn | reply).
Backward = Callable[[Sequence[int], Sequence[Sequence[int]]], Sequence[float]]


@dataclass(frozen=True)
class Drawn:
    """Replies to one prompt, to be compared. backward: a second model that learned what replies are to."""

    prompt: Sequence[int]
    replies: Sequence[Sequence[Chosen]]
    backward: Backward | None = None


Scorer = Callable[[Drawn], Sequence[float]]  # of each reply: the higher, the better


def likelihood(drawn: Drawn) -> list[float]:
    """The mean log probability of a reply's tokens."""
    return [_mean([_log(one.choice.probability) for one in reply]) for reply in drawn.replies]


def total(drawn: Drawn) -> list[float]:
    """The log probability of a whole reply: the one that the bot would say most often."""
    return [so_far(reply) for reply in drawn.replies]


def so_far(reply: Sequence[Chosen]) -> float:
    """The log probability of a reply as far as it goes: it never rises again."""
    return sum(_log(one.choice.probability) for one in reply)


def fit(drawn: Drawn) -> list[float]:
    """How much more probable its prompt makes it: mean log p(token) - log p(token | nothing was said).

    Pointwise mutual information (Li et al. 2016, eq. 9) by one model; where what would be said to nothing is
    not known, the likelihood.
    """
    return [_mean([_gain(one) for one in reply]) for reply in drawn.replies]


def balance(drawn: Drawn) -> list[float]:
    """Half of each: probable, and because of its prompt (Li et al. 2016, eq. 10, lambda = 1/2)."""
    return _halves(likelihood(drawn), fit(drawn))


def backward(drawn: Drawn) -> list[float]:
    """How well the last turn can be told from a reply: mean log p(its token | reply) (DialoGPT, 3.3)."""
    if drawn.backward is None:
        raise ConfigError(
            "this score needs a second bot, which learned the conversations backwards",
            "train one with --set examples.backward=true and name it with --backward",
        )
    replies = [[one.choice.token for one in reply] for reply in drawn.replies]
    return list(drawn.backward(drawn.prompt, replies))


def bidi(drawn: Drawn) -> list[float]:
    """MMI-bidi: half likelihood, half `backward`, by token (Li et al. 2016, eq. 13, lambda = 1/2)."""
    return _halves(likelihood(drawn), backward(drawn))


SCORES: dict[Score, Scorer] = {
    "likelihood": likelihood,
    "total": total,
    "fit": fit,
    "balance": balance,
    "bidi": bidi,
    "backward": backward,
}
HEARD: tuple[Score, ...] = ("fit", "balance")  # those that need what would be said to nothing


def _gain(one: Chosen) -> float:
    unprompted = one.choice.unprompted
    return _log(one.choice.probability) - (0.0 if unprompted is None else _log(unprompted))


def _halves(some: Sequence[float], others: Sequence[float]) -> list[float]:
    return [(a + b) / 2 for a, b in zip(some, others, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _log(probability: float) -> float:
    return math.log(max(probability, 1e-30))
