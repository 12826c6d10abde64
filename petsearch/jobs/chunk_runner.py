"""Runs a chunk of a job: has its items processed, then accounts for their outcomes exactly once.

Every step may be repeated: a chunk that was interrupted anywhere is simply run again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from petsearch.domain import Item, ItemRef, ItemStatus, Job, JobKind, Outcome, object_keys
from petsearch.domain.errors import NotFound, Unavailable, may_be_of_its_input
from petsearch.jobs import chunk_files
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, IngestObserver, ObjectStore

log = get_logger(__name__)

MAX_ATTEMPTS = 3
"""An item that killed its worker this often is quarantined; an image that fails alone has failed.
"""


@dataclass(frozen=True)
class ChunkRun:
    """One run of a chunk by a worker."""

    job: Job
    chunk_no: int
    items: Sequence[Item]
    """All items of the chunk, including those with an outcome from an earlier run."""
    should_stop: Callable[[], bool]
    """Checked between batches: whether to leave the other items to a later run."""
    one_by_one: bool
    """Process and mark items one at a time: an earlier run failed or killed its worker."""
    failures: Counter[str]
    """Failures of images that were embedded alone, by image id; kept between runs."""

    def ref(self, item: Item) -> ItemRef:
        """The reference to the item that images keep as their source."""
        return ItemRef(self.job.job_id, item.item_no)

    def is_last_attempt(self, image_id: str) -> bool:
        """Whether an image that is embedded alone will have failed if it fails now."""
        return self.one_by_one and self.failures[image_id] + 1 >= MAX_ATTEMPTS

    def count_failure(self, image_id: str, error: Unavailable) -> bool:
        """Count a failure of an image that was embedded alone; whether that was its last attempt.

        The embedder answers in between, so in the end this photo is what it fails on.
        """
        if not self.one_by_one or not may_be_of_its_input(error):
            return False
        self.failures[image_id] += 1
        return self.failures[image_id] >= MAX_ATTEMPTS


class ItemProcessor(Protocol):
    """Processes the items of one kind of job. Called from several threads."""

    def process(self, run: ChunkRun, items: Sequence[Item]) -> Sequence[Outcome]:
        """Return an outcome for each item, or for some of them if `run.should_stop()`.

        Raises:
            Unavailable, Conflict: a dependency fails; the same call may succeed later.
        """


@dataclass(frozen=True, kw_only=True)
class ChunkRunner:
    """Runs chunks of every kind of job. Thread-safe."""

    processors: Mapping[JobKind, ItemProcessor]
    store: ObjectStore
    ledger: ChunkLedger
    observer: IngestObserver
    clock: Callable[[], datetime]

    def run(
        self,
        job: Job,
        chunk_no: int,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        one_by_one: bool = False,
        failures: Counter[str] | None = None,
    ) -> bool:
        """Process the items of a chunk and account for them.

        Returns:
            False if it stopped before all items had an outcome. Nothing is accounted for then, but
            the outcomes so far are stored for the next run.

        Raises:
            Unavailable, Conflict, NotFound: a dependency fails, or data was deleted meanwhile; the
                same call finishes the work later.
        """
        try:
            items = chunk_files.read_chunk(self.store, job.job_id, chunk_no)
        except NotFound as error:
            return self._account_lost(job, chunk_no, error)
        outcomes = chunk_files.find_outcomes(self.store, job.job_id, chunk_no)
        if outcomes is None:
            done = chunk_files.read_progress(self.store, job.job_id, chunk_no)
            finished = {outcome.item_no for outcome in done}
            left = [item for item in items if item.item_no not in finished]
            failures = Counter() if failures is None else failures
            run = ChunkRun(job, chunk_no, items, should_stop, one_by_one, failures)
            # A run that fails before it asks would never let a stopped job go.
            new = () if should_stop() else self.processors[job.kind].process(run, left)
            outcomes = tuple(sorted([*done, *new], key=lambda outcome: outcome.item_no))
            if not self._save(run, outcomes):
                return False
        self._delete_staged(items, outcomes)
        warned = sum(bool(outcome.warnings) for outcome in outcomes)
        self._account(job, chunk_no, Counter(outcome.status for outcome in outcomes), warned)
        return True

    def _save(self, run: ChunkRun, outcomes: Sequence[Outcome]) -> bool:
        """Store outcomes; whether the chunk is finished. A cancelled job accounts for what it has.

        Outcomes are stored before they are counted, so that every counted outcome can be read.
        """
        job_id, is_complete = run.job.job_id, len(outcomes) == len(run.items)
        if is_complete or self.ledger.get(job_id).cancelled:
            chunk_files.write_outcomes(self.store, job_id, run.chunk_no, outcomes)
            return True
        chunk_files.write_progress(self.store, job_id, run.chunk_no, outcomes)
        return False

    def _account(
        self, job: Job, chunk_no: int, counts: Mapping[ItemStatus, int], warned: int = 0
    ) -> None:
        counted = self.ledger.account_chunk(
            job.job_id, chunk_no, counts, self.clock(), warned=warned
        )
        if counted:
            self.observer.items_ended(job.kind, counts)
        log.info("chunk accounted", counted=counted, **{s.value: n for s, n in counts.items()})

    def _account_lost(self, job: Job, chunk_no: int, error: NotFound) -> bool:
        """Account for a chunk whose items cannot be read (after a restore, say) as failed.

        Raises:
            Unavailable: the store holds nothing of any job, so it is not the one of this ledger.
        """
        if not any(True for _ in self.store.list_keys(object_keys.JOBS)):
            raise Unavailable(
                "The object store holds no job at all: is its disk mounted, and is it the store "
                "that belongs to this queue?"
            )
        count = self.ledger.chunk_size(job.job_id, chunk_no)
        log.error("chunk not found; its items failed", reason=error.detail, items=count)
        self._account(job, chunk_no, {ItemStatus.FAILED: count})
        return True

    def _delete_staged(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        """Delete the staged bytes of refused items and duplicates.

        Ingested items have moved theirs, and failed ones can be retried.
        """
        unused = (ItemStatus.REFUSED, ItemStatus.DUPLICATE)
        item_nos = {outcome.item_no for outcome in outcomes if outcome.status in unused}
        for item in items:
            if item.staging_key is not None and item.item_no in item_nos:
                self.store.delete(item.staging_key)
