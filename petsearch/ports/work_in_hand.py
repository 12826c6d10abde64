"""What a process works at, and whether it moves."""

import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

Moves = Mapping[str, int]
"""What is worked at now, by name, each with a number that changes when it moves."""


class WorkInHand:
    """What a process works at, and how often each piece of work has moved. Thread-safe."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._moves: dict[str, int] = {}

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Work at something that is expected to move while the block runs."""
        with self._lock:
            self._moves[what] = next(self._numbers)
        try:
            yield
        finally:
            with self._lock:
                self._moves.pop(what, None)

    def moved(self, what: str) -> None:
        """Something has moved; nothing happens if it is not worked at any more."""
        with self._lock:
            if what in self._moves:
                self._moves[what] = next(self._numbers)

    def moves(self) -> Moves:
        """What is worked at now."""
        with self._lock:
            return self._moves.copy()
