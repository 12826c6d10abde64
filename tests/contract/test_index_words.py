"""Tags and attributes are compared folded, whichever version wrote the point."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from petsearch.adapters.qdrant import earlier_points, payload
from petsearch.domain import Filters, Point
from petsearch.ports.raw_index import RawIndex
from tests.contract.records import DIM, PETS, embedding, point, record

SAID: list[tuple[tuple[str, ...], dict[str, str]]] = [
    (("Shy", "Größe  M"), {"Collar": "Deep Red"}),
    (("shy", "SHY", "old"), {"collar": "deep  red"}),
    (("Gro\u0308ße m",), {"COLLAR": "blue", "collar": "DEEP RED"}),
    (("shy dog", "straße"), {"collar size": "deep red"}),
    ((), {}),
]
"""Tags and attributes of five photos."""
TAGS: list[tuple[Filters, set[int]]] = [
    (Filters(tags=("shy",)), {0, 1}),
    (Filters(tags=(" sHY ", "OLD")), {1}),
    (Filters(tags=("GRÖSSE M",)), {0, 2}),
    (Filters(tags=("GRO\u0308ßE M",)), {0, 2}),
    (Filters(tags=("Shy\u200b\u00a0Dog",)), {3}),
    (Filters(tags=("STRASSE",)), {3}),
    (Filters(tags=("Größe",)), set()),
    (Filters(not_tags=("SHY",)), {2, 3, 4}),
    (Filters(not_tags=("größe m", "Shy Dog")), {1, 4}),
    (Filters(tags=("SHY",), not_tags=("Old",)), {0}),
    (Filters(missing=("tags",)), {4}),
]
ATTRIBUTES: list[tuple[Filters, set[int]]] = [
    (Filters(attributes={"Collar": "deep red"}), {0, 1, 2}),
    (Filters(attributes={"collar": "DEEP  RED"}), {0, 1, 2}),
    (Filters(attributes={" Collar  Size ": "Deep Red"}), {3}),
    (Filters(attributes={"collar": "Deep Red", "Collar": "Blue"}), {2}),
    (Filters(attributes={"collar": "deep"}), set()),
]
COUNTS = {"shy": 2, "grösse m": 2, "old": 1, "shy dog": 1, "strasse": 1}
ATTRIBUTE_COUNTS = {"collar=deep red": 3, "collar=blue": 1, "collar size=deep red": 1}


def tagged(number: int, tags: tuple[str, ...], attributes: dict[str, str] | None = None) -> Point:
    one = point(number)
    said = replace(one.record.metadata, tags=tags, attributes=attributes or {})
    return replace(one, record=replace(one.record, metadata=said))


def described() -> list[Point]:
    return [tagged(number, *said) for number, said in enumerate(SAID)]


@contextmanager
def earlier_version(monkeypatch: pytest.MonkeyPatch, version: int | None) -> Iterator[None]:
    """What is written inside is written as an earlier version did."""
    fields = {} if version is None else {payload.CELL_FIELD: None, "payload_version": version}
    with monkeypatch.context() as before:
        before.setattr(payload, "derived_fields", lambda _: fields)
        yield


def found(index: RawIndex, filters: Filters) -> set[int]:
    """The numbers of the photos that every call finds."""
    numbers = {record(number).image_id: number for number in range(len(SAID))}
    hits = index.search(PETS, embedding(0.0), limit=9, filters=filters)
    listed, _ = index.list_newest(PETS, limit=9, filters=filters)
    ids = {hit.record.image_id for hit in hits}
    assert ids == {one.image_id for one in listed}
    assert index.count(PETS, filters) == len(ids)
    return {numbers[image_id] for image_id in ids}


def check_tags(index: RawIndex) -> None:
    for filters, numbers in TAGS:
        assert found(index, filters) == numbers, filters
    assert index.facet(PETS, "folded.tags", Filters()) == COUNTS
    assert index.facet(PETS, "folded.tags", Filters(tags=("OLD",))) == {"shy": 1, "old": 1}


def check_attributes(index: RawIndex) -> None:
    for filters, numbers in ATTRIBUTES:
        assert found(index, filters) == numbers, filters
    assert index.facet(PETS, "folded.attributes", Filters()) == ATTRIBUTE_COUNTS


@pytest.mark.parametrize("none_left_after_s", [0.0, 600.0])
def test_words_are_compared_folded_and_come_back_as_written(
    index: RawIndex, monkeypatch: pytest.MonkeyPatch, none_left_after_s: float
) -> None:
    monkeypatch.setattr(earlier_points, "_NONE_LEFT_AFTER_S", none_left_after_s)
    index.insert(PETS, described())
    check_tags(index)
    check_attributes(index)
    records = index.get(PETS, [one.record.image_id for one in described()])
    assert records == {one.record.image_id: one.record for one in described()}
    assert index.facet(PETS, "tags", Filters(tags=("shy",)))["SHY"] == 1


@pytest.mark.parametrize("version", [None, 2])
def test_a_tag_means_the_same_before_during_and_after_an_update(
    index: RawIndex, monkeypatch: pytest.MonkeyPatch, version: int | None
) -> None:
    points = described()
    with earlier_version(monkeypatch, version):
        index.insert(PETS, [points[number] for number in (0, 2, 3)])
    index.insert(PETS, [points[number] for number in (1, 4)])
    records = index.get(PETS, [one.record.image_id for one in points])
    check_tags(index)
    for _ in range(3):
        assert index.update_payloads(PETS, limit=1) == 1
        check_tags(index)
    assert index.update_payloads(PETS, limit=1) == 0
    assert index.get(PETS, [*records]) == records


def test_an_attribute_is_found_as_it_is_written_until_it_is_updated(
    index: RawIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with earlier_version(monkeypatch, 2):
        index.insert(PETS, described())
    for filters, numbers in (
        (Filters(attributes={"Collar": "Deep Red"}), {0}),
        (Filters(attributes={"collar": "deep  red"}), {1}),
        (Filters(attributes={"Collar Size": "Deep Red"}), {3}),
        (Filters(attributes={"COLLAR": "blue", "collar": "DEEP RED"}), {2}),
    ):
        assert found(index, filters) == numbers, filters
    while index.update_payloads(PETS, limit=2):
        assert 0 in found(index, Filters(attributes={"Collar": "Deep Red"}))
    check_attributes(index)


def test_what_an_earlier_version_still_writes_is_found_as_it_is_written(
    index: RawIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.insert(PETS, [tagged(0, ("old",))])
    assert found(index, Filters(tags=("Shy",))) == set()  # no point is of an earlier version
    with earlier_version(monkeypatch, 2):
        index.insert(PETS, [tagged(1, ("Shy",), {"Collar": "Red"})])
        index.replace_records(PETS, [tagged(0, ("Very Old",)).record])
    assert found(index, Filters(tags=("Shy",))) == {1}
    assert found(index, Filters(not_tags=("Shy",))) == {0}
    assert found(index, Filters(attributes={"Collar": "Red"})) == {1}
    assert found(index, Filters(tags=("Very Old",))) == {0}
    assert found(index, Filters(tags=("old",))) == set()
    assert index.update_payloads(PETS, limit=9) == 2
    assert found(index, Filters(tags=("very old",))) == {0}


def test_indexes_that_an_earlier_version_did_not_create_are_created(
    index: RawIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        for field in ("folded.tags", "folded.attributes", "payload_version"):
            before.delitem(payload.INDEXED_FIELDS, field)
        index.create_collection("pets-old", DIM)
    index.insert("pets-old", described())
    assert index.count("pets-old", Filters(tags=("SHY",))) == 2
    index.delete_collection("pets-old")
