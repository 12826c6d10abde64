"""Lets requests go before bulk work in a process that does both, while some are refused.

Bulk work can be done later, and a refused request cannot. It still goes on, or its queue would
only grow: a photo waits for a moment, and then has its turn.
"""

from collections.abc import Callable
from time import monotonic, sleep

from petsearch.observability import get_logger

log = get_logger(__name__)

_COUNTS_S = 2.0
"""How long it counts that requests were refused, which is told once a second."""
_WAIT_S = 1.0


class GivingWay:
    """What bulk work asks before each photo. Thread-safe.

    Args:
        clock: returns seconds.
        wait: takes seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = monotonic, wait: Callable[[float], None] = sleep
    ) -> None:
        self._clock = clock
        self._wait = wait
        self._until = float("-inf")

    def requests_refused(self) -> None:
        """Requests found no room."""
        self._until = self._clock() + _COUNTS_S

    def before_photo(self) -> None:
        """Return at once, or a second later while requests are refused."""
        if self._clock() < self._until:
            log.debug("photo waits while requests are refused", seconds=_WAIT_S)
            self._wait(_WAIT_S)
