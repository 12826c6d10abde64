"""A record as a payload: what is written beside it to be searched, and payloads of before."""

from dataclasses import replace
from datetime import UTC, datetime

from petsearch.adapters.qdrant.payload import from_payload, to_payload
from petsearch.domain import ItemRef, TakenAtSource
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
    of_file = replace(bare, exif_taken_at=datetime(2026, 5, 17, 10))
    payload = to_payload(of_file)
    assert (payload["taken_at"], payload["taken_at_source"]) == ("2026-05-17T10:00:00", "exif")
    assert from_payload(of_file.image_id, payload) == of_file
    stated = replace(of_file.metadata, taken_at_source=TakenAtSource.STATED)
    cleared = replace(of_file, metadata=stated)
    assert to_payload(cleared)["taken_at"] is None
    assert from_payload(cleared.image_id, to_payload(cleared)) == cleared


def test_a_date_from_before_there_were_sources_was_stated() -> None:
    said = replace(record(1).metadata, taken_at=datetime(2026, 5, 17, tzinfo=UTC))
    payload = to_payload(replace(record(1), metadata=said))
    for name in ("taken_at_source", "exif_taken_at"):
        del payload[name]
    found = from_payload(record(1).image_id, payload)
    assert (found.taken_at, found.taken_at_source) == (said.taken_at, TakenAtSource.STATED)
