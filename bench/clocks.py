"""Timing: calls per second, and the duration of each call."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

WARM_UP_S = 2.0
_ROUNDS = 4
"""Calls of each client that a rate is told from, at least."""


def rate(call: Callable[[], object], seconds: float) -> float:
    """Calls per second, one after the other."""
    call()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - started)


def rate_of_many(calls: Sequence[Callable[[], object]], seconds: float) -> float:
    """Calls per second of all clients together, after a warm-up; each client is a thread.

    The slope of the calls done over time: a batch answers several callers at once, so that a
    count of what ends within some seconds would depend on where they begin. On a machine that is
    too slow for a slope it takes longer than `seconds`.
    """
    begins = time.perf_counter() + WARM_UP_S
    ends = begins + seconds
    least = _ROUNDS * len(calls)
    done: list[float] = []

    def is_over() -> bool:
        enough = sum(moment >= begins for moment in done[-least:]) == least
        return enough and time.perf_counter() >= ends

    def work(call: Callable[[], object]) -> None:
        while not is_over():
            call()
            done.append(time.perf_counter())

    threads = [threading.Thread(target=work, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    measured = sorted(moment for moment in done if moment >= begins)
    # Past the end, clients stop one after the other.
    counted = [moment for moment in measured if moment < max(ends, measured[least - 1])]
    return float(np.polyfit(counted, np.arange(len(counted)), 1)[0])


def times_in_turns_ms(
    one: Callable[[], object], other: Callable[[], object], seconds: float
) -> tuple[list[float], list[float]]:
    """Durations of several calls, alternating so that all see the same machine load."""
    ends = time.perf_counter() + 2 * seconds
    ones: list[float] = []
    others: list[float] = []
    one()
    other()
    while time.perf_counter() < ends:
        for call, times in ((one, ones), (other, others)):
            started = time.perf_counter()
            call()
            times.append((time.perf_counter() - started) * 1e3)
            time.sleep(0.02)
    return ones, others


def times_ms(call: Callable[[], object], seconds: float) -> list[float]:
    """Durations of single calls."""
    call()
    times = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends:
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e3)
        time.sleep(0.02)
    return times
