"""Hands pending work to the task queue, a few chunks of each job at a time, and finds lost work.

Only so many chunks of a job are in the queue at once: no job stands in another's way, and pausing
or cancelling takes effect at once. What a dead worker or a lost message left is queued again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from petsearch.domain.errors import NotFound
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, TaskQueue

log = get_logger(__name__)

_LONG_WAIT_S = 600.0
"""After so long in the queue a chunk's message counts as lost even if others still wait."""


@dataclass(frozen=True)
class DispatchOptions:
    """How much of a job is in the queue, and when work counts as lost."""

    most_queued: int = 16
    """Chunks of one job."""
    lease_s: float = 30.0
    """A worker that says nothing for so long is dead."""

    @property
    def most_open(self) -> int:
        """Chunks of one job that are read ahead from its source."""
        return 2 * self.most_queued


class Dispatcher:
    """Moves chunks from pending to the queue. Any process may do so at any time."""

    def __init__(
        self,
        ledger: ChunkLedger,
        queue: TaskQueue,
        options: DispatchOptions,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self.options = options

    def dispatch(self, job_id: str) -> None:
        """Queue what may be queued of a job: its next chunks, and the reading of its source."""
        self._queue_chunks(job_id)
        self._queue_reading(job_id)

    def discard_if_cancelled(self, job_id: str) -> None:
        """Queue the deletion of what a cancelled job staged, once no worker holds any of it."""
        try:
            job = self._ledger.get(job_id)
        except NotFound:
            return
        if job.cancelled and job.finished_at is not None:
            self._queue.enqueue_discard(job_id)

    def _queue_chunks(self, job_id: str) -> None:
        options = self.options
        taken = self._ledger.take_chunks(job_id, options.most_queued, options.lease_s)
        if taken:
            name = self._ledger.get(job_id).queue
            for chunk_no in taken:
                self._queue.enqueue_chunk(job_id, chunk_no, name)

    def _queue_reading(self, job_id: str) -> None:
        if self._ledger.wants_enumeration(job_id, self.options.most_open):
            self._queue.enqueue_enumeration(job_id)

    def sweep(self) -> int:
        """Queue lost work of all jobs again, once per lease in all processes; how many chunks."""
        if not self._ledger.is_first("sweep", self.options.lease_s / 3):
            return 0
        return sum(self._sweep_job(job_id) for job_id in self._ledger.active())

    def recover(self) -> int:
        """Queue all unfinished work again; only where nobody works, and nothing is in the queue."""
        active = self._ledger.active()
        for job_id in active:
            self._ledger.end_leases(job_id)
        return sum(self._sweep_job(job_id) for job_id in active)

    def _sweep_job(self, job_id: str) -> int:
        try:
            overdue = self._ledger.overdue_chunks(job_id, _LONG_WAIT_S)
            lost = list(overdue.lost)
            name = self._ledger.get(job_id).queue
            # With nothing in the queue, its messages are lost (a worker died as it took them).
            is_empty = self._queue.depth(name) == 0
            if is_empty:
                lost += overdue.unclaimed
            requeued = [
                chunk_no
                for chunk_no in lost
                if self._ledger.requeue_chunk(job_id, chunk_no, self.options.lease_s, self._clock())
            ]
            for chunk_no in requeued:
                self._queue.enqueue_chunk(job_id, chunk_no, name)
            if len(requeued) < len(lost):
                # The last chunk of a cancelled job may have ended so: no worker will see its end.
                self.discard_if_cancelled(job_id)
            self._queue_chunks(job_id)
            if is_empty:
                self._queue_reading(job_id)
        except NotFound:  # deleted meanwhile
            return 0
        if requeued:
            log.warning("lost chunks queued again", job_id=job_id, chunk_nos=requeued)
        return len(requeued)
