"""Temperature, and rules that leave the probable tokens only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chatbot.decoding.rule import NEVER, Floats, Seen, softmax


def top_k(logits: Floats, seen: Seen, value: int) -> Floats:
    """Keep the k largest logits (Fan et al. 2018, section 5.4); ties with the k-th stay."""
    k, left = int(value), logits[logits > NEVER]
    if k == 0 or k >= left.size:
        return logits
    threshold = np.partition(left, -k)[-k]
    return np.where(logits >= threshold, logits, NEVER)


def temperature(logits: Floats, seen: Seen, value: float) -> Floats:
    """Divide the logits by T (Ackley et al. 1985); T = 0 keeps the first of the largest alone."""
    if value == 0:
        greedy = np.full_like(logits, NEVER)
        greedy[logits.argmax()] = 0.0
        return greedy
    # Shifted first: with a tiny T all but the largest overflow to minus infinity, which is right.
    with np.errstate(over="ignore"):
        divided: Floats = ((logits.astype(np.float64) - logits.max()) / value).astype(np.float32)
    return divided


def top_p(logits: Floats, seen: Seen, value: float) -> Floats:
    """Keep the smallest set of tokens that together reach p (Holtzman et al. 2020, eq. 2)."""
    if value >= 1:
        return logits
    return _reaching(logits, value, -logits)


def min_p(logits: Floats, seen: Seen, value: float) -> Floats:
    """Keep tokens at least so many times as probable as the most probable one (Nguyen et al. 2024)."""
    if value == 0:
        return logits
    shifted = logits.astype(np.float64) - logits.max()  # exact where the threshold is 1
    return np.where(shifted >= np.log(value), logits, NEVER)


def typical(logits: Floats, seen: Seen, value: float) -> Floats:
    """Keep the tokens whose surprise is nearest to the expected one and that together reach the mass.

    Meister et al. 2023, eq. 11: |H + log p| is what they are ordered by.
    """
    if value >= 1:
        return logits
    share = softmax(logits)
    surprise = -np.log(np.maximum(share, 1e-300))
    return _reaching(logits, value, np.abs(surprise - (share * surprise).sum()))


def _reaching(logits: Floats, mass: float, order: NDArray[np.floating]) -> Floats:
    """The tokens that together reach a mass, those of least `order` first; ties by number."""
    left = np.flatnonzero(logits > NEVER)  # few, after other rules
    ordered = left[np.argsort(order[left], kind="stable")]
    share = softmax(logits)[ordered]
    before = np.cumsum(share) - share
    kept = logits.copy()
    kept[ordered[1:][before[1:] >= mass]] = NEVER
    return kept
