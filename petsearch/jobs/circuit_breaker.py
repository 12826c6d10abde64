"""A circuit breaker for all threads of a worker: it opens when a dependency is down.

Threads that meet an outage wait here together until a probe of every dependency succeeds. Pauses
grow and are jittered; each change of state is one line in the log.
"""

import random
import threading
from collections.abc import Callable
from typing import Literal

from petsearch.domain.errors import Overloaded, PetsearchError, SourceUnavailable
from petsearch.observability import get_logger
from petsearch.ports import IngestObserver

log = get_logger(__name__)

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0

CircuitState = Literal["closed", "open", "half open"]
"""Closed: calls are made. Open: all callers wait. Half open: a probe succeeded, the next call
decides."""


def random_jitter() -> float:
    """Return a factor for a pause, so that workers do not probe at the same moment."""
    return random.uniform(0.5, 1.0)


class CircuitBreaker:
    """Lets callers pass while all dependencies answer. Thread-safe.

    Args:
        probe: calls every dependency; raises a `PetsearchError` if one does not answer.
        stopping: set when the process stops; ends every wait.
        jitter: returns a factor for a pause, from 0.5 to 1.
    """

    def __init__(
        self,
        probe: Callable[[], None],
        *,
        stopping: threading.Event,
        observer: IngestObserver,
        jitter: Callable[[], float] = random_jitter,
    ) -> None:
        self._probe = probe
        self._stopping = stopping
        self._observer = observer
        self._jitter = jitter
        self._changing = threading.Lock()
        self._probing = threading.Lock()
        self._failures = 0
        self._waiting = 0
        """Threads between `_open` and the end of their wait."""
        self._state: CircuitState = "closed"
        self.reason: str | None = None
        """The error it is open for, as of the last probe; None while it is closed."""

    def wait(self, error: PetsearchError, give_up: Callable[[], bool]) -> None:
        """Open after `error`, and wait until all dependencies answer, `give_up()` or the end.

        `Overloaded` and `SourceUnavailable` are no outages: they pause for as long as they ask.
        """
        if isinstance(error, (Overloaded, SourceUnavailable)):
            self._stopping.wait(min(error.retry_after_s, MAX_PAUSE_S) * self._jitter())
            return
        self._open(error)
        try:
            while not (self._stopping.wait(self._pause_s()) or give_up()):
                # One thread probes, the others wait for the result.
                with self._probing:
                    if self._state != "open" or self._probe_succeeds():
                        return
        finally:
            with self._changing:
                self._waiting -= 1

    def close_if_left(self) -> None:
        """Close if nobody waits and all dependencies answer: those who waited may have given up."""
        with self._changing:
            if self._state == "closed" or self._waiting:
                return
        with self._probing:
            if not self._probe_succeeds():
                return
        self.record_success()

    def record_success(self) -> None:
        """Close: a real call succeeded."""
        with self._changing:
            if self._state == "closed":
                return
            self._state, self._failures, self.reason = "closed", 0, None
        log.info("ingest resumed: all dependencies answer")
        self._observer.paused(is_paused=False)

    def _open(self, error: PetsearchError) -> None:
        with self._changing:
            self._waiting += 1
            was_closed = self._state == "closed"
            if self._state != "open":
                self._failures += 1
            self._state, self.reason = "open", error.detail
        if was_closed:
            cause = str(error.__cause__ or "")
            log.warning("ingest paused: a dependency is down", reason=error.detail, cause=cause)
            self._observer.paused(is_paused=True)

    def _probe_succeeds(self) -> bool:
        try:
            self._probe()
        except PetsearchError as error:
            log.debug("dependency still down", reason=error.detail)
            with self._changing:
                if self._state != "closed":  # else a call of another thread succeeded meanwhile
                    self._failures, self.reason = self._failures + 1, error.detail
            return False
        with self._changing:
            if self._state == "open":
                self._state = "half open"
        return True

    def _pause_s(self) -> float:
        longest: float = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        return longest * self._jitter()
