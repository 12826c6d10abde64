"""The same photo several times in one import: the order of the source decides."""

import io
import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from petsearch.domain import (
    ImageMetadata,
    ImageRecord,
    ItemRef,
    ItemStatus,
    JobOptions,
    OnDuplicate,
)
from petsearch.ingest.outcomes import DELETED
from petsearch.ingest.repeats import merge_record
from petsearch.jobs import Upload
from petsearch.sources import parse_spec
from tests import pictures
from tests.services.house import House, photo

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PHOTO = pictures.jpeg(1, 24, 16)
FIRST: dict[str, object] = {"breed": "birman", "tags": ["shy"]}
SECOND: dict[str, object] = {"breed": "pug", "status": "found", "tags": ["old"]}
RIGHT = {
    OnDuplicate.KEEP: ("birman", None, ("shy",)),
    OnDuplicate.MERGE: ("birman", "found", ("shy", "old")),
    OnDuplicate.REPLACE: ("pug", "found", ("old",)),
}
BETWEEN = {"one batch": 0, "two batches": 5, "two chunks": 64}
"""How many other items lie between the two; a batch of the house is 4, a chunk 64."""


def manifest(house: House, folder: Path, between: int, on_duplicate: OnDuplicate) -> str:
    (folder / "a.jpg").write_bytes(PHOTO)
    (folder / "b.jpg").write_bytes(PHOTO)
    others = [folder / f"{n}.jpg" for n in range(between if between < 64 else 0)]
    for number, path in enumerate(others):
        path.write_bytes(pictures.jpeg(100 + number, 24, 16))
    # Rows that are rejected fill a chunk at no cost.
    rows: list[dict[str, object]] = [{"path": str(path)} for path in others]
    rows = rows or [{"path": 1}] * between
    first = {"path": f"{folder}/a.jpg", **FIRST}
    rows = [first, *rows, {"path": f"{folder}/b.jpg", **SECOND}]
    file = folder / "table.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = parse_spec({"type": "manifest", "path": str(file)})
    return house.jobs.read(spec, JobOptions(on_duplicate=on_duplicate)).job_id


def uploads(house: House, _: Path, between: int, on_duplicate: OnDuplicate) -> str:
    def said(fields: Mapping[str, object]) -> ImageMetadata:
        return ImageMetadata(**{**fields, "tags": tuple(fields["tags"])})  # type: ignore[arg-type]

    photos = [Upload(PHOTO, said(FIRST)), Upload(PHOTO, said(SECOND))]
    others = [Upload(pictures.jpeg(100 + n, 24, 16), ImageMetadata()) for n in range(between % 64)]
    job_id = house.jobs.open("test", JobOptions(on_duplicate=on_duplicate)).job_id
    parts = [photos[:1], photos[1:]] if between == 64 else [[photos[0], *others, photos[1]]]
    for part in parts:
        house.jobs.add_photos(job_id, part, len(part))
    house.jobs.seal(job_id)
    return job_id


def ingest(house: House, job_id: str, *, backwards: bool) -> None:
    for reading in house.queue.readings:
        house.enumerator.work(reading)
    for chunk in sorted(house.queue.chunks, reverse=backwards):
        house.worker.work(*chunk)
    house.queue.readings.clear()
    assert house.jobs.get(job_id).finished_at


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "later chunk first"])
@pytest.mark.parametrize("between", list(BETWEEN.values()), ids=list(BETWEEN))
@pytest.mark.parametrize("add", [manifest, uploads])
@pytest.mark.parametrize("on_duplicate", list(OnDuplicate))
def test_what_the_source_says_first_and_last_is_kept_and_replaced(
    house: House,
    tmp_path: Path,
    *,
    on_duplicate: OnDuplicate,
    add: Callable[..., str],
    between: int,
    backwards: bool,
) -> None:
    job_id = add(house, tmp_path, between, on_duplicate)
    ingest(house, job_id, backwards=backwards)
    said = house.record(PHOTO).metadata
    assert (said.breed, said.status, said.tags) == RIGHT[on_duplicate]
    assert house.counts(job_id)["duplicate"] == 1
    assert house.counts(job_id)["ingested"] == house.count()
    for chunk in house.queue.chunks:
        house.worker.work(*chunk)
    assert house.record(PHOTO).metadata == said, "running again changes nothing"


def test_repeats_of_three_batches_are_merged_in_order(house: House, tmp_path: Path) -> None:
    rows = []
    for number in range(12):
        # Every third row has the photo; the others keep the batches apart.
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(PHOTO if number % 3 == 0 else pictures.jpeg(200 + number, 24, 16))
        rows.append({"path": str(path), "status": f"row {number}"})
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    options = JobOptions(on_duplicate=OnDuplicate.REPLACE)
    job = house.jobs.read_upload("manifest", "t.jsonl", io.BytesIO(data), len(data), options)
    ingest(house, job.job_id, backwards=False)
    assert house.record(PHOTO).metadata.status == "row 9"
    assert [o.status for o in house.outcomes(job.job_id)][:4] == [
        *[ItemStatus.INGESTED] * 3,
        ItemStatus.DUPLICATE,
    ]


def test_what_repeats_a_photo_that_a_pause_left_waits_for_it(house: House) -> None:
    others = [Upload(pictures.jpeg(100 + n, 24, 16), ImageMetadata()) for n in range(4)]
    twice = [
        Upload(PHOTO, ImageMetadata(breed="birman")),
        Upload(PHOTO, ImageMetadata(tags=("a",))),
    ]
    job_id = house.open_job(*others, *twice)
    pauses = iter([False, True])  # after the first batch; then the job is resumed

    def should_stop() -> bool:
        return next(pauses, False)

    assert not house.worker.runner.run(house.jobs.get(job_id), 0, should_stop=should_stop)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 5, "duplicate": 1}
    assert all(o.reason != DELETED for o in house.outcomes(job_id))
    said = house.record(PHOTO).metadata
    assert (said.breed, said.tags) == ("birman", ("a",))


def test_what_repeats_a_photo_that_failed_is_retried_with_it(house: House) -> None:
    twice = [Upload(pictures.jpeg(1), ImageMetadata(tags=(tag,))) for tag in ("a", "b")]
    house.poison(1)
    job_id = house.open_job(*twice)
    house.deliver()
    assert house.counts(job_id) == {"failed": 2}
    house.clip.poison = None
    house.jobs.retry(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1, "duplicate": 1}
    assert house.record(twice[0].data).metadata.tags == ("a", "b")


def test_what_repeats_a_photo_that_is_refused_is_refused_for_the_same_reason(house: House) -> None:
    job_id = house.open_job(*[Upload(pictures.HTML, ImageMetadata(f"{n}.jpg")) for n in range(2)])
    house.deliver()
    first, second = house.outcomes(job_id)
    assert (first.filename, second.filename) == ("0.jpg", "1.jpg")
    assert first.status is second.status is ItemStatus.REFUSED
    assert first.reason is not None
    assert second.reason is not None
    assert second.reason.endswith(first.reason)


def record_of(said: ImageMetadata, source: ItemRef) -> ImageRecord:
    size = {"width": 1, "height": 1, "size_bytes": 1, "content_type": "image/jpeg"}
    times = {"created_at": NOW, "updated_at": NOW}
    return ImageRecord(
        image_id="i", sha256="s", metadata=said, prediction=None, model_id="m",
        first_seen=source, sources=(source,), **size, **times,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("on_duplicate", [OnDuplicate.KEEP, OnDuplicate.REPLACE])
def test_of_three_in_any_order_the_first_or_the_last_counts(
    order: tuple[int, ...], on_duplicate: OnDuplicate
) -> None:
    said = [ImageMetadata(status=f"item {number}") for number in range(3)]
    record = record_of(said[order[0]], ItemRef("job", order[0]))
    for number in order[1:]:
        record = merge_record(record, said[number], ItemRef("job", number), on_duplicate)
    right = 0 if on_duplicate is OnDuplicate.KEEP else 2
    assert record.metadata.status == f"item {right}"


def test_another_spelling_of_a_tag_or_a_name_adds_nothing() -> None:
    stored = ImageMetadata(tags=("Shy", "old"), attributes={"Collar": "Red"})
    given = ImageMetadata(
        tags=("SHY", "Bold", "bold "), attributes={"collar": "blue", "Toy": "Ball"}
    )
    record = record_of(stored, ItemRef("a", 0))
    said = merge_record(record, given, ItemRef("b", 0), OnDuplicate.MERGE).metadata
    assert said.tags == ("Shy", "old", "Bold")
    assert said.attributes == {"Collar": "Red", "Toy": "Ball"}


def entries(start: int, count: int) -> dict[str, Any]:
    names = [f"n{number}" for number in range(start, start + count)]
    return {"tags": tuple(names), "attributes": dict.fromkeys(names, "x")}


@pytest.mark.parametrize("is_before", [False, True])
def test_what_there_is_no_room_for_is_left_out_and_what_there_is_stays(*, is_before: bool) -> None:
    stored, given = ImageMetadata(**entries(0, 30)), ImageMetadata(**entries(20, 50))
    record = record_of(stored, ItemRef("a", 1))
    source = ItemRef("a", 0 if is_before else 2)
    said = merge_record(record, given, source, OnDuplicate.MERGE).metadata
    assert set(said.tags) == set(said.attributes) == {f"n{number}" for number in range(50)}


def test_attributes_that_a_caller_does_not_see_take_up_room() -> None:
    hidden = {f"address {number}": "here" for number in range(10)}
    record = record_of(ImageMetadata(attributes=hidden), ItemRef("a", 0))
    said = merge_record(
        record,
        ImageMetadata(**entries(0, 50)),
        ItemRef("b", 0),
        OnDuplicate.REPLACE,
        sees_places=False,
    ).metadata
    assert len(said.tags) == len(said.attributes) == 50
    assert hidden.items() <= said.attributes.items()


@pytest.mark.parametrize("item_no", [0, 2])
@pytest.mark.parametrize("on_duplicate", [OnDuplicate.MERGE, OnDuplicate.REPLACE])
def test_an_attribute_that_a_caller_does_not_see_gets_no_second_spelling(
    on_duplicate: OnDuplicate, item_no: int
) -> None:
    record = record_of(ImageMetadata(attributes={"Street": "Elm 5"}), ItemRef("a", 1))
    given, source = ImageMetadata(attributes={"street": "Oak 9"}), ItemRef("a", item_no)
    merged = merge_record(record, given, source, on_duplicate, sees_places=False)
    assert len(merged.metadata.attributes) == 1


def test_what_is_left_out_of_a_repeat_is_a_warning(house: House) -> None:
    house.ingest(photo(1, **entries(0, 30)))
    job_id = house.open_job(photo(1, **entries(20, 40)), photo(1, **entries(0, 50)))
    house.run()
    full, fitting = house.outcomes(job_id)
    assert {(w.code, w.field, w.detail) for w in full.warnings} == {
        ("entries_left_out", "tags", "A photo has at most 50 tags: 10 are left out."),
        ("entries_left_out", "attributes", "A photo has at most 50 attributes: 10 are left out."),
    }
    assert (fitting.warnings, house.jobs.get(job_id).warned) == ((), 1)


def test_an_item_of_another_job_does_not_count_as_earlier() -> None:
    record = record_of(ImageMetadata(status="first"), ItemRef("a", 5))
    again = merge_record(record, ImageMetadata(status="later"), ItemRef("b", 0), OnDuplicate.MERGE)
    assert again.metadata.status == "first"


@pytest.mark.parametrize("on_duplicate", list(OnDuplicate))
@pytest.mark.parametrize("sees_places", [False, True])
def test_the_cell_that_someone_was_shown_replaces_no_exact_place(
    on_duplicate: OnDuplicate, *, sees_places: bool
) -> None:
    exact, cell, elsewhere = (52.5249321, 13.3950456), (52.52, 13.4), (48.1, 11.5)
    record = record_of(ImageMetadata(location=exact), ItemRef("a", 0))

    def after(place: tuple[float, float]) -> tuple[float, float] | None:
        said, source = ImageMetadata(location=place), ItemRef("b", 0)
        merged = merge_record(record, said, source, on_duplicate, sees_places=sees_places)
        return merged.metadata.location

    is_replaced = on_duplicate is OnDuplicate.REPLACE
    assert after(cell) == (cell if is_replaced and sees_places else exact)
    assert after(elsewhere) == (elsewhere if is_replaced else exact)


@pytest.mark.parametrize("absent", [1, 2, 3])
def test_a_photo_that_the_index_does_not_show_at_once_is_looked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch, absent: int
) -> None:
    inserts, stale, found = [], [1] * absent, house.index.get
    house.index.on_call = lambda name, _: inserts.append(name) if name == "insert" else None

    def get(collection: str, image_ids: list[str]) -> Mapping[str, ImageRecord]:
        # Some times as a replica answers that was away when the photo was inserted.
        return {} if inserts and stale and stale.pop() else found(collection, image_ids)

    monkeypatch.setattr(house.index, "get", get, raising=False)
    twice = [Upload(PHOTO, ImageMetadata(tags=(tag,))) for tag in ("a", "b")]
    job_id = house.open_job(*twice, Upload(pictures.jpeg(7), ImageMetadata()))
    house.deliver()
    assert not stale
    assert house.counts(job_id) == {"ingested": 2, "duplicate": 1}
    assert all(o.reason != DELETED for o in house.outcomes(job_id))
