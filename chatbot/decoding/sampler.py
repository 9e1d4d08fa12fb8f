"""The sampler: rules, then a draw."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chatbot.decoding.config import RULES, SamplingConfig
from chatbot.decoding.rule import NEVER, Floats, Seen, softmax
from chatbot.decoding.spelling import Spelling
from chatbot.errors import ChatbotError


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, and how probable the model found it before any rule changed that.

    unprompted: how probable if the last turn had said nothing, where that is known.
    """

    token: int
    probability: float
    unprompted: float | None = None


@dataclass(frozen=True, slots=True)
class Shaped:
    """The model's probabilities (V,), and the logits (V,) that the rules leave; unprompted as in Seen."""

    own: NDArray[np.float64]
    allowed: Floats
    unprompted: Floats | None

    def choice(self, token: int) -> Choice:
        """This token, chosen."""
        if self.unprompted is None:
            return Choice(token, float(self.own[token]))
        raised = np.exp(self.unprompted - self.unprompted.max())  # float32 will do: it is for scores alone
        return Choice(token, float(self.own[token]), float(raised[token] / raised.sum()))


class Sampler:
    """Draws tokens by a SamplingConfig; the same seed and logits give the same tokens.

    forbidden: ids that no reply may contain (padding, speaker marks). end: the one that ends a reply.
    spelling: how the ids are written, for rules about words. number: samplers of one seed and different
    numbers draw independently. not_first: ids that no reply may begin with.
    """

    def __init__(
        self,
        config: SamplingConfig,
        forbidden: Sequence[int] = (),
        end: int | None = None,
        spelling: Spelling | None = None,
        number: int = 0,
        not_first: Collection[int] = (),
    ) -> None:
        self.config = config
        self._forbidden = list(forbidden)
        self._not_first = list(not_first)
        self._end, self._spelling = end, spelling
        seed = config.seed
        self._random = np.random.default_rng([seed, number] if number and seed is not None else seed)

    def __call__(self, logits: Floats, seen: Seen) -> Choice:
        """Choose the next token from logits (V,)."""
        shaped = self.shape(logits, seen)
        # The inverse of the cumulative distribution: one uniform number a token, on every engine.
        cumulative = np.cumsum(softmax(shaped.allowed))
        token = int(np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right"))
        return shaped.choice(token)

    def shape(self, logits: Floats, seen: Seen) -> Shaped:
        """What the rules make of logits (V,)."""
        allowed = self.permitted(logits)
        known = seen.unprompted is None or np.isfinite(seen.unprompted.max())
        if not known or not np.isfinite(allowed.max()):
            raise ChatbotError("the bot's weights give no numbers to choose by", "train it again")
        own = softmax(allowed)
        if not seen.so_far:
            allowed = self._begun(allowed)
        for _, shaped in self.rules(allowed, seen):
            allowed = shaped
        return Shaped(own, allowed, seen.unprompted)

    def rules(self, logits: Floats, seen: Seen) -> Iterator[tuple[str, Floats]]:
        """Each rule's name, in their order, and what it leaves of the logits (V,) of the one before."""
        seen = replace(seen, window=self.config.window, end=self._end, spelling=self._spelling)
        for name, rule in RULES.items():
            logits = rule.apply(logits, seen, getattr(self.config, name))
            yield name, logits

    def _begun(self, logits: Floats) -> Floats:
        """The logits (V,) without what no reply may begin with; with it where nothing else is left."""
        begun = logits.copy()
        begun[self._not_first] = NEVER
        return begun if np.isfinite(begun.max()) else logits

    def permitted(self, logits: Floats) -> Floats:
        """The logits (V,) without the tokens that no reply may contain; a copy."""
        allowed = logits.astype(np.float32)
        allowed[self._forbidden] = NEVER
        return allowed
