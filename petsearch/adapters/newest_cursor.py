"""The cursor of a walk by creation time: the last time, and the ids that share it."""

import uuid
from collections.abc import Sequence
from datetime import datetime

from petsearch.errors import InvalidInput
from petsearch.model import ImageRecord


def read_cursor(cursor: str | None) -> tuple[str | None, list[str]]:
    """The creation time to go on from, and the ids of that time that were shown already.

    Raises:
        InvalidInput: `write_cursor` did not write this.
    """
    if cursor is None:
        return None, []
    start, _, ids = cursor.partition("|")
    try:
        datetime.fromisoformat(start)
        return start, [str(uuid.UUID(image_id)) for image_id in ids.split(",")]
    except ValueError as error:
        raise InvalidInput(
            "The cursor is not one this server gave out; start without a cursor."
        ) from error


def write_cursor(records: Sequence[ImageRecord], start: str | None, seen: Sequence[str]) -> str:
    """The cursor after `records`, which were read with `start` and `seen`."""
    last = records[-1].created_at
    ids = [record.image_id for record in records if record.created_at == last]
    if start == last.isoformat():
        ids = [*seen, *ids]
    return f"{last.isoformat()}|{','.join(ids)}"
