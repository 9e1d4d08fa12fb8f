"""What a sampling rule is, and what it may look at.

V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot.decoding.spelling import Spelling

Floats = NDArray[np.float32]
NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule may look at besides the logits.

    so_far      the reply's tokens
    unprompted  the logits (V,) of the same reply if the last turn had said nothing, where they are known
    prompt      the conversation's tokens, marks included
    window      of the reply's tokens, how many of the last ones penalties look at; 0 for all
    end         the token that ends a reply, if there is one
    spelling    how the tokens are written, where that is known
    """

    so_far: Sequence[int] = ()
    unprompted: Floats | None = None
    prompt: Sequence[int] = ()
    window: int = 0
    end: int | None = None
    spelling: Spelling | None = None

    @property
    def recent(self) -> Sequence[int]:
        """The reply's tokens that penalties look at."""
        return self.so_far[-self.window :] if self.window else self.so_far


Apply = Callable[[Floats, Seen, Any], Floats]  # Any: the setting's own type


@dataclass(frozen=True)
class Rule:
    """A sampling rule: what it does to the logits (V,), and which values it takes.

    neutral: the value at which it does nothing. reorders: whether it may put a token before one that was
    more probable, or forbid the most probable one. formula, source: what it does, and who has described it.
    """

    apply: Apply
    valid: Callable[[Any], bool]
    domain: str
    neutral: Any
    reorders: bool = False
    formula: str = ""
    source: str = ""


def softmax(logits: Floats) -> NDArray[np.float64]:
    """Probabilities of logits (V,), in float64 so that they sum to 1 also over large vocabularies."""
    raised = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(raised / raised.sum())


def without(logits: Floats, tokens: Sequence[int] | NDArray[np.int64]) -> Floats:
    """These tokens forbidden; if nothing were left, the logits as they are."""
    if not len(tokens):
        return logits
    kept = logits.copy()
    kept[np.asarray(tokens, np.int64)] = NEVER
    return kept if kept.max() > NEVER else logits
