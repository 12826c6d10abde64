"""Lists what became of the items of a job, page by page, and collects those that failed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from petsearch.domain import Item, ItemStatus, Job, Outcome, object_keys
from petsearch.domain.errors import InvalidInput
from petsearch.jobs import chunk_files
from petsearch.ports import JobRecords, ObjectStore

_PAGE = 1000


@dataclass(frozen=True)
class OutcomePage:
    """Outcomes in order, and the cursor of the next page."""

    outcomes: tuple[Outcome, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class OutcomeReader:
    """Reads the outcomes that workers wrote to the object store."""

    store: ObjectStore
    ledger: JobRecords

    def page(
        self,
        job_id: str,
        status: ItemStatus | None,
        *,
        warned: bool | None = None,
        cursor: str | None,
        limit: int,
    ) -> OutcomePage:
        """Return outcomes in the order of their chunks; see `Jobs.outcomes`."""
        job = self.ledger.get(job_id)
        chunk_no, skip = _read_cursor(cursor)
        page: list[Outcome] = []
        for number in self._chunks_with(job_id, status, chunk_no):
            wanted = [
                outcome
                for outcome in self._latest(job, number)
                if status in (None, outcome.status) and warned in (None, bool(outcome.warnings))
            ]
            start = skip if number == chunk_no else 0
            room = limit - len(page)
            page += wanted[start : start + room]
            if len(wanted) - start > room:
                return OutcomePage(tuple(page), f"{number}.{start + room}")
        return OutcomePage(tuple(page), None)

    def failed_items(self, job_id: str) -> list[Item]:
        """Return the failed items, with where their bytes are staged, in order of their numbers."""
        page = self.page(job_id, ItemStatus.FAILED, cursor=None, limit=_PAGE)
        failed = {outcome.item_no for outcome in page.outcomes}
        while page.next_cursor is not None:
            page = self.page(job_id, ItemStatus.FAILED, cursor=page.next_cursor, limit=_PAGE)
            failed |= {outcome.item_no for outcome in page.outcomes}
        items: dict[int, Item] = {}
        for chunk_no in self.ledger.problem_chunks(job_id):
            for item in chunk_files.read_chunk(self.store, job_id, chunk_no):
                if item.item_no in failed:
                    items[item.item_no] = replace(item, refusal=None)
        return [items[number] for number in sorted(items)]

    def _chunks_with(self, job_id: str, status: ItemStatus | None, first: int) -> Iterator[int]:
        if status in (ItemStatus.REFUSED, ItemStatus.FAILED):
            numbers: Iterable[int] = self.ledger.problem_chunks(job_id)
        else:
            prefix = object_keys.outcomes_prefix(job_id)
            numbers = map(object_keys.chunk_no_of, self.store.list_keys(prefix))
        return (number for number in numbers if number >= first)

    def _latest(self, job: Job, chunk_no: int) -> list[Outcome]:
        """Return the outcomes of a chunk without the failures that a later chunk retries."""
        # None where no item of the chunk could be read.
        outcomes = chunk_files.find_outcomes(self.store, job.job_id, chunk_no) or ()
        if job.first_retry is None or all(o.status is not ItemStatus.FAILED for o in outcomes):
            return list(outcomes)
        retried = self._retried_after(job.job_id, max(chunk_no + 1, job.first_retry))
        return [
            outcome
            for outcome in outcomes
            if outcome.status is not ItemStatus.FAILED or outcome.item_no not in retried
        ]

    def _retried_after(self, job_id: str, first: int) -> set[int]:
        """Return the items of the chunks from `first` on, but not of those a lost retry wrote."""
        keys = self.store.list_keys(object_keys.chunks_prefix(job_id))
        return {
            item.item_no
            for number in map(object_keys.chunk_no_of, keys)
            if number >= first and self._was_added(job_id, number)
            for item in chunk_files.read_chunk(self.store, job_id, number)
        }

    def _was_added(self, job_id: str, chunk_no: int) -> bool:
        # The ledger forgets sizes some time after the end; a chunk that was run has outcomes.
        if self.ledger.chunk_size(job_id, chunk_no):
            return True
        return chunk_files.find_outcomes(self.store, job_id, chunk_no) is not None


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    chunk_no, _, skip = (cursor or "0.0").partition(".")
    if not all(part.isascii() and part.isdigit() for part in (chunk_no, skip)):
        raise InvalidInput("The cursor is not one this server gave out; start without a cursor.")
    return int(chunk_no), int(skip)
