"""The cursor of a walk by time, whatever way its times were written."""

from dataclasses import replace
from datetime import datetime

import pytest

from petsearch.adapters.newest_cursor import read_cursor, write_cursor
from petsearch.model import ImageRecord
from tests.contract.records import record

IDS = ("6f1f32cf-0000-4000-8000-000000000001", "6f1f32cf-0000-4000-8000-000000000002")


def taken(image_id: str, time: str) -> ImageRecord:
    some = record(1)
    metadata = replace(some.metadata, taken_at=datetime.fromisoformat(time))
    return replace(some, image_id=image_id, metadata=metadata)


def test_one_instant_is_one_time_in_every_spelling() -> None:
    same = ("2026-06-01T12:00:00", "2026-06-01T12:00:00+00:00", "2026-06-01T14:00:00+02:00")
    first = write_cursor([taken(IDS[0], same[0])], None, [], "taken_at")
    for spelling in same:
        start, seen = read_cursor(first)
        assert write_cursor([taken(IDS[1], spelling)], start, seen, "taken_at") == (
            f"2026-06-01T12:00:00+00:00|{IDS[0]},{IDS[1]}"
        )


@pytest.mark.parametrize(
    "written", ["2026-01-01T00:00:30", "2026-01-01T00:00:30+00:00", "2026-01-01T00:01:00+00:00:30"]
)
def test_a_cursor_is_read_in_utc(written: str) -> None:
    assert read_cursor(f"{written}|{IDS[0]}") == ("2026-01-01T00:00:30+00:00", [IDS[0]])
