"""Walks by time over any mixture of equal times, however they were written."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from petsearch.adapters.qdrant.time_pages import latest_of, newest_page
from petsearch.domain import Filters, ImageRecord, SortBy, TimeRange
from petsearch.domain.errors import InvalidInput
from tests.contract.records import record

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALL = Filters()


class Shelf:
    """Records as an engine gives them out: which of equal times comes first is left to chance."""

    def __init__(self, records: list[ImageRecord], sort: SortBy = "created_at") -> None:
        self.records = records
        self.sort = sort
        self.calls = 0

    def latest(self, filters: Filters, limit: int) -> list[ImageRecord]:
        """The newest first."""
        self.calls += 1
        found = self._within(filters)
        random.Random(self.calls).shuffle(found)
        return sorted(found, key=self._time, reverse=True)[:limit]

    def by_id(self, filters: Filters, after: str | None, limit: int) -> list[ImageRecord]:
        """Those after an id."""
        self.calls += 1
        found = sorted(self._within(filters), key=lambda one: one.image_id)
        return [one for one in found if after is None or one.image_id > after][:limit]

    def page(self, limit: int, cursor: str | None) -> tuple[list[ImageRecord], str | None]:
        """One page of a walk over all of them."""
        return newest_page(
            ALL, self.sort, limit=limit, cursor=cursor, latest=self.latest, by_id=self.by_id
        )

    def walk(self, limit: int) -> list[ImageRecord]:
        """All pages; each but the last is full."""
        page, cursor = self.page(limit, None)
        walked = [*page]
        while cursor is not None:
            assert len(page) == limit
            page, cursor = self.page(limit, cursor)
            walked += page
        return walked

    def _time(self, one: ImageRecord) -> datetime:
        time = one.created_at if self.sort == "created_at" else one.metadata.taken_at
        assert time is not None
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    def _within(self, filters: Filters) -> list[ImageRecord]:
        times = (filters.created if self.sort == "created_at" else filters.taken) or TimeRange()
        return [
            one
            for one in self.records
            if (times.since is None or times.since <= self._time(one))
            and (times.until is None or self._time(one) < times.until)
        ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("seed", range(8))
def test_every_record_comes_once_and_the_newest_first(limit: int, seed: int) -> None:
    chance = random.Random(seed)
    hours = [chance.choice([0, 0, 0, 1, 2, 3]) for _ in range(chance.randint(0, 30))]
    shelf = Shelf(
        [replace(record(n), created_at=NOON - timedelta(hours=h)) for n, h in enumerate(hours)]
    )
    walked = shelf.walk(limit)
    assert sorted(one.image_id for one in walked) == sorted(one.image_id for one in shelf.records)
    times = [one.created_at for one in walked]
    assert times == sorted(times, reverse=True)


def test_a_cursor_is_as_short_among_thousands_of_equals() -> None:
    shelf = Shelf([replace(record(n), created_at=NOON) for n in range(3000)])
    _, cursor = shelf.page(2900, None)
    assert cursor is not None
    assert len(cursor) < 80
    rest, end = shelf.page(2900, cursor)
    assert (len(rest), end) == (100, None)


def test_one_instant_is_one_time_in_every_spelling() -> None:
    same = ("2026-06-01T12:00:00", "2026-06-01T12:00:00+00:00", "2026-06-01T14:00:00+02:00")
    taken = [
        replace(one, metadata=replace(one.metadata, taken_at=datetime.fromisoformat(time)))
        for one, time in zip(map(record, range(3)), same, strict=True)
    ]
    shelf = Shelf(taken, "taken_at")
    assert len({one.image_id for one in shelf.walk(1)}) == 3


def test_the_last_moment_there_is_can_be_walked_through() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    shelf = Shelf([replace(record(n), created_at=end) for n in range(3)])
    assert len(shelf.walk(1)) == 3


def test_a_range_that_was_asked_for_holds_on_every_page() -> None:
    shelf = Shelf([replace(record(n), created_at=NOON - timedelta(hours=n)) for n in range(6)])
    asked = Filters(created=TimeRange(since=NOON - timedelta(hours=3), until=NOON))
    assert latest_of(asked, "created_at") == NOON
    page, cursor = newest_page(
        asked, "created_at", limit=2, cursor=None, latest=shelf.latest, by_id=shelf.by_id
    )
    rest, end = newest_page(
        asked, "created_at", limit=2, cursor=cursor, latest=shelf.latest, by_id=shelf.by_id
    )
    assert [(NOON - one.created_at).seconds // 3600 for one in [*page, *rest]] == [1, 2, 3]
    assert end is None


@pytest.mark.parametrize("image_id", ["", "00000000-0000-4000-8000-000000000000"])
def test_a_cursor_of_another_range_brings_nothing_from_outside(image_id: str) -> None:
    shelf = Shelf([replace(record(n), created_at=NOON - timedelta(hours=n)) for n in range(6)])
    asked = Filters(created=TimeRange(until=NOON - timedelta(hours=3)))
    page, _ = newest_page(
        asked,
        "created_at",
        limit=9,
        cursor=f"{NOON.isoformat()}|{image_id}",
        latest=shelf.latest,
        by_id=shelf.by_id,
    )
    assert [(NOON - one.created_at).seconds // 3600 for one in page] == [4, 5]


@pytest.mark.parametrize("cursor", ["", "|", "yesterday|", "2026-01-01T00:00:00+00:00|a,b"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="start without a cursor"):
        Shelf([]).page(2, cursor)
