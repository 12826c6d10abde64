"""Queues pending chunks, a few of each job at a time, and requeues lost ones.

Because only a few chunks of a job are queued at once, jobs do not block each other, and pausing or
cancelling takes effect immediately. Work of a dead worker or a lost message is queued again.
"""

from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from petsearch.domain import QueueName
from petsearch.domain.errors import Conflict, NotFound
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, OverdueWork, TaskQueue

log = get_logger(__name__)

IDLE_S = 24 * 3600.0
"""A job to which nothing was added for so long was left by its client."""
_MAX_WAIT_S = 600.0
"""What was queued for longer counts as lost, even if the queue is not empty."""


@dataclass(frozen=True)
class DispatchOptions:
    """How many chunks of a job are queued, and when work counts as lost."""

    most_queued: int = 16
    """Chunks of one job in the queue."""
    lease_s: float = 30.0
    """A worker that does not extend its lease for this long counts as dead."""
    keep_jobs_s: float = 30 * 24 * 3600.0
    """After this long an ended job is deleted, and one that nobody continued is cancelled unless
    its photos wait for workers."""

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

    def dispatch(self, job_id: str, *, with_source: bool = True) -> None:
        """Queue the next chunks of a job, and the enumeration of its source."""
        options = self.options
        taken = self.ledger.take_chunks(
            job_id,
            options.most_queued,
            options.lease_s,
            most_open=options.most_open if with_source else 0,
        )
        for chunk_no in taken.chunk_nos:
            self.queue.enqueue_chunk(job_id, chunk_no, taken.queue)
        if taken.wants_enumeration:
            self.queue.enqueue_enumeration(job_id)

    def discard_if_cancelled(self, job_id: str) -> None:
        """Queue the cleanup of a cancelled job, once no worker holds any of its chunks."""
        try:
            job = self.ledger.get(job_id)
        except NotFound:
            return
        if job.cancelled and job.finished_at is not None:
            self.queue.enqueue_discard(job_id)

    def sweep(self) -> int:
        """Requeue the lost work of all jobs, once per lease across processes.

        Returns:
            The number of requeued chunks.
        """
        if not self.ledger.claim_chore("sweep", self.options.lease_s / 3):
            return 0
        overdue, discards = self._overdue(self.ledger.active()), self.ledger.discards()
        # Before anything is queued: afterwards no queue is empty. Asking takes a connection each.
        asked = {work.queue for work in overdue if work.unclaimed}
        if discards or any(work.unread for work in overdue):
            asked.add(QueueName.BULK)
        empty = {name for name in asked if not self.queue.depth(name)}
        self._expire_jobs()
        return self._requeue(overdue, discards, empty)

    def _expire_jobs(self) -> None:
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
        overdue, discards = self._overdue(active), self.ledger.discards(held=True)
        return self._requeue(overdue, discards, empty=set(QueueName))

    def _overdue(self, job_ids: Sequence[str]) -> list[OverdueWork]:
        return list(self.ledger.overdue_work(job_ids, _MAX_WAIT_S, IDLE_S))

    def _requeue(
        self, overdue: Sequence[OverdueWork], discards: Sequence[str], empty: Set[QueueName]
    ) -> int:
        """`empty` are queues without messages: those of unclaimed work are lost, with a worker."""
        for job_id in discards if QueueName.BULK in empty else ():
            self.queue.enqueue_discard(job_id)
        return sum(self._requeue_job(work, empty) for work in overdue)

    def _requeue_job(self, work: OverdueWork, empty: Set[QueueName]) -> int:
        job_id = work.job_id
        if work.is_idle and self.ledger.seal_if_idle(job_id, IDLE_S, self.clock()):
            log.warning("job sealed: no photo was added to it for a day", job_id=job_id)
        lost = [*work.lost, *(work.unclaimed if work.queue in empty else ())]
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
        reads_on = work.reading_lost or (work.unread and QueueName.BULK in empty)
        if work.waits or reads_on:
            self.dispatch(job_id, with_source=reads_on)
        if requeued:
            log.warning("lost chunks requeued", job_id=job_id, chunk_nos=requeued)
        return len(requeued)
