"""Figures with intervals: the bootstrap (Efron 1979), and its paired form for two bots (Koehn 2004).

Few units (blocks of replies, not replies) cannot be resampled in enough ways: theirs are the jackknife's,
with Student's t (Tukey 1958).

N units (replies, or blocks of them), K parts of a statistic, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEW = 30  # units

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure as a function of sums, so that it can be worked out again for any resample.

    parts  (N, K): what each unit contributes
    value  the figure, from the sums (K,) of the parts over units
    """

    parts: Floats
    value: Callable[[Floats], float]

    @classmethod
    def ratio(cls, above: ArrayLike, below: ArrayLike) -> Statistic:
        """A sum over a sum: nats of all replies over their words."""
        parts = np.stack([np.asarray(above, np.float64), np.asarray(below, np.float64)], axis=1)
        return cls(parts, _quotient)

    @classmethod
    def mean(cls, values: ArrayLike) -> Statistic:
        """The mean over units."""
        array = np.asarray(values, np.float64)
        return cls.ratio(array, np.ones_like(array))

    def then(self, function: Callable[[float], float]) -> Statistic:
        """Another figure made of this one: perplexity is exp of nats."""
        value = self.value
        return Statistic(self.parts, lambda sums: function(value(sums)))

    @property
    def total(self) -> float:
        """The figure of all units."""
        return self.value(self.parts.sum(0))

    def resampled(self, weights: Floats) -> Floats:
        """The figure of each resample (R,), whose weights (R, N) say how often each unit is in it."""
        return np.array([self.value(sums) for sums in weights @ self.parts])


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its 95 % interval; of one unit there is none, and its ends are the value."""

    value: float
    low: float
    high: float
    units: int = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One bot's figure less another's, its 95 % interval, and the two-sided p-value of no difference."""

    value: float
    low: float
    high: float
    p: float


def figure(statistic: Statistic, resamples: int, seed: int) -> Figure:
    """The figure of all units, with its percentile interval; of few units, with Student's."""
    if len(statistic.parts) < FEW:
        half, _ = _student(_pseudo_values(statistic), statistic.total)
        return Figure(statistic.total, statistic.total - half, statistic.total + half, len(statistic.parts))
    values = statistic.resampled(weights(len(statistic.parts), resamples, seed))
    low, high = np.percentile(values, [2.5, 97.5])
    return Figure(statistic.total, float(low), float(high), len(statistic.parts))


def difference(one: Statistic, other: Statistic, resamples: int, seed: int) -> Difference:
    """The difference on the same units: every resample is one of both bots' replies together."""
    if len(one.parts) < FEW:
        value = one.total - other.total
        half, p = _student(_pseudo_values(one) - _pseudo_values(other), value)
        return Difference(value, value - half, value + half, p)
    drawn = weights(len(one.parts), resamples, seed)
    values = one.resampled(drawn) - other.resampled(drawn)
    low, high = np.percentile(values, [2.5, 97.5])
    beyond = min(int((values <= 0).sum()), int((values >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (resamples + 1))
    return Difference(one.total - other.total, float(low), float(high), p)


@lru_cache(maxsize=4)  # figures of the same replies share them, and drawing takes longer than all else
def weights(units: int, resamples: int, seed: int) -> Floats:
    """How often each unit is in each resample (R, N): as many draws as units, with replacement."""
    random = np.random.default_rng(seed)
    return random.multinomial(units, np.full(units, 1 / units), size=resamples).astype(np.float64)


def _pseudo_values(statistic: Statistic) -> Floats:
    """What each unit contributes (N,): N times the figure less N - 1 times the figure without it."""
    count, sums = len(statistic.parts), statistic.parts.sum(0)
    without = np.array([statistic.value(sums - part) for part in statistic.parts])
    return count * statistic.total - (count - 1) * without


def _student(values: Floats, centre: float) -> tuple[float, float]:
    """Half of the 95 % interval around `centre`, and the two-sided p-value of 0. One value tells neither.

    centre: the figure itself; the mean of its pseudo-values is another where it is not linear.
    """
    from scipy.stats import t  # 0.5 s

    count = len(values)
    error = float(values.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    if error < 1e-12:
        return 0.0, 1.0 if count == 1 or abs(centre) < 1e-12 else 0.0
    half = float(t.ppf(0.975, count - 1)) * error
    return half, float(2 * t.sf(abs(centre) / error, count - 1))


def _quotient(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else 0.0
