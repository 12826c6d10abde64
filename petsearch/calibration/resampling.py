"""Bootstrap intervals: how much a figure would vary with other photos or queries.

Efron, "Bootstrap methods: another look at the jackknife", 1979; the percentile interval. The
difference of two models is a paired bootstrap: both use the same photos.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
"""`(n,)`: indices of photos or queries, some more than once."""


@dataclass(frozen=True)
class Statistic:
    """A figure as a function of the photos or queries that are chosen."""

    count: int
    """Number of photos or queries."""
    at: Callable[[Indices], float]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resampling:
    """The number of resamples, and their seed."""

    times: int = 1000
    seed: int = 0

    def draws(self, count: int) -> Iterator[Indices]:
        """Draw `count` of `count` with replacement; the same draws on every call."""
        rng = np.random.default_rng(self.seed)
        for _ in range(self.times):
            yield rng.integers(0, count, count)


def mean_of(values: NDArray[np.floating] | NDArray[np.bool_]) -> Statistic:
    """The mean of values `(n,)`, one per photo or query."""
    held = values.astype(np.float64)
    return Statistic(len(held), lambda chosen: float(held[chosen].mean()))


def estimate(statistic: Statistic, resampling: Resampling) -> Estimate:
    """The statistic over all photos or queries, with its 95 % interval."""
    drawn = [statistic.at(chosen) for chosen in resampling.draws(statistic.count)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(statistic.at(np.arange(statistic.count)), float(low), float(high))


def estimate_difference(one: Statistic, other: Statistic, resampling: Resampling) -> Estimate:
    """As `estimate`, of `one` minus `other` with the same resamples."""
    if one.count != other.count:
        raise ValueError(f"{one.count} and {other.count} cannot be paired")
    difference = Statistic(one.count, lambda chosen: one.at(chosen) - other.at(chosen))
    return estimate(difference, resampling)
