"""Deletes what cancelled and deleted jobs left in the object store."""

import threading
from dataclasses import dataclass
from functools import partial

from petsearch.domain.errors import Unavailable
from petsearch.jobs import CircuitBreaker, Jobs, LeaseKeeper
from petsearch.ports import ChunkLedger, TaskQueue


@dataclass(frozen=True, kw_only=True)
class JobCleanup:
    """Runs the deletions that the queue delivers. Thread-safe."""

    jobs: Jobs
    ledger: ChunkLedger
    queue: TaskQueue
    breaker: CircuitBreaker
    leases: LeaseKeeper
    stopping: threading.Event

    def work(self, job_id: str) -> None:
        """Delete what a job left, or queue the deletion again if the process is stopping."""
        hold = partial(self.ledger.hold_discard, job_id, self.leases.lease_s)
        with self.leases.keep(hold):
            while not self.stopping.is_set():
                try:
                    hold()
                    self.jobs.discard(job_id)
                    self.ledger.end_discard(job_id)
                except Unavailable as error:
                    self.breaker.wait(error, give_up=self.stopping.is_set)
                else:
                    self.breaker.record_success()
                    return
        self.queue.enqueue_discard(job_id)
