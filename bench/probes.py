"""Probes of two servers at the same moments: how long each takes, and what it says."""

import asyncio
import itertools
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.http_line import connect, request
from bench.shapes import Served, ShapeName

MOST_OVER_MS = {ShapeName.DISTRIBUTED: 100.0, ShapeName.STANDALONE: 250.0}
"""How much longer than that of an idle server a probe of a loaded one may take."""
_PATIENCE_S = 10.0
_RESAMPLES = 2000


@dataclass(frozen=True)
class Pair:
    """A probe of each server at one moment."""

    with_key: bool
    loaded_ms: float
    control_ms: float
    statuses: tuple[int, int]


@dataclass(frozen=True)
class Figures:
    """Of pairs: percentiles in ms, and the difference of the p99s with its 95 % interval."""

    count: int
    loaded_ms: tuple[float, float, float]
    """p50, p99, longest."""
    control_ms: tuple[float, float, float]
    over_ms: float
    over_interval_ms: tuple[float, float]
    not_200: int


async def probe_pairs(
    loaded: Served, control: Served, path: str, seconds: float, every_s: float
) -> list[Pair]:
    """Probe both for so long, each time on new connections, in turn with a key and without."""
    began, pairs = time.perf_counter(), list[Pair]()
    for number in itertools.count():
        due = max(began + number * every_s, time.perf_counter())
        if due > began + seconds:
            return pairs
        await asyncio.sleep(due - time.perf_counter())
        with_key = number % 2 == 0
        (one, its), (other, others) = await asyncio.gather(
            *(probe(server, path, with_key=with_key) for server in (loaded, control))
        )
        pairs.append(Pair(with_key, one, other, (its, others)))
    raise AssertionError


async def probe(server: Served, path: str, *, with_key: bool) -> tuple[float, int]:
    """Milliseconds from the connection to the end of the answer, and its status; 0: none."""
    began, status, line = time.perf_counter(), 0, None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            line = await connect(server.port)
            expected = line.expect_reply()
            line.write(request("GET", path, server.key if with_key else ""))
            status = (await expected).status
    except (OSError, TimeoutError):
        pass
    finally:
        if line is not None:
            line.close()
    return (time.perf_counter() - began) * 1e3, status


def figures_of(pairs: list[Pair]) -> Figures:
    """Summarise pairs; the interval resamples blocks of ten, as neighbours resemble each other."""
    loaded = np.array([pair.loaded_ms for pair in pairs])
    control = np.array([pair.control_ms for pair in pairs])
    low, high = _interval(loaded, control)
    return Figures(
        len(pairs),
        _percentiles(loaded),
        _percentiles(control),
        _p99(loaded) - _p99(control),
        (low, high),
        sum(pair.statuses != (200, 200) for pair in pairs),
    )


def _interval(
    loaded: NDArray[np.float64], control: NDArray[np.float64], block: int = 10
) -> tuple[float, float]:
    random = np.random.default_rng(0)
    starts = np.arange(0, max(1, len(loaded) - block + 1))
    over = []
    for _ in range(_RESAMPLES):
        chosen = random.choice(starts, max(1, len(loaded) // block))
        rows = (chosen[:, None] + np.arange(min(block, len(loaded)))).ravel()
        over.append(_p99(loaded[rows]) - _p99(control[rows]))
    low, high = np.quantile(over, (0.025, 0.975))
    return float(low), float(high)


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(np.quantile(values, 0.5)), _p99(values), float(values.max())


def _p99(values: NDArray[np.float64]) -> float:
    return float(np.quantile(values, 0.99))
