"""Queues pending chunks, a few of each job at a time, and requeues lost ones.

Because only a few chunks of a job are queued at once, jobs do not block each other, and pausing or
cancelling takes effect immediately. Work of a dead worker or a lost message is queued again.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from petsearch.domain import QueueName
from petsearch.domain.errors import Conflict, NotFound
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, OverdueWork, TakenChunks, TaskQueue

log = get_logger(__name__)

IDLE_S = 24 * 3600.0
"""A job to which nothing was added for so long was left by its client."""
_MAX_WAIT_S = 600.0
"""A chunk queued for longer counts as lost, even if the queue is not empty."""


@dataclass(frozen=True)
class DispatchOptions:
    """How many chunks of a job are queued, and when work counts as lost."""

    most_queued: int = 16
    """Chunks of one job in the queue."""
    lease_s: float = 30.0
    """A worker that does not extend its lease for this long counts as dead."""
    keep_jobs_s: float = 30 * 24 * 3600.0
    """After this long an ended job is deleted, and one that nobody continued is cancelled."""

    @property
    def most_open(self) -> int:
        """Chunks of one job that are read from its source before they are processed."""
        return 2 * self.most_queued


@dataclass(frozen=True)
class Dispatcher:
    """Moves chunks from pending to queued. Every process may do so at any time."""

    ledger: ChunkLedger
    queue: TaskQueue
    options: DispatchOptions
    clock: Callable[[], datetime]

    def dispatch(self, job_id: str) -> None:
        """Queue the next chunks of a job, and the enumeration of its source."""
        if self._queue_chunks(job_id).wants_enumeration:
            self.queue.enqueue_enumeration(job_id)

    def discard_if_cancelled(self, job_id: str) -> None:
        """Queue the cleanup of a cancelled job, once no worker holds any of its chunks."""
        try:
            job = self.ledger.get(job_id)
        except NotFound:
            return
        if job.cancelled and job.finished_at is not None:
            self.queue.enqueue_discard(job_id)

    def _queue_chunks(self, job_id: str) -> TakenChunks:
        options = self.options
        taken = self.ledger.take_chunks(
            job_id, options.most_queued, options.lease_s, most_open=options.most_open
        )
        for chunk_no in taken.chunk_nos:
            self.queue.enqueue_chunk(job_id, chunk_no, taken.queue)
        return taken

    def sweep(self) -> int:
        """Requeue the lost work of all jobs, once per lease across processes.

        Returns:
            The number of requeued chunks.
        """
        if not self.ledger.claim_chore("sweep", self.options.lease_s / 3):
            return 0
        self._expire_jobs()
        return self._sweep_jobs(self.ledger.active())

    def _expire_jobs(self) -> None:
        # One after the other: a process that ends here leaves the objects of one job at most.
        for job_id in self.ledger.expired_jobs(self.options.keep_jobs_s, self.clock()):
            with suppress(Conflict):  # it ended meanwhile
                self._expire(job_id)

    def _expire(self, job_id: str) -> None:
        with suppress(NotFound):  # it was deleted meanwhile, or its id alone was restored
            if self.ledger.get(job_id).finished_at is None:
                self.ledger.cancel(job_id, self.clock())
                log.warning("job cancelled: nobody continued it for long", job_id=job_id)
                self.discard_if_cancelled(job_id)
                return
        self.ledger.delete(job_id)
        self.queue.enqueue_discard(job_id)
        log.info("job expired", job_id=job_id)

    def recover(self) -> int:
        """Requeue all unfinished work; only for a process that knows itself to be the only one.

        Returns:
            The number of requeued chunks.
        """
        active = self.ledger.active()
        for job_id in active:
            self.ledger.end_leases(job_id)
        return self._sweep_jobs(active)

    def _sweep_jobs(self, job_ids: Sequence[str]) -> int:
        filled = set[QueueName]()
        overdue = self.ledger.overdue_work(job_ids, _MAX_WAIT_S, IDLE_S)
        return sum(self._sweep_job(work, filled) for work in overdue)

    def _sweep_job(self, work: OverdueWork, filled: set[QueueName]) -> int:
        """`filled` are queues that this sweep has seen filled: asking takes a connection each."""
        job_id = work.job_id
        if work.is_idle and self.ledger.seal_if_idle(job_id, IDLE_S, self.clock()):
            log.warning("job sealed: no photo was added to it for a day", job_id=job_id)
        lost = [*work.lost]
        # If the queue is empty, their messages are lost: a worker died while taking them.
        is_empty = bool(work.unclaimed or work.waits) and not self._is_filled(work.queue, filled)
        if is_empty:
            lost += work.unclaimed
        requeued = [
            chunk_no
            for chunk_no in lost
            if self.ledger.requeue_chunk(job_id, chunk_no, self.options.lease_s, self.clock())
        ]
        for chunk_no in requeued:
            self.queue.enqueue_chunk(job_id, chunk_no, work.queue)
        if len(requeued) < len(lost):
            # This may have ended a cancelled job, whose end no worker sees.
            self.discard_if_cancelled(job_id)
        if work.waits and self._queue_chunks(job_id).wants_enumeration and is_empty:
            self.queue.enqueue_enumeration(job_id)
        if requeued:
            log.warning("lost chunks requeued", job_id=job_id, chunk_nos=requeued)
        return len(requeued)

    def _is_filled(self, name: QueueName, filled: set[QueueName]) -> bool:
        if name not in filled and self.queue.depth(name):
            filled.add(name)
        return name in filled
