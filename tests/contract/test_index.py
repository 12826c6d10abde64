"""What every index does, whichever engine is behind it."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from petsearch.adapters.qdrant import payload
from petsearch.adapters.qdrant.errors import qdrant_errors
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.domain import (
    Filters,
    Guessed,
    ImageRecord,
    ItemRef,
    Near,
    Point,
    Prediction,
    SureFrom,
    TimeRange,
    UnknownName,
)
from petsearch.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from petsearch.ports.raw_index import RawIndex
from tests.contract.records import DIM, PETS, embedding, point, record

ALL = Filters()


def test_points_are_read_with_their_embeddings(index: RawIndex) -> None:
    index.insert(PETS, [point(1), point(2)])
    wanted = [record(number).image_id for number in (1, 2, 3)]
    found = {p.record.image_id: p for p in index.read_points(PETS, wanted)}
    assert set(found) == set(wanted[:2])
    for number in (1, 2):
        read = found[record(number).image_id]
        assert read.record == record(number)
        np.testing.assert_allclose(read.embedding, embedding(number / 10), atol=1e-6)
    assert index.read_points(PETS, []) == []


def test_a_record_comes_back_as_it_went_in(index: RawIndex) -> None:
    wanted = record(1, breed="birman")
    index.insert(PETS, [point(1, breed="birman")])
    assert index.get(PETS, [wanted.image_id]) == {wanted.image_id: wanted}


def test_absent_ids_are_left_out(index: RawIndex) -> None:
    index.insert(PETS, [point(1)])
    absent = record(2).image_id
    assert index.get(PETS, [absent]) == {}
    with pytest.raises(NotFound):
        index.get_embedding(PETS, absent)


def test_an_embedding_comes_back(index: RawIndex) -> None:
    index.insert(PETS, [point(1, angle=0.4)])
    found = index.get_embedding(PETS, record(1).image_id)
    assert found.dtype == np.float32
    assert np.allclose(found, embedding(0.4), atol=1e-6)


def test_the_nearest_come_first_with_their_cosine(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(6)])
    hits = index.search(PETS, embedding(0.0), limit=3, filters=ALL)
    assert [hit.record.metadata.filename for hit in hits] == ["0.jpg", "1.jpg", "2.jpg"]
    assert [hit.score for hit in hits] == pytest.approx(np.cos([0.0, 0.1, 0.2]), abs=1e-5)


def test_a_lowest_score_cuts_the_rest_off(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(6)])
    hits = index.search(PETS, embedding(0.0), limit=6, filters=ALL, min_score=float(np.cos(0.15)))
    assert len(hits) == 2


def test_only_what_was_asked_for_is_found(index: RawIndex) -> None:
    index.insert(PETS, [point(0), point(1, species="dog"), point(2, species="dog", breed="pug")])
    dogs = index.search(PETS, embedding(0.0), limit=9, filters=Filters(species=("dog",)))
    assert [hit.record.metadata.filename for hit in dogs] == ["1.jpg", "2.jpg"]
    pugs = Filters(species=("dog",), breed=("pug",))
    assert index.count(PETS, pugs) == 1
    assert index.count(PETS, Filters(filename="0.jpg")) == 1
    assert index.count(PETS, Filters(exclude_ids=(record(0).image_id,))) == 2


_SAID: list[tuple[Filters, list[str]]] = [
    (Filters(status=("lost",)), ["0.jpg"]),
    (Filters(animal_id=("rex",)), ["0.jpg", "1.jpg"]),
    (Filters(tags=("indoors",)), ["0.jpg", "1.jpg", "2.jpg"]),
    (Filters(tags=("indoors", "shy")), ["1.jpg"]),
    (Filters(attributes={"collar": "red"}), ["2.jpg"]),
    (Filters(attributes={"collar": "blue", "chip": "yes"}), ["0.jpg"]),
    (Filters(near=Near(52.52, 13.40, 5.0)), ["0.jpg"]),
    (Filters(near=Near(52.52, 13.40, 50.0)), ["0.jpg", "1.jpg"]),
    (Filters(created=TimeRange(since=record(1).created_at)), ["1.jpg", "2.jpg"]),
    (Filters(created=TimeRange(record(1).created_at, record(2).created_at)), ["1.jpg"]),
    (Filters(taken=TimeRange(until=record(1).created_at)), ["0.jpg"]),
    (Filters(status=("lost",), near=Near(0.0, 0.0, 10.0)), []),
    (Filters(status=("lost", "found")), ["0.jpg", "1.jpg"]),
    (Filters(animal_id=("nobody", "rex"), not_status=("found",)), ["0.jpg"]),
    (Filters(not_status=("lost",)), ["1.jpg", "2.jpg"]),
    (Filters(not_status=("lost", "found"), not_species=("dog",)), ["2.jpg"]),
    (Filters(not_breed=("siamese",)), ["0.jpg", "1.jpg", "2.jpg"]),
    (Filters(not_animal_id=("rex",)), ["2.jpg"]),
    (Filters(not_tags=("shy", "old")), ["0.jpg", "2.jpg"]),
    (Filters(missing=("location",)), ["2.jpg"]),
    (Filters(missing=("status", "animal_id")), ["2.jpg"]),
    (Filters(missing=("taken_at",)), ["2.jpg"]),
    (Filters(missing=("location",), status=("found",)), []),
    (Filters(missing=("breed",)), ["0.jpg", "1.jpg", "2.jpg"]),
    (Filters(missing=("species",)), []),
]


@pytest.mark.parametrize(("filters", "names"), _SAID, ids=lambda value: str(value)[:60])
def test_every_filter_holds(index: RawIndex, filters: Filters, names: list[str]) -> None:
    index.insert(PETS, _described_points())
    hits = index.search(PETS, embedding(0.0), limit=9, filters=filters)
    assert [hit.record.metadata.filename for hit in hits] == names
    assert index.count(PETS, filters) == len(names)


def _described_points() -> list[Point]:
    """Two near Berlin, 20 km apart, and one that says neither where nor when it was taken."""
    berlin, potsdam = (52.521, 13.402), (52.396, 13.058)
    said = [record(number).metadata for number in range(3)]
    described = [
        replace(
            said[0],
            status="lost",
            animal_id="rex",
            location=berlin,
            attributes={"collar": "blue", "chip": "yes"},
        ),
        replace(
            said[1],
            status="found",
            animal_id="rex",
            tags=("indoors", "shy"),
            location=potsdam,
            attributes={},
        ),
        replace(said[2], taken_at=None),
    ]
    points = [point(number) for number in range(3)]
    return [
        replace(one, record=replace(one.record, metadata=metadata))
        for one, metadata in zip(points, described, strict=True)
    ]


def test_points_of_earlier_versions_get_what_filters_need(
    index: RawIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(payload, "derived_fields", lambda _: {})
        index.insert(PETS, _described_points())
    index.insert(PETS, [point(7)])
    records = index.get(PETS, [record(number).image_id for number in range(3)])
    near = Filters(near=Near(52.52, 13.40, 5.0, is_exact=False))
    assert index.count(PETS, near) == 0
    assert [index.update_payloads(PETS, limit=2) for _ in range(3)] == [2, 1, 0]
    assert index.count(PETS, near) == 1
    assert index.get(PETS, [*records]) == records


def test_a_place_is_near_by_its_cell(index: RawIndex) -> None:
    index.insert(PETS, _described_points())  # one at 52.521, 13.402, of the cell 52.52, 13.40
    for metres, exact, cell in ((50, 0, 1), (200, 1, 1)):
        near = Near(52.52, 13.40, metres / 1000)
        assert index.count(PETS, Filters(near=near)) == exact
        assert index.count(PETS, Filters(near=near).in_cells()) == cell


def test_a_location_comes_back(index: RawIndex) -> None:
    wanted = _described_points()[0].record
    index.insert(PETS, _described_points())
    assert index.get(PETS, [wanted.image_id])[wanted.image_id] == wanted


def test_a_list_by_time_taken_leaves_out_what_does_not_say_it(index: RawIndex) -> None:
    points = _described_points()
    earlier = replace(points[1].record.metadata, taken_at=datetime(2020, 5, 1, tzinfo=UTC))
    points[1] = replace(points[1], record=replace(points[1].record, metadata=earlier))
    index.insert(PETS, points)
    first, cursor = index.list_newest(PETS, limit=1, filters=ALL, sort="taken_at")
    rest, _ = index.list_newest(PETS, limit=5, filters=ALL, before=cursor, sort="taken_at")
    assert [found.metadata.filename for found in [*first, *rest]] == ["0.jpg", "1.jpg"]


def test_inserting_again_changes_nothing(index: RawIndex) -> None:
    index.insert(PETS, [point(1, angle=0.2)])
    index.insert(PETS, [point(1, angle=1.2, species="dog"), point(2)])
    assert index.count(PETS, ALL) == 2
    assert index.get(PETS, [record(1).image_id])[record(1).image_id].species == "cat"
    assert np.allclose(index.get_embedding(PETS, record(1).image_id), embedding(0.2), atol=1e-6)


def test_nothing_to_insert_is_fine(index: RawIndex) -> None:
    index.insert(PETS, [])
    assert index.count(PETS, ALL) == 0


def test_replacing_a_record_keeps_its_embedding(index: RawIndex) -> None:
    index.insert(PETS, [point(1, angle=0.2)])
    changed = replace(record(1), metadata=replace(record(1).metadata, breed="ragdoll", tags=()))
    index.replace_records(PETS, [changed])
    assert index.get(PETS, [changed.image_id]) == {changed.image_id: changed}
    assert np.allclose(index.get_embedding(PETS, changed.image_id), embedding(0.2), atol=1e-6)


def test_a_record_that_was_changed_meanwhile_is_left_alone(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(4)])
    before = [record(number) for number in range(4)]
    later = before[0].updated_at + timedelta(microseconds=1)
    wide = [replace(one, width=7, updated_at=later) for one in before]
    high = [replace(one, height=9, updated_at=later + timedelta(hours=1)) for one in before]
    assert index.replace_unchanged(PETS, [(before[1], wide[1])]) == set()
    index.delete(PETS, [before[2].image_id])
    left = index.replace_unchanged(PETS, list(zip(before, high, strict=True)))
    assert left == {before[1].image_id, before[2].image_id}
    found = index.get(PETS, [one.image_id for one in before])
    assert found == {one.image_id: one for one in (high[0], wide[1], high[3])}
    assert np.allclose(index.get_embedding(PETS, before[0].image_id), point(0).embedding, atol=1e-6)
    assert index.replace_unchanged(PETS, []) == set()


def test_a_location_of_seventeen_digits_counts_as_written(index: RawIndex) -> None:
    index.insert(PETS, [point(1)])
    before = record(1)
    exact = replace(before.metadata, location=(15.363494782769479, 4.722576723029249))
    later = before.updated_at + timedelta(seconds=1)
    after = replace(before, metadata=exact, updated_at=later)
    assert index.replace_unchanged(PETS, [(before, after)]) == set()


def test_nobody_who_changes_a_record_at_the_same_time_is_lost(
    index: RawIndex, request: pytest.FixtureRequest
) -> None:
    if "local mode" in request.node.name:
        pytest.skip("qdrant-client's local mode has no locks; devstack's server holds one.")
    index.insert(PETS, [point(1)])
    start = threading.Barrier(4)

    def tag(name: str) -> None:
        start.wait()
        for number in range(5):
            _change(index, record(1).image_id, partial(_tagged, f"{name}{number}"))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(tag, "abcd"))
    tags = index.get(PETS, [record(1).image_id])[record(1).image_id].metadata.tags
    assert {f"{name}{number}" for name in "abcd" for number in range(5)} <= {*tags}


def _tagged(tag: str, one: ImageRecord) -> ImageRecord:
    metadata = replace(one.metadata, tags=(*one.metadata.tags, tag))
    return replace(one, metadata=metadata, updated_at=datetime.now(UTC))


def _change(index: RawIndex, image_id: str, change: Callable[[ImageRecord], ImageRecord]) -> None:
    """Read a record and write it back changed, until nobody else changed it meanwhile."""
    while True:
        before = index.get(PETS, [image_id])[image_id]
        if not index.replace_unchanged(PETS, [(before, change(before))]):
            return


def test_many_records_are_replaced_in_one_call(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(4)])
    changed = [replace(record(number), width=number) for number in (1, 3)]
    index.replace_records(PETS, changed)
    found = index.get(PETS, [record(number).image_id for number in range(4)])
    assert sorted(one.width for one in found.values()) == [1, 3, 640, 640]
    index.replace_records(PETS, [])


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_all_ids_are_walked_in_order(index: RawIndex, count: int) -> None:
    index.insert(PETS, [point(number) for number in range(count)])
    walked: list[str] = []
    while page := index.list_ids(PETS, after=walked[-1] if walked else None, limit=3):
        assert len(page) <= 3
        walked += page
    assert walked == sorted(record(number).image_id for number in range(count))


def test_a_walk_goes_on_after_an_id_that_is_gone(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(5)])
    ids = sorted(record(number).image_id for number in range(5))
    index.delete(PETS, [ids[1]])
    assert index.list_ids(PETS, after=ids[1], limit=2) == ids[2:4]


def test_images_that_came_more_than_once_are_found(index: RawIndex) -> None:
    sources = tuple(ItemRef("job", number) for number in range(3))
    points = [
        replace(point(n), record=replace(record(n), sources=sources[: n + 1])) for n in range(3)
    ]
    index.insert(PETS, points)
    assert [index.count(PETS, Filters(min_sources=least)) for least in (1, 2, 3, 4)] == [3, 2, 1, 0]
    index.replace_records(PETS, [replace(record(0), sources=sources)])
    assert index.count(PETS, Filters(min_sources=3)) == 2


def test_images_that_share_a_part_of_their_hash_are_found(index: RawIndex) -> None:
    hashes = ["aaaabbbbccccdddd", "0000bbbb00000000", "bbbb000011112222", None]
    index.insert(
        PETS,
        [
            replace(point(n), record=replace(record(n), phash=digits))
            for n, digits in enumerate(hashes)
        ],
    )
    wanted = Filters(phash_bands=("1:bbbb", "3:2222"))
    hits = index.search(PETS, embedding(0.0), limit=9, filters=wanted)
    assert [hit.record.phash for hit in hits] == hashes[:3]
    assert index.count(PETS, Filters(phash_bands=("0:0000",), species=("cat",))) == 1
    assert index.count(PETS, Filters(phash_bands=("0:0000",), species=("dog",))) == 0
    assert index.facet(PETS, "phash_bands", ALL)["1:bbbb"] == 2


def test_the_newest_are_listed_page_by_page_without_a_gap(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(7)])
    names: list[str] = []
    cursor = None
    while True:
        page, cursor = index.list_newest(PETS, limit=3, filters=ALL, before=cursor)
        names += [found.metadata.filename for found in page]
        if cursor is None:
            break
    assert names == [f"{number}.jpg" for number in reversed(range(7))]


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_images_of_the_same_moment_are_listed_once_each(index: RawIndex, limit: int) -> None:
    moment = record(5).created_at
    same = [replace(p, record=replace(p.record, created_at=moment)) for p in map(point, range(5))]
    points = [*same, *map(point, range(6, 9))]
    index.insert(PETS, points)
    seen: list[ImageRecord] = []
    cursor = None
    while True:
        page, cursor = index.list_newest(PETS, limit=limit, filters=ALL, before=cursor)
        seen += page
        if cursor is None:
            break
    assert sorted(one.image_id for one in seen) == sorted(p.record.image_id for p in points)
    times = [one.created_at for one in seen]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("cursor", ["yesterday|x", "2026-01-01T00:00:00+00:00|not-an-id", ""])
def test_a_made_up_cursor_is_refused(index: RawIndex, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        index.list_newest(PETS, limit=2, filters=ALL, before=cursor)


def test_the_recent_collection_follows_the_alias_that_this_process_moves(index: RawIndex) -> None:
    assert index.recent() == PETS
    index.create_collection("pets-next", DIM)
    index.point_alias_to("pets-next")
    assert index.recent() == index.current() == "pets-next"
    index.point_alias_to(PETS)
    index.delete_collection("pets-next")


def test_the_alias_is_asked_for_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings.filterwarnings("ignore", message="Payload indexes have no effect")
    client, now = QdrantClient(":memory:"), [100.0]
    mine, other = QdrantIndex(client, clock=lambda: now[0]), QdrantIndex(client)
    for name in (PETS, "pets-next"):
        mine.create_collection(name, DIM)
    assert mine.recent() is None
    other.point_alias_to(PETS)
    get_aliases, asked = client.get_aliases, []

    def count() -> object:
        asked.append(now[0])
        return get_aliases()

    monkeypatch.setattr(client, "get_aliases", count)
    assert [mine.recent() for _ in range(5)] == [PETS] * 5
    assert len(asked) == 1
    other.point_alias_to("pets-next")
    asked.clear()
    now[0] += 2
    assert [mine.recent() for _ in range(5)] == ["pets-next"] * 5
    assert len(asked) == 1
    mine.close()


def test_facets_leave_out_what_is_no_longer_said(index: RawIndex) -> None:
    lost = replace(record(1), metadata=replace(record(1).metadata, status="lost", tags=("shy",)))
    index.insert(PETS, [Point(lost, embedding(0.1)), point(2, breed="pug"), point(3, breed="pug")])
    index.delete(PETS, [record(number).image_id for number in (2, 3)])
    found = replace(lost, metadata=replace(lost.metadata, status="found", tags=()))
    index.replace_records(PETS, [found])
    assert index.facet(PETS, "status", ALL) == {"found": 1}
    assert index.facet(PETS, "tags", ALL) == {}
    assert index.facet(PETS, "label.breed", ALL) == {}
    assert index.facet(PETS, "prediction.breed", ALL) == {"siamese": 1}
    assert index.facet(PETS, "status", Filters(status=("lost",))) == {}


def test_facets_count_what_was_stated_and_what_is_guessed(index: RawIndex) -> None:
    index.insert(PETS, [point(0, breed="birman"), point(1), point(2, species="dog", breed="pug")])
    assert index.facet(PETS, "label.breed", ALL) == {"birman": 1, "pug": 1}
    for at_least, counts in ((0.7, {"siamese": 1}), (0.8, {})):
        guessed = Filters(guessed=Guessed("breed", at_least))
        assert index.facet(PETS, "prediction.breed", guessed) == counts
    assert index.facet(PETS, "label.species", Filters(breed=("pug",))) == {"dog": 1}


def _guessed(number: int, prediction: Prediction | None, **said: str | None) -> Point:
    unstated = point(number, None, **{"species": None, **said})
    return Point(replace(unstated.record, prediction=prediction), unstated.embedding)


SURE = SureFrom(species=0.9, breed=0.95)
UNICORNS = Filters(
    species=("unicorn",), sure_from=SURE, unknown=(UnknownName("species", "unicorn"),)
)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(species=("dog",)), {1}),
        (Filters(species=("dog",), sure_from=SURE), {1, 4, 5, 6, 7}),
        (Filters(species=("cat",), sure_from=SURE), {2, 3, 4, 5, 6, 8}),
        (Filters(breed=("pug",)), {8}),
        (Filters(breed=("pug",), sure_from=SURE), {1, 2, 3, 4, 5, 6, 8}),
        (Filters(breed=("pug",), species_of_breed={"pug": "dog"}, sure_from=SURE), {1, 4, 5, 6, 8}),
        (Filters(guessed=Guessed("species", 0.9)), {3, 7}),
        (Filters(species=("dog", "cat"), sure_from=SURE), {1, 2, 3, 4, 5, 6, 7, 8}),
        (Filters(not_species=("cat",)), {1, 3, 4, 5, 6, 7}),
        (
            # A name that is unknown as a breed is none that is unknown as a species.
            Filters(species=("cat",), sure_from=SURE, unknown=(UnknownName("not_breed", "cat"),)),
            {2, 3, 4, 5, 6, 8},
        ),
        (Filters(not_species=("cat",), sure_from=SURE), {1, 4, 5, 6, 7}),
        (Filters(not_species=("cat", "dog"), sure_from=SURE), {4, 5, 6}),
        (Filters(not_breed=("beagle", "pug"), sure_from=SURE), {1, 2, 3, 4, 5, 6}),
        (UNICORNS, set()),
    ],
)
def test_a_guess_leaves_out_only_where_it_is_sure(
    index: RawIndex, filters: Filters, found: set[int]
) -> None:
    points = [
        _guessed(1, None, species="dog"),
        _guessed(2, None, species="cat"),
        _guessed(3, Prediction("siamese", "cat", 0.94, 0.9, "m")),
        _guessed(4, Prediction("siamese", "cat", 0.94, 0.89, "m")),
        _guessed(5, Prediction("siamese", "cat", 0.99)),  # by a model that is not calibrated
        _guessed(6, None),
        _guessed(7, Prediction("beagle", "dog", 0.95, 1.0, "m")),
        _guessed(8, Prediction("siamese", "cat", 0.99, 0.99, "m"), species="cat", breed="pug"),
    ]
    index.insert(PETS, points)
    numbers = {p.record.image_id: number for number, p in enumerate(points, 1)}
    assert index.count(PETS, filters) == len(found)
    hits = index.search(PETS, embedding(0.0), limit=20, filters=filters)
    assert {numbers[hit.record.image_id] for hit in hits} == found


def test_deleting_twice_is_deleting_once(index: RawIndex) -> None:
    index.insert(PETS, [point(1), point(2)])
    for _ in range(2):
        index.delete(PETS, [record(1).image_id])
    assert index.count(PETS, ALL) == 1


def test_a_deleted_image_may_come_again(index: RawIndex) -> None:
    index.insert(PETS, [point(1)])
    index.delete(PETS, [record(1).image_id])
    index.insert(PETS, [point(1, species="dog")])
    assert index.count(PETS, Filters(species=("dog",))) == 1


def test_the_alias_moves(index: RawIndex) -> None:
    assert index.current() == PETS
    index.create_collection("pets-model-1", DIM)
    assert index.current() == PETS
    index.point_alias_to("pets-model-1")
    assert index.current() == "pets-model-1"
    assert index.count("pets-model-1", ALL) == 0


def test_an_exact_search_finds_what_any_search_does(index: RawIndex) -> None:
    index.insert(PETS, [point(number) for number in range(6)])
    exact, found = (
        index.search(PETS, embedding(0.25), limit=4, filters=ALL, exact=is_exact)
        for is_exact in (True, False)
    )
    assert [hit.record for hit in exact] == [hit.record for hit in found]


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_versions_are_walked_in_the_order_of_ids(index: RawIndex, count: int) -> None:
    index.insert(PETS, [point(number) for number in range(count)])
    changed = datetime(2026, 2, 1, tzinfo=UTC)
    if count:
        index.replace_records(PETS, [replace(record(0), updated_at=changed)])
    walked: list[tuple[str, datetime]] = []
    while page := index.list_versions(PETS, after=walked[-1][0] if walked else None, limit=3):
        walked += page
    times = {record(n).image_id: record(n).updated_at for n in range(count)}
    if count:
        times[record(0).image_id] = changed
    assert walked == sorted(times.items())


def test_replacing_what_is_not_there_is_said(index: RawIndex) -> None:
    index.insert(PETS, [point(1)])
    with pytest.raises((NotFound, KeyError)):  # the client's local mode raises the latter
        index.replace_records(PETS, [record(2)])
    assert index.count(PETS, ALL) == 1


def test_a_collection_goes_with_its_points_and_the_current_one_stays(index: RawIndex) -> None:
    index.create_collection("pets-model-1", DIM)
    index.insert("pets-model-1", [point(1)])
    index.insert(PETS, [point(2)])
    for _ in range(2):
        index.delete_collection("pets-model-1")
    with pytest.raises(NotFound):
        index.count("pets-model-1", ALL)
    with pytest.raises(Conflict, match="current"):
        index.delete_collection(PETS)
    assert index.count(PETS, ALL) == 1
    index.create_collection("pets-model-1", DIM)
    assert index.count("pets-model-1", ALL) == 0


def test_two_collections_share_nothing(index: RawIndex) -> None:
    index.create_collection("pets-model-1", DIM)
    index.insert(PETS, [point(1, angle=0.2)])
    index.insert("pets-model-1", [point(1, angle=0.9, species="dog")])
    index.delete(PETS, [record(1).image_id])
    assert index.count("pets-model-1", Filters(species=("dog",))) == 1
    found = index.get_embedding("pets-model-1", record(1).image_id)
    assert np.allclose(found, embedding(0.9), atol=1e-6)


def test_creating_a_collection_again_keeps_what_is_in_it(index: RawIndex) -> None:
    index.insert(PETS, [point(1)])
    index.create_collection(PETS, DIM)
    assert index.count(PETS, ALL) == 1


def test_a_collection_that_does_not_exist_is_said(index: RawIndex) -> None:
    with pytest.raises(NotFound):
        index.search("pets-none", embedding(0.0), limit=1, filters=ALL)
    with pytest.raises(NotFound):
        index.point_alias_to("pets-none")


def test_it_answers(index: RawIndex) -> None:
    index.ping()


@pytest.mark.parametrize("use_grpc", [True, False])
def test_a_server_that_is_not_there_is_unavailable(use_grpc: bool) -> None:  # noqa: FBT001  # pytest passes it by name
    absent = QdrantIndex(connect("http://127.0.0.1:9", use_grpc=use_grpc))
    for call in (absent.ping, absent.current, lambda: absent.count(PETS, ALL)):
        with pytest.raises(Unavailable, match="Qdrant"):
            call()
    absent.close()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_waited_for_and_named(status: int) -> None:
    refused = UnexpectedResponse(status, "refused", b"", httpx.Headers())
    with pytest.raises(Unavailable, match="PETSEARCH_QDRANT_API_KEY"), qdrant_errors():
        raise refused


def test_embeddings_are_replaced_and_records_stay(index: RawIndex) -> None:
    index.insert(PETS, [point(1, angle=0.2), point(2, angle=0.4)])
    one, other = record(1), record(2)
    index.replace_embeddings(PETS, {one.image_id: embedding(1.1)})
    assert np.allclose(index.get_embedding(PETS, one.image_id), embedding(1.1), atol=1e-6)
    assert np.allclose(index.get_embedding(PETS, other.image_id), embedding(0.4), atol=1e-6)
    assert index.get(PETS, [one.image_id]) == {one.image_id: one}
