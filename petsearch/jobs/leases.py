"""Leases that a thread extends while their holder works; those of a dead worker expire."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from petsearch.domain.errors import PetsearchError
from petsearch.observability import get_logger

log = get_logger(__name__)

_EXTENSIONS_PER_LEASE = 3

Extend = Callable[[], bool]
"""Extends a lease; returns False if it was lost."""


@dataclass(eq=False)
class Lease:
    """A lease on a chunk or on the enumeration of a source."""

    extend: Extend
    is_lost: bool = False
    """Whether another worker may hold it now."""


class LeaseKeeper:
    """A thread that extends all leases of this process until it is closed."""

    def __init__(self, lease_s: float) -> None:
        self.lease_s = lease_s
        self._held: set[Lease] = set()
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)
        self._thread.start()

    @contextmanager
    def keep(self, extend: Extend) -> Iterator[Lease]:
        """Extend a lease while the block runs."""
        lease = Lease(extend)
        with self._changing:
            self._held.add(lease)
        try:
            yield lease
        finally:
            with self._changing:
                self._held.discard(lease)

    def close(self) -> None:
        """Stop the thread."""
        self._closing.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._closing.wait(self.lease_s / _EXTENSIONS_PER_LEASE):
            with self._changing:
                held = list(self._held)
            for lease in held:
                try:
                    lease.is_lost = lease.is_lost or not lease.extend()
                except PetsearchError as error:  # the next beat tries again
                    log.debug("lease not extended", reason=error.detail)
                except Exception:  # the thread's edge: the other leases must still be extended
                    log.exception("lease not extended")
