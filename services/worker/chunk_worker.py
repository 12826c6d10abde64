"""Claims a chunk, runs it until it ends, and waits out the outages of dependencies.

No chunk is lost: it is accounted for, handed back, or queued again when its lease expires.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic

from petsearch.domain import Job
from petsearch.domain.errors import Conflict, NotFound, PetsearchError, Unavailable, shortage_of
from petsearch.jobs import CircuitBreaker, Dispatcher, Lease, LeaseKeeper
from petsearch.jobs.chunk_runner import ChunkRunner
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, Claim
from petsearch.ports.work_in_hand import WorkInHand

log = get_logger(__name__)

MAX_RUN_S = 60.0
"""A chunk that takes longer is handed back, so that other chunks get their turn."""
_ONE_BY_ONE_AFTER = 3
"""Consecutive failures of a chunk after which its items are run one by one."""


@dataclass
class _ClaimedChunk:
    """A chunk that this worker holds a lease on, and its state between runs."""

    job: Job
    chunk_no: int
    lease: Lease
    one_by_one: bool
    started_at_s: float = field(default_factory=monotonic)
    failed_runs: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    is_leaving: bool = False
    """Whether its job was stopped: one more run accounts for what it has, or hands it back."""
    is_accounted: bool | None = None
    """False if it is to be handed back; None until a run ends without an error."""

    @property
    def name(self) -> str:
        """What it is called among the work in hand."""
        return f"chunk {self.chunk_no} of {self.job.job_id}"


@dataclass(frozen=True, kw_only=True)
class ChunkWorker:
    """Runs the chunks that the queue delivers. Thread-safe."""

    runner: ChunkRunner
    ledger: ChunkLedger
    dispatcher: Dispatcher
    breaker: CircuitBreaker
    leases: LeaseKeeper
    stopping: threading.Event
    clock: Callable[[], datetime]
    in_hand: WorkInHand = field(default_factory=WorkInHand, init=False)
    """The chunks that run now. Those that wait for a dependency do not."""

    def work(self, job_id: str, chunk_no: int) -> None:
        """Run a delivered chunk to its end, or hand it back if the process is stopping.

        Raises:
            Unavailable: the ledger does not answer while the process stops; the lease expires.
        """
        holder, lease_s = uuid.uuid4().hex, self.leases.lease_s
        claimed = self.ledger.claim_chunk(job_id, chunk_no, holder, lease_s)
        if claimed.claim is not Claim.RUN:
            log.info("chunk skipped", claim=claimed.claim.value)
            return
        if claimed.deaths:
            log.warning("chunk killed a worker; running one by one", deaths=claimed.deaths)
        extend = partial(self.ledger.extend_chunk, job_id, chunk_no, holder, lease_s)
        with self.leases.keep(extend) as lease:
            job = self.ledger.get(job_id)
            chunk = _ClaimedChunk(job, chunk_no, lease, one_by_one=claimed.deaths > 0)
            while chunk.is_accounted is None and not self._must_end(chunk):
                with self._failures_handled(chunk), self.in_hand.doing(chunk.name):
                    chunk.is_accounted = self.runner.run(
                        job,
                        chunk_no,
                        should_stop=partial(self._should_stop, chunk),
                        one_by_one=chunk.one_by_one,
                        failures=chunk.failures,
                    )
            if not chunk.is_accounted and not lease.is_lost:
                self.ledger.hand_back_chunk(job_id, chunk_no, holder, self.clock())
        if not self.stopping.is_set():
            self.dispatcher.dispatch(job_id)
        self.dispatcher.discard_if_cancelled(job_id)

    def resume_if_left(self) -> None:
        """End a pause that no chunk ends: where one runs, its end decides."""
        if not self.in_hand.moves():
            self.breaker.close_if_left()

    @contextmanager
    def _failures_handled(self, chunk: _ClaimedChunk) -> Iterator[None]:
        """Wait out outages; after other errors, switch to one by one."""
        try:
            yield
            self.breaker.record_success()
            if chunk.failed_runs:
                self._set_reason(chunk.job.job_id, None)
        except (Unavailable, Conflict, NotFound) as error:
            # Conflict: the embedder has not loaded the model (yet). NotFound: something was
            # deleted between a read and a write; the next run does without it.
            self._wait(chunk, error)
        except Exception as error:  # a thread's edge: running one by one finds the item that fails
            if (shortage := shortage_of(error)) is not None:
                self._wait(chunk, shortage)
            elif chunk.one_by_one:
                raise
            else:
                log.exception("chunk failed; running one by one")
                chunk.one_by_one = True

    def _wait(self, chunk: _ClaimedChunk, error: PetsearchError) -> None:
        chunk.failed_runs += 1
        chunk.one_by_one = chunk.one_by_one or chunk.failed_runs >= _ONE_BY_ONE_AFTER
        self._set_reason(chunk.job.job_id, error.detail)
        self.breaker.wait(
            error, give_up=lambda: chunk.lease.is_lost or self._is_stopped(chunk.job.job_id)
        )
        if self._is_stopped(chunk.job.job_id):
            if chunk.is_leaving:  # not even what it has can be accounted for
                chunk.is_accounted = False
            chunk.is_leaving = True
        # Waiting does not count as running.
        chunk.started_at_s = monotonic()

    def _is_stopped(self, job_id: str) -> bool:
        """Whether nobody wants the job to go on; not known while the ledger does not answer."""
        try:
            return self.ledger.is_stopped(job_id)
        except Unavailable:
            return False

    def _set_reason(self, job_id: str, reason: str | None) -> None:
        try:
            self.ledger.set_reason(job_id, reason)
        except Unavailable:
            log.debug("ledger unavailable; reason not set")

    def _must_end(self, chunk: _ClaimedChunk) -> bool:
        return self.stopping.is_set() or chunk.lease.is_lost

    def _should_stop(self, chunk: _ClaimedChunk) -> bool:
        """Asked between batches, and while photos are fetched, decoded and stored: it moves."""
        self.in_hand.moved(chunk.name)
        return (
            self._must_end(chunk)
            or monotonic() - chunk.started_at_s > MAX_RUN_S
            or self.ledger.is_stopped(chunk.job.job_id)
        )
