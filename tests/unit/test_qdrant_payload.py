"""A record as a payload: what is written beside it to be searched, and payloads of before."""

from dataclasses import replace

from petsearch.adapters.qdrant.payload import from_payload, to_payload
from petsearch.domain import ItemRef
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
