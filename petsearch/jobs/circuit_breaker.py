"""A circuit breaker for all workers of a process: it opens when a dependency is down.

Who meets a dependency that does not answer waits here, all together, until a probe of every
dependency succeeds. The pauses grow and are jittered; the log has one line per change of state.
"""

import random
import threading
from collections.abc import Callable
from enum import StrEnum

from petsearch.domain.errors import Overloaded, PetsearchError
from petsearch.observability import get_logger
from petsearch.ports import IngestObserver

log = get_logger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0


class GateState(StrEnum):
    """As circuit breakers name it."""

    CLOSED = "closed"
    """Work flows."""
    OPEN = "open"
    """Everybody waits."""
    HALF_OPEN = "half open"
    """The probe succeeded; the next real call tells."""


class DependencyGate:
    """Lets work pass while all dependencies answer.

    Args:
        probe: asks every dependency; raises an error of ours if one does not answer.
        stopping: is set when the process ends; whoever waits goes on then.
        jitter: a factor for a pause, from 0.5 to 1.
    """

    def __init__(
        self,
        probe: Callable[[], None],
        *,
        stopping: threading.Event,
        observer: IngestObserver,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0),
    ) -> None:
        self._probe = probe
        self._stopping = stopping
        self._observer = observer
        self._jitter = jitter
        self._changing = threading.Lock()
        self._probing = threading.Lock()
        self._failures = 0
        self._state = GateState.CLOSED

    @property
    def state(self) -> GateState:
        """Where it stands."""
        return self._state

    def wait(self, error: PetsearchError, give_up: Callable[[], bool]) -> None:
        """Wait after `error` until all dependencies answer, or until `give_up` or the end.

        `Overloaded` is no outage: it only takes the pause that was asked for.
        """
        if isinstance(error, Overloaded):
            self._stopping.wait(min(error.retry_after_s, LONGEST_PAUSE_S) * self._jitter())
            return
        self._open(error)
        while not (self._stopping.wait(self._pause_s()) or give_up()):
            # One asks, the others wait for its answer.
            with self._probing:
                if self._state is not GateState.OPEN or self._answers():
                    return

    def succeeded(self) -> None:
        """Real work was done: everything answers."""
        with self._changing:
            if self._state is GateState.CLOSED:
                return
            self._state, self._failures = GateState.CLOSED, 0
        log.info("ingest goes on: all dependencies answer")
        self._observer.paused(is_paused=False)

    def _open(self, error: PetsearchError) -> None:
        with self._changing:
            was_closed = self._state is GateState.CLOSED
            if self._state is not GateState.OPEN:
                self._failures += 1
            self._state = GateState.OPEN
        if was_closed:
            log.warning("ingest pauses: a dependency is down", reason=error.detail)
            self._observer.paused(is_paused=True)

    def _answers(self) -> bool:
        try:
            self._probe()
        except PetsearchError as error:
            log.debug("a dependency is still down", reason=error.detail)
            self._failures += 1
            return False
        self._state = GateState.HALF_OPEN
        return True

    def _pause_s(self) -> float:
        longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        return longest * self._jitter()
