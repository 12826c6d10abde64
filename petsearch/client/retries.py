"""Repeats what fails while a server is unavailable, with growing pauses."""

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from petsearch.domain.errors import Unavailable

PATIENCE_S = 600.0
"""How long an unavailable server is waited for."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
_Answer = TypeVar("_Answer")


def pauses(patience_s: float = PATIENCE_S) -> Iterator[float]:
    """Growing pauses in seconds, until `patience_s` seconds have passed since the first.

    They are random, so that many clients do not retry at the same time.
    """
    deadline, longest_s = time.monotonic() + patience_s, _FIRST_PAUSE_S
    while True:
        pause_s = random.uniform(longest_s / 2, longest_s)
        if time.monotonic() + pause_s > deadline:
            return
        yield pause_s
        longest_s = min(2 * longest_s, _LONGEST_PAUSE_S)


def with_retries(
    call: Callable[[], _Answer],
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], object] = time.sleep,
) -> _Answer:
    """Call an idempotent function, and retry it with growing pauses while it is unavailable.

    Raises:
        Unavailable: it still was after `patience_s`.
    """
    waits = pauses(patience_s)
    while True:
        try:
            return call()
        except Unavailable:
            pause_s = next(waits, None)
            if pause_s is None:
                raise
        sleep(pause_s)
