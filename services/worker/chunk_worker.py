"""What a worker does with a chunk: claim it, run it until it ends, wait out what is down.

Nothing is dropped: a chunk is accounted, or handed back, or its lease ends and it is queued again.
"""

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from time import monotonic

from petsearch.domain import ItemStatus, Job, JobKind
from petsearch.domain.errors import Conflict, NotFound, PetsearchError, Unavailable
from petsearch.ingest import Ingestor
from petsearch.jobs import DependencyGate, Dispatcher, Lease, LeaseKeeper
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, Claim
from petsearch.reindex import Reindexer

log = get_logger(__name__)

LONGEST_RUN_S = 60.0
"""After so long a chunk is handed back, so that others of the queue come to their turn."""
_CAREFUL_AFTER = 3
"""Runs of a chunk that fail one after the other before its items are tried one by one."""


@dataclass
class _Held:
    """A chunk that this worker holds, and what was learned about it."""

    job: Job
    chunk_no: int
    lease: Lease
    started_at_s: float
    is_careful: bool
    failures: int = 0
    tries: Counter[int] = field(default_factory=Counter)


class ChunkWorker:
    """Runs chunks that the queue delivers. Safe to call from several threads at once."""

    def __init__(
        self,
        *,
        ingestor: Ingestor,
        ledger: ChunkLedger,
        dispatcher: Dispatcher,
        gate: DependencyGate,
        leases: LeaseKeeper,
        stopping: threading.Event,
        clock: Callable[[], datetime],
        reindexer: Reindexer | None = None,
    ) -> None:
        self._ingestor = ingestor
        self._reindexer = reindexer
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._gate = gate
        self._leases = leases
        self._stopping = stopping
        self._clock = clock

    def work(self, job_id: str, chunk_no: int) -> None:
        """Bring a delivered chunk to its end, or hand it back when the process is to stop.

        Raises:
            Unavailable: the ledger does not answer and the process stops; the lease will end.
        """
        holder, lease_s = uuid.uuid4().hex, self._leases.lease_s
        claimed = self._ledger.claim_chunk(job_id, chunk_no, holder, lease_s)
        if claimed.claim is not Claim.RUN:
            log.info("chunk is not to be run", claim=claimed.claim.value)
            return
        if claimed.deaths:
            log.warning("chunk ended a worker before; item by item now", deaths=claimed.deaths)
        extend = partial(self._ledger.extend_chunk, job_id, chunk_no, holder, lease_s)
        with self._leases.keep(extend) as lease:
            job = self._ledger.get(job_id)
            held = _Held(job, chunk_no, lease, monotonic(), is_careful=claimed.deaths > 0)
            if not self._run_until_ended(held) and not lease.is_lost:
                self._ledger.hand_back_chunk(job_id, chunk_no, holder, self._clock())
        if not self._stopping.is_set():
            self._dispatcher.dispatch(job_id)
        self._dispatcher.discard_if_cancelled(job_id)

    def _run_until_ended(self, held: _Held) -> bool:
        """Whether it is accounted; False if it is to be handed back."""
        while not self._is_over(held):
            try:
                return self._run_once(held)
            except (Unavailable, Conflict) as error:
                # A conflict is a model that the embedder does not hold (now): that passes, too.
                self._wait(held, error)
            except NotFound as error:
                if not self._ingestor.has_chunk(held.job, held.chunk_no):
                    return self._give_up(held, error)
                # Something else went between reading and writing: the next run does without it.
                self._wait(held, error)
            except Exception:  # a thread's edge: careful runs find the item that is to blame
                if held.is_careful:
                    raise
                log.exception("chunk failed; item by item now")
                held.is_careful = True
        return False

    def _run_once(self, held: _Held) -> bool:
        ended = self._run_chunk(held, lambda: self._should_stop(held))
        self._gate.succeeded()
        return ended

    def _run_chunk(self, held: _Held, should_stop: Callable[[], bool]) -> bool:
        if held.job.kind is JobKind.REINDEX:
            assert self._reindexer is not None, "whoever opens reindex jobs runs them"
            return self._reindexer.run_chunk(held.job, held.chunk_no, should_stop)
        return self._ingestor.ingest_chunk(
            held.job,
            held.chunk_no,
            should_stop=should_stop,
            one_by_one=held.is_careful,
            tries=held.tries,
        )

    def _wait(self, held: _Held, error: PetsearchError) -> None:
        held.failures += 1
        held.is_careful = held.is_careful or held.failures >= _CAREFUL_AFTER
        self._tell(held.job.job_id, error.detail)
        self._gate.wait(error, give_up=lambda: held.lease.is_lost)
        self._tell(held.job.job_id, None)
        # It waited, it did not work.
        held.started_at_s = monotonic()

    def _tell(self, job_id: str, reason: str | None) -> None:
        try:
            self._ledger.set_reason(job_id, reason)
        except Unavailable:
            log.debug("the job ledger does not answer either")

    def _give_up(self, held: _Held, error: NotFound) -> bool:
        """What the chunk holds is gone, as after a restore: its items failed."""
        count = self._ledger.chunk_size(held.job.job_id, held.chunk_no)
        log.error("chunk cannot be read; its items failed", reason=error.detail, items=count)
        self._ledger.account_chunk(
            held.job.job_id, held.chunk_no, {ItemStatus.FAILED: count}, self._clock()
        )
        return True

    def _is_over(self, held: _Held) -> bool:
        return self._stopping.is_set() or held.lease.is_lost

    def _should_stop(self, held: _Held) -> bool:
        return (
            self._is_over(held)
            or monotonic() - held.started_at_s > LONGEST_RUN_S
            or self._ledger.is_stopped(held.job.job_id)
        )
