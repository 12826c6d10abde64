"""The cursor of a walk by time: the last time, and the ids that share it."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from petsearch.errors import InvalidInput
from petsearch.model import ImageRecord, SortBy


def read_cursor(cursor: str | None) -> tuple[str | None, list[str]]:
    """The time to go on from, and the ids of that time that were shown already.

    Raises:
        InvalidInput: `write_cursor` did not write this.
    """
    if cursor is None:
        return None, []
    start, _, ids = cursor.partition("|")
    try:
        # In one spelling: the engines read fewer than Python.
        start = _in_utc(datetime.fromisoformat(start)).isoformat()
        return start, [str(uuid.UUID(image_id)) for image_id in ids.split(",")]
    except ValueError as error:
        raise InvalidInput(
            "The cursor is not one this server gave out; start without a cursor."
        ) from error


def write_cursor(
    records: Sequence[ImageRecord], start: str | None, seen: Sequence[str], sort: SortBy
) -> str:
    """The cursor after `records`, which were read with `start` and `seen`."""
    times = [_time_of(record, sort) for record in records]
    last = times[-1]
    ids = [r.image_id for r, time in zip(records, times, strict=True) if time == last]
    if start == last.isoformat():
        ids = [*seen, *ids]
    return f"{last.isoformat()}|{','.join(ids)}"


def _time_of(record: ImageRecord, sort: SortBy) -> datetime:
    time = record.created_at if sort == "created_at" else record.metadata.taken_at
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
