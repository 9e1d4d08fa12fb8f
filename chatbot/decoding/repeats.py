"""Rules that forbid what was said already, whole runs of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chatbot.decoding.rule import Floats, Seen, without


def no_repeat(logits: Floats, seen: Seen, value: int) -> Floats:
    """Forbid a token that would make n tokens stand in the reply a second time (Paulus et al. 2018)."""
    return without(logits, _next(seen.so_far, seen.so_far, value))


def no_echo(logits: Floats, seen: Seen, value: int) -> Floats:
    """Forbid a token that would make n tokens in a row those of the conversation so far.

    Roller et al. 2021, section 4.3 (context blocking).
    """
    echoes = _next(seen.so_far, seen.prompt, value)
    return without(logits, echoes[echoes != seen.end])  # to end as others did is no echo


def _next(said: Sequence[int], text: Sequence[int], n: int) -> NDArray[np.int64]:
    """The tokens that follow in a text wherever its n - 1 tokens before are the last ones said."""
    if n < 1 or len(said) < n - 1 or len(text) < n:
        return np.zeros(0, np.int64)
    tokens, last = np.asarray(text, np.int64), np.asarray(said[len(said) - n + 1 :], np.int64)
    runs = np.lib.stride_tricks.sliding_window_view(tokens, n)
    found: NDArray[np.int64] = runs[(runs[:, :-1] == last).all(1), -1]
    return found
