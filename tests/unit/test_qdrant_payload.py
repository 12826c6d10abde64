"""A record as a payload: what is written beside it to be searched, and payloads of before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from petsearch.adapters.qdrant.payload import from_payload, to_payload
from petsearch.domain import ItemRef, TakenAtSource
from petsearch.domain.dates import Precision
from tests.contract.records import record


def test_what_duplicates_are_found_by_is_written() -> None:
    one = replace(record(1), phash="ab12cd34ef567890", sources=(ItemRef("a", 1), ItemRef("b", 2)))
    payload = to_payload(one)
    assert payload["phash_bands"] == ["0:ab12", "1:cd34", "2:ef56", "3:7890"]
    assert payload["source_count"] == 2
    assert from_payload(one.image_id, payload) == one


def test_a_payload_from_before_there_was_a_hash_is_read() -> None:
    payload = to_payload(record(1))
    for name in ("phash", "phash_bands", "source_count"):
        del payload[name]
    assert from_payload(record(1).image_id, payload) == replace(record(1), phash=None)
    assert to_payload(replace(record(1), phash=None))["phash_bands"] == []


def test_the_date_of_a_file_is_shown_until_one_is_stated() -> None:
    bare = replace(
        record(1), metadata=replace(record(1).metadata, taken_at=None, taken_at_source=None)
    )
    of_file = replace(
        bare,
        exif_taken_at=datetime(2026, 5, 17, 10, tzinfo=UTC),
        exif_taken_at_precision=Precision.LOCAL,
    )
    payload = to_payload(of_file)
    dated = [payload[f"taken_at{end}"] for end in ("", "_source", "_precision")]
    assert dated == ["2026-05-17T10:00:00+00:00", "exif", "local"]
    assert from_payload(of_file.image_id, payload) == of_file
    stated = replace(of_file.metadata, taken_at_source=TakenAtSource.STATED)
    cleared = replace(of_file, metadata=stated)
    assert to_payload(cleared)["taken_at"] is None
    assert from_payload(cleared.image_id, to_payload(cleared)) == cleared


def test_a_date_from_before_there_were_sources_was_stated() -> None:
    said = replace(record(1).metadata, taken_at=datetime(2026, 5, 17, tzinfo=UTC))
    payload = to_payload(replace(record(1), metadata=said))
    for name in ("taken_at_source", "exif_taken_at", "taken_at_precision"):
        del payload[name]
    found = from_payload(record(1).image_id, payload)
    assert (found.taken_at, found.taken_at_source) == (said.taken_at, TakenAtSource.STATED)


@pytest.mark.parametrize("name", ["taken_at", "exif_taken_at"])
@pytest.mark.parametrize(
    ("stored", "precision"),
    [
        ("2026-05-17T00:00:00", Precision.DAY),
        ("2026-05-17T10:00:05", Precision.LOCAL),
        ("2026-05-17T10:00:05+02:00", Precision.INSTANT),
    ],
)
def test_a_date_from_before_there_were_precisions_is_of_utc(
    name: str, stored: str, precision: Precision
) -> None:
    payload = to_payload(record(1)) | {"taken_at": stored}
    if name == "exif_taken_at":
        payload |= {name: stored, "taken_at_source": "exif"}
    for absent in ("taken_at_precision", "exif_taken_at_precision"):
        payload.pop(absent)
    found = from_payload(record(1).image_id, payload)
    assert found.taken_at is not None
    assert found.taken_at.isoformat()[:19] == stored[:19]
    assert found.taken_at.utcoffset() in (timedelta(), timedelta(hours=2))
    assert found.taken_at_precision is precision
