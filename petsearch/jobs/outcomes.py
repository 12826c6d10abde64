"""Lists what became of the items of a job, page by page, and collects those that failed."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from petsearch.domain import Item, ItemStatus, Job, Outcome, object_keys
from petsearch.domain.errors import InvalidInput, NotFound
from petsearch.jobs import chunk_files
from petsearch.ports import JobRecords, ObjectStore

_PLACE = re.compile(r"([0-9]{1,12})\.([0-9]{1,6})")
"""The number of a chunk, and how many of its outcomes were listed."""


@dataclass(frozen=True)
class OutcomePage:
    """Outcomes in order, and the cursor of the next page."""

    outcomes: tuple[Outcome, ...]
    next_cursor: str | None


@dataclass(frozen=True)
class FailedItems:
    """What a retry tries again."""

    items: Sequence[Item]
    """In order of their numbers, with where their bytes are staged."""
    warned: int
    """How many of them have warnings in their outcomes."""


@dataclass(frozen=True)
class OutcomeReader:
    """Reads the outcomes that workers wrote to the object store, of one job as it is now."""

    store: ObjectStore
    ledger: JobRecords
    job: Job

    def page(
        self,
        status: ItemStatus | None,
        *,
        warned: bool | None = None,
        cursor: str | None,
        limit: int,
    ) -> OutcomePage:
        """Return outcomes in the order of their chunks; see `Jobs.outcomes`."""
        chunk_no, skip = _read_cursor(cursor)
        page: list[Outcome] = []
        for number in self._chunks_with(status, chunk_no):
            wanted = [
                outcome
                for outcome in self._latest(number)
                if status in (None, outcome.status) and warned in (None, bool(outcome.warnings))
            ]
            start = skip if number == chunk_no else 0
            room = limit - len(page)
            page += wanted[start : start + room]
            if len(wanted) - start > room:
                return OutcomePage(tuple(page), f"{number}.{start + room}")
        return OutcomePage(tuple(page), None)

    def failed_items(self) -> FailedItems:
        """Collect the failed items that no later chunk retries."""
        items: dict[int, Item] = {}
        warned = 0
        for chunk_no in self._chunks_with(ItemStatus.FAILED, 0):
            latest = self._latest(chunk_no)
            is_warned = {
                o.item_no: bool(o.warnings) for o in latest if o.status is ItemStatus.FAILED
            }
            for item in self._items(chunk_no) if is_warned or not latest else ():
                # Without outcomes they could not be read when they were to be run.
                if item.item_no in is_warned or not (latest or self._is_retried(item, chunk_no)):
                    items[item.item_no] = replace(item, refusal=None)
                    warned += is_warned.get(item.item_no, False)
        return FailedItems([items[number] for number in sorted(items)], warned)

    def _chunks_with(self, status: ItemStatus | None, first: int) -> Iterator[int]:
        if status in (ItemStatus.REFUSED, ItemStatus.FAILED):
            numbers: Iterable[int] = self.ledger.problem_chunks(self.job.job_id)
        else:
            prefix = object_keys.outcomes_prefix(self.job.job_id)
            numbers = map(object_keys.chunk_no_of, self.store.list_keys(prefix))
        return (number for number in numbers if number >= first)

    def _latest(self, chunk_no: int) -> list[Outcome]:
        """Return the outcomes of a chunk without the failures that a later chunk retries."""
        # None where no item of the chunk could be read.
        outcomes = chunk_files.find_outcomes(self.store, self.job.job_id, chunk_no) or ()
        return [
            outcome
            for outcome in outcomes
            if outcome.status is not ItemStatus.FAILED
            or self._last_retries.get(outcome.item_no, -1) <= chunk_no
        ]

    @cached_property
    def _last_retries(self) -> dict[int, int]:
        """The last chunk that retries an item, by item number; chunks a lost retry wrote left out.

        Read once, because it takes reading all these chunks.
        """
        if (first := self.job.first_retry) is None:
            return {}
        keys = self.store.list_keys(object_keys.chunks_prefix(self.job.job_id))
        return {
            item.item_no: number
            for number in sorted(map(object_keys.chunk_no_of, keys))
            if number >= first and self._was_added(number)
            for item in self._items(number)
        }

    def _is_retried(self, item: Item, chunk_no: int) -> bool:
        return self._last_retries.get(item.item_no, -1) > chunk_no

    def _items(self, chunk_no: int) -> tuple[Item, ...]:
        """Return none of a chunk whose list is lost."""
        try:
            return chunk_files.read_chunk(self.store, self.job.job_id, chunk_no)
        except NotFound:
            return ()

    def _was_added(self, chunk_no: int) -> bool:
        # The ledger forgets sizes some time after the end; a chunk that was run has outcomes.
        if self.ledger.chunk_size(self.job.job_id, chunk_no):
            return True
        return chunk_files.find_outcomes(self.store, self.job.job_id, chunk_no) is not None


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    place = _PLACE.fullmatch(cursor or "0.0")
    if place is None:
        raise InvalidInput("The cursor is not one this server gave out; start without a cursor.")
    return int(place[1]), int(place[2])
