"""Bootstrapped intervals: how far a figure would move with other photos or queries of the kind.

Efron, "Bootstrap methods: another look at the jackknife", 1979; the percentile interval. A
difference of two models is resampled in pairs: both are read at the same photos.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
"""`(n,)`: which photos or queries to read, some more than once."""


@dataclass(frozen=True)
class Statistic:
    """A figure that can be read at any choice of its photos or queries."""

    count: int
    """Photos or queries it is read from."""
    at: Callable[[Indices], float]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resampling:
    """How often, and with which seed."""

    times: int = 1000
    seed: int = 0

    def draws(self, count: int) -> Iterator[Indices]:
        """Choices of `count` out of `count`, with repeats; the same ones every time."""
        rng = np.random.default_rng(self.seed)
        for _ in range(self.times):
            yield rng.integers(0, count, count)


def mean_of(values: NDArray[np.floating] | NDArray[np.bool_]) -> Statistic:
    """The mean of one value `(n,)` per photo or query."""
    held = values.astype(np.float64)
    return Statistic(len(held), lambda chosen: float(held[chosen].mean()))


def estimate(statistic: Statistic, resampling: Resampling) -> Estimate:
    """The statistic of all, and between which values 95 % of its resamples lie."""
    return _estimate(statistic.at, statistic.count, resampling)


def estimate_difference(one: Statistic, other: Statistic, resampling: Resampling) -> Estimate:
    """As `estimate`, of `one` minus `other`, each time read at the same photos or queries."""
    if one.count != other.count:
        raise ValueError(f"{one.count} and {other.count} are no pairs")
    return _estimate(lambda chosen: one.at(chosen) - other.at(chosen), one.count, resampling)


def _estimate(at: Callable[[Indices], float], count: int, resampling: Resampling) -> Estimate:
    drawn = [at(chosen) for chosen in resampling.draws(count)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(at(np.arange(count)), float(low), float(high))
