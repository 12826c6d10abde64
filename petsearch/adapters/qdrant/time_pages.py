"""A walk by time, the newest first, in pages. Photos that share a time come by their ids.

An engine that sorts by a time leaves it open which of equals comes first. So where a page ends
among equals, it and the next one read those by id; a cursor is a time, and the last id of it that
was shown.
"""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from petsearch.domain import Filters, ImageRecord, SortBy, TimeRange
from petsearch.domain.errors import InvalidInput

Latest = Callable[[Filters, int], list[ImageRecord]]
"""At most so many records, the newest first."""
ById = Callable[[Filters, str | None, int], list[ImageRecord]]
"""At most so many records in the order of their ids, those greater than the one given."""

_MOMENT = timedelta(microseconds=1)
"""The resolution of times in the engines and in Python."""


def newest_page(
    filters: Filters,
    sort: SortBy,
    *,
    limit: int,
    cursor: str | None,
    latest: Latest,
    by_id: ById,
) -> tuple[list[ImageRecord], str | None]:
    """A page of at most `limit` records, and the cursor of the next one; None at the end.

    Raises:
        InvalidInput: the cursor is not one of these.
    """
    time, after = _read(cursor)
    found: list[ImageRecord] = []
    if time is not None and after is not None:
        found = by_id(_at(filters, sort, time), after, limit + 1)
        if len(found) > limit:
            return found[:limit], _written(time, found[limit - 1].image_id)
    # One more than is shown: to see the end, and whether the page ends among equal times.
    earlier = filters if time is None else _within(filters, sort, TimeRange(until=time))
    found += latest(earlier, limit + 1 - len(found))
    if len(found) <= limit:
        return found, None
    last, following = (_time_of(found[n], sort) for n in (limit - 1, limit))
    if following == last:
        newer = [record for record in found[:limit] if _time_of(record, sort) != last]
        equals = by_id(_at(filters, sort, last), None, limit - len(newer))
        if equals:  # unless they were deleted just now
            return [*newer, *equals], _written(last, equals[-1].image_id)
    return found[:limit], _written(last)


def latest_of(filters: Filters, sort: SortBy) -> datetime | None:
    """Where a walk by `sort` begins; None for the newest."""
    times = filters.created if sort == "created_at" else filters.taken
    return times.until if times else None


def _at(filters: Filters, sort: SortBy, time: datetime) -> Filters:
    try:
        return _within(filters, sort, TimeRange(time, time + _MOMENT))
    except OverflowError:  # the last moment there is
        return _within(filters, sort, TimeRange(time))


def _within(filters: Filters, sort: SortBy, times: TimeRange) -> Filters:
    asked = (filters.created if sort == "created_at" else filters.taken) or TimeRange()
    since = [_in_utc(time) for time in (times.since, asked.since) if time]
    until = [_in_utc(time) for time in (times.until, asked.until) if time]
    both = TimeRange(max(since, default=None), min(until, default=None))
    return replace(filters, created=both) if sort == "created_at" else replace(filters, taken=both)


def _read(cursor: str | None) -> tuple[datetime | None, str | None]:
    if cursor is None:
        return None, None
    time, _, image_id = cursor.partition("|")
    try:
        return _in_utc(datetime.fromisoformat(time)), str(uuid.UUID(image_id)) if image_id else None
    except ValueError as error:
        raise InvalidInput("The cursor is not valid; start without a cursor.") from error


def _written(time: datetime, image_id: str = "") -> str:
    return f"{time.isoformat()}|{image_id}"


def _time_of(record: ImageRecord, sort: SortBy) -> datetime:
    time = record.created_at if sort == "created_at" else record.taken_at
    assert time is not None, "sorting by a time lists only records that have it"
    return _in_utc(time)


def _in_utc(time: datetime) -> datetime:
    """One spelling of one instant, as the engines sort it: what names no zone is UTC."""
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError:  # the first or the last day there is
        return time
