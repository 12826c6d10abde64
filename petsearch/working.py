"""Everything a worker process runs, and the chores it does beside the queue."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from petsearch.chunk_worker import ChunkWorker
from petsearch.discarding import Discarder
from petsearch.domain.errors import PetsearchError
from petsearch.ingest.ingestor import Ingestor
from petsearch.jobs.circuit_breaker import DependencyGate
from petsearch.jobs.dispatch import Dispatcher
from petsearch.jobs.enumeration import Enumerator
from petsearch.jobs.leases import LeaseKeeper
from petsearch.observability import get_logger

log = get_logger(__name__)

_SWEEPS_PER_LEASE = 3


@dataclass
class Work:
    """What the tasks call. `begin` starts the chores, `stop` hands back, `close` releases."""

    chunks: ChunkWorker
    enumerator: Enumerator
    discarder: Discarder
    dispatcher: Dispatcher
    ingestor: Ingestor
    leases: LeaseKeeper
    gate: DependencyGate
    stopping: threading.Event
    chores: tuple[Callable[[], None], ...] = ()
    """What else is to be done every now and then."""
    _sweeper: threading.Thread | None = None

    def begin(self) -> None:
        """Look for lost work every now and then, in a thread, until `stop`."""
        self._sweeper = threading.Thread(target=self._sweep, name="sweep", daemon=True)
        self._sweeper.start()

    def stop(self) -> None:
        """Let running chunks end at their next batch; what is left is handed back."""
        self.stopping.set()

    def close(self) -> None:
        """Wait for the threads, then release them."""
        self.stop()
        if self._sweeper is not None:
            self._sweeper.join()
        self.ingestor.close()
        self.leases.close()

    def _sweep(self) -> None:
        while not self.stopping.wait(self.leases.lease_s / _SWEEPS_PER_LEASE):
            for chore in (self.dispatcher.sweep, *self.chores):
                try:
                    chore()
                except PetsearchError as error:
                    log.debug("a chore cannot be done now", reason=error.detail)
                except Exception:  # a thread's edge: without it lost work stays lost
                    log.exception("a chore failed")
