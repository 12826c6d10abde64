"""By when a request must be answered: known to every call that its answer waits for.

A service sets it once, where a request comes in. The adapters shorten their own time-outs to what
is left of it. Where none is set, as in workers, those time-outs hold as they are.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from petsearch.domain.errors import Unavailable

_SHORTEST_S = 0.001
"""Sockets take 0 for: do not wait at all."""


class Deadline:
    """A moment. It may be moved, and lifted once the answer begins."""

    def __init__(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds
        """As `time.monotonic` counts."""
        self.waits_for = ""
        """The part that was called last."""

    @property
    def left_s(self) -> float:
        """Seconds until then; not positive if it has passed, infinite if it was lifted."""
        return self.ends_at - time.monotonic()

    @left_s.setter
    def left_s(self, seconds: float) -> None:
        self.ends_at = time.monotonic() + seconds

    def lift(self) -> None:
        """What is waited for from now on has time-outs of its own alone."""
        self.ends_at = math.inf


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def set_current(deadline: Deadline) -> None:
    """Let the deadline hold for all calls in this context, and in threads that copy it."""
    _current.set(deadline)


@contextmanager
def half_of_what_is_left() -> Iterator[None]:
    """Holds the calls inside to half of the time that is left: the rest is for another try."""
    outer = _current.get()
    if outer is None:
        yield
        return
    restored = _current.set(Deadline(outer.left_s / 2))
    try:
        yield
    finally:
        _current.reset(restored)


def left_s(most_s: float = math.inf) -> float:
    """How long a call may take that by itself may take `most_s` seconds; always positive."""
    deadline = _current.get()
    return most_s if deadline is None else max(_SHORTEST_S, min(most_s, deadline.left_s))


def ends_at() -> float:
    """When the deadline is, as `time.monotonic` counts; infinite if there is none."""
    deadline = _current.get()
    return math.inf if deadline is None else deadline.ends_at


def is_over() -> bool:
    """Whether there is a deadline that has passed."""
    return left_s() <= _SHORTEST_S


def check(part: str) -> None:
    """Note that the answer now waits for `part`, as "the index (Qdrant)".

    Raises:
        Unavailable: the deadline has passed.
    """
    deadline = _current.get()
    if deadline is None:
        return
    deadline.waits_for = part
    if is_over():
        raise Unavailable(f"{part[:1].upper()}{part[1:]} did not answer in time.")
