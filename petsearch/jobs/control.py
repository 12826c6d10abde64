"""What an operator does with a job: pause, resume, cancel, retry what failed, delete."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from petsearch.domain import Item, ItemStatus, Job, object_keys
from petsearch.domain.errors import Conflict, NotFound
from petsearch.jobs import chunk_files
from petsearch.jobs.dispatch import Dispatcher
from petsearch.jobs.service import Jobs
from petsearch.ports import JobLedger, ObjectStore, TaskQueue

_RETRY_ITEMS = 64
_PAGE = 1000


class JobControl:
    """Changes the course of jobs, at once: running chunks notice at their next batch."""

    def __init__(
        self,
        *,
        jobs: Jobs,
        store: ObjectStore,
        ledger: JobLedger,
        queue: TaskQueue,
        dispatcher: Dispatcher,
        clock: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._ledger = ledger
        self._queue = queue
        self._dispatcher = dispatcher
        self._clock = clock

    def pause(self, job_id: str) -> Job:
        """Stop a job until it is resumed; `Conflict` if it has ended."""
        self._ledger.pause(job_id)
        return self._ledger.get(job_id)

    def resume(self, job_id: str) -> Job:
        """Go on with a paused job; `Conflict` if it has ended."""
        self._ledger.resume(job_id)
        self._dispatcher.dispatch(job_id)
        return self._ledger.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job. What was ingested stays; `Conflict` if it has ended."""
        self._ledger.cancel(job_id, self._clock())
        self._dispatcher.discard_if_cancelled(job_id)
        return self._ledger.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Try the failed items of an ended job again.

        Raises:
            Conflict: the job has not ended, was cancelled, or nothing failed; or another call
                retries it already.
        """
        job = self._ledger.get(job_id)
        if job.finished_at is None or job.cancelled:
            raise Conflict(f"The job {job_id!r} is {job.state.value}; retry it when it ended.")
        sizes = self._write_retries(job_id)
        if not sizes:
            raise Conflict(f"No item of the job {job_id!r} failed.")
        self._reopen(job_id, sizes)
        self._dispatcher.dispatch(job_id)
        return self._ledger.get(job_id)

    def delete(self, job_id: str) -> None:
        """Forget an ended job and what it left in the store; its images stay.

        Raises:
            Conflict: it has not ended; cancel it first.
        """
        if self._ledger.get(job_id).finished_at is None:
            raise Conflict(f"The job {job_id!r} has not ended; cancel it first.")
        self._ledger.delete(job_id)
        self._queue.enqueue_discard(job_id)

    def discard(self, job_id: str) -> None:
        """Delete staged bytes of a cancelled job, and everything of one that is forgotten."""
        prefixes = [object_keys.staging_prefix(job_id), object_keys.imports_prefix(job_id)]
        try:
            if not self._ledger.get(job_id).cancelled:
                return
        except NotFound:
            prefixes.append(object_keys.job_prefix(job_id))
        for prefix in prefixes:
            for key in self._store.list_keys(prefix):
                self._store.delete(key)

    def _write_retries(self, job_id: str) -> dict[int, int]:
        """Store the failed items in new chunks; the number of items by chunk number."""
        sizes: dict[int, int] = {}
        for items in _chunked(self._failed_items(job_id)):
            chunk_no = self._ledger.reserve_retry(job_id)
            chunk_files.write_chunk(self._store, job_id, chunk_no, items)
            sizes[chunk_no] = len(items)
        return sizes

    def _reopen(self, job_id: str, sizes: Mapping[int, int]) -> None:
        try:
            self._ledger.reopen(job_id, sizes)
        except (Conflict, NotFound):  # not where the answer was lost: the chunks may count
            for chunk_no in sizes:
                self._store.delete(object_keys.chunk(job_id, chunk_no))
            raise

    def _failed_items(self, job_id: str) -> list[Item]:
        """Failed items with their bytes' place, as their chunks hold them; the last try of each."""
        failed: set[int] = set()
        cursor: str | None = None
        while True:
            page = self._jobs.outcomes(job_id, ItemStatus.FAILED, cursor=cursor, limit=_PAGE)
            failed |= {outcome.item_no for outcome in page.outcomes}
            cursor = page.next_cursor
            if cursor is None:
                break
        items: dict[int, Item] = {}
        for chunk_no in self._ledger.problem_chunks(job_id):
            for item in chunk_files.read_chunk(self._store, job_id, chunk_no):
                if item.item_no in failed:
                    items[item.item_no] = replace(item, refusal=None)
        return [items[number] for number in sorted(items)]


def _chunked(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), _RETRY_ITEMS):
        yield items[start : start + _RETRY_ITEMS]
