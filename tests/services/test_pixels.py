"""Photos that an older version decoded: their copies, sizes, hashes and embeddings are remade."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from petsearch.app.services import utc_now
from petsearch.domain import (
    ImageMetadata,
    ImageRecord,
    Item,
    ItemStatus,
    Job,
    JobKind,
    NewJob,
    Outcome,
    TakenAtSource,
    object_keys,
)
from petsearch.domain.errors import Unavailable
from petsearch.jobs import Upload
from petsearch.jobs.chunk_runner import ChunkRun, ItemProcessor
from petsearch.maintenance.pixels import outdated_images
from petsearch.photos.decode import PIXELS_VERSION
from tests import pictures
from tests.services.house import A, B, House

TAKEN = datetime(2025, 5, 17, 10, 0, 5, tzinfo=UTC)
STATED = datetime(2024, 1, 2, tzinfo=UTC)
SAID = ImageMetadata(filename="rex.jpg", animal_id="D-7", status="lost", tags=("found",))


@pytest.fixture
def updater(house: House) -> ItemProcessor:
    return house.worker.runner.processors[JobKind.PIXELS]


def _ingest(house: House, count: int = 2) -> list[str]:
    uploads = [Upload(pictures.jpeg(n), replace(SAID, filename=f"{n}.jpg")) for n in range(count)]
    return house.ingest(*uploads)


def _ingest_dated(house: House, count: int) -> list[str]:
    """Photos with dates that a version without them has ingested."""
    dated = (pictures.phone_photo(n) for n in range(count))
    image_ids = house.ingest(*(Upload(data, SAID) for data in dated))
    for image_id in image_ids:
        _age(house, A, image_id)
        record = house.index.get(A, [image_id])[image_id]
        bare = replace(record, exif_taken_at=None, exif_taken_at_precision=None)
        house.index.replace_records(A, [bare])
    return image_ids


def _age(house: House, collection: str, image_id: str) -> ImageRecord:
    """Make an image look as an older version left it; how it was before."""
    before: ImageRecord = house.index.get(collection, [image_id])[image_id]
    old = replace(before, width=9, height=9, phash="0" * 16, pixels_version=1)
    house.index.replace_records(collection, [old])
    embedding = house.index.get_embedding(collection, image_id)
    house.index.replace_embeddings(collection, {image_id: np.roll(embedding, 1)})
    for key_of in (object_keys.display, object_keys.thumbnail):
        house.store.put(key_of(image_id), b"old")
    return before


def _run(
    house: House,
    updater: ItemProcessor,
    *image_ids: str,
    exif_dates: bool = True,
    failures: Counter[str] | None = None,
) -> list[Outcome]:
    """One run, if `failures` are given one by one."""
    new = NewJob("pixels", "reconcile", utc_now(), kind=JobKind.PIXELS, exif_dates=exif_dates)
    house.ledger.create(new)
    job: Job = house.ledger.get("pixels")
    items = [Item(n, "", ImageMetadata(), None, origin=i) for n, i in enumerate(image_ids)]
    is_alone = failures is not None
    kept = Counter[str]() if failures is None else failures
    run = ChunkRun(job, 0, items, lambda: False, one_by_one=is_alone, failures=kept)
    return [*updater.process(run, items)]


def _outdated(house: House, collection: str = A) -> list[str]:
    pages = outdated_images(house.index, collection)
    return [image_id for page in pages for image_id in page]


def test_old_pixels_are_remade_and_what_people_said_stays(
    house: House, updater: ItemProcessor
) -> None:
    old, new = _ingest(house)
    embedding = house.index.get_embedding(A, old)
    before = _age(house, A, old)
    assert _outdated(house) == [old]
    outcomes = _run(house, updater, old, new)
    assert [o.status for o in outcomes] == [ItemStatus.INGESTED, ItemStatus.DUPLICATE]
    after = house.index.get(A, [old])[old]
    assert after == replace(before, updated_at=after.updated_at)
    assert after.pixels_version == PIXELS_VERSION
    assert after.metadata.animal_id == "D-7"
    assert np.allclose(house.index.get_embedding(A, old), embedding, atol=1e-6)
    for key_of in (object_keys.display, object_keys.thumbnail):
        assert house.store.get(key_of(old)).startswith(b"\xff\xd8")
    assert not _outdated(house)
    again = _run(house, updater, old)
    assert again[0].status is ItemStatus.DUPLICATE


def test_every_collection_of_the_write_set_is_remade_by_its_own_model(
    house: House, updater: ItemProcessor
) -> None:
    (image_id,) = _ingest(house, 1)
    house.reindex()
    wanted = {name: house.index.get_embedding(name, image_id) for name in (A, B)}
    for name in (A, B):
        _age(house, name, image_id)
    assert _run(house, updater, image_id)[0].status is ItemStatus.INGESTED
    for name in (A, B):
        assert np.allclose(house.index.get_embedding(name, image_id), wanted[name], atol=1e-6)
        assert house.index.get(name, [image_id])[image_id].pixels_version == PIXELS_VERSION


def test_a_photo_without_a_date_gets_that_of_its_file(house: House, updater: ItemProcessor) -> None:
    stated, cleared, bare = _ingest_dated(house, 3)
    for image_id, date in ((stated, STATED), (cleared, None)):
        record = house.index.get(A, [image_id])[image_id]
        said = replace(SAID, taken_at=date, taken_at_source=TakenAtSource.STATED)
        house.index.replace_records(A, [replace(record, metadata=said)])
    _run(house, updater, stated, cleared, bare)
    found = house.index.get(A, [stated, cleared, bare])
    assert (found[stated].taken_at, found[stated].taken_at_source) == (STATED, "stated")
    assert (found[cleared].taken_at, found[cleared].taken_at_source) == (None, "stated")
    assert (found[bare].taken_at, found[bare].taken_at_source) == (TAKEN, "exif")
    assert found[bare].taken_at_precision == "local"


def test_a_date_that_may_have_been_cleared_without_a_trace_stays_away(
    house: House, updater: ItemProcessor
) -> None:
    (image_id,) = _ingest_dated(house, 1)
    house.services.images.amend(image_id, {"status": "found"})
    _run(house, updater, image_id)
    record = house.index.get(A, [image_id])[image_id]
    assert (record.taken_at, record.pixels_version) == (None, PIXELS_VERSION)


def test_dates_are_left_alone_by_a_job_without_them(house: House, updater: ItemProcessor) -> None:
    (image_id,) = _ingest_dated(house, 1)
    _run(house, updater, image_id, exif_dates=False)
    assert house.index.get(A, [image_id])[image_id].taken_at is None


def test_a_change_that_somebody_makes_meanwhile_stays(house: House, updater: ItemProcessor) -> None:
    (image_id,) = _ingest(house, 1)
    _age(house, A, image_id)

    def adopt(name: str, _: str) -> None:
        if name == "replace_embeddings":
            house.index.on_call = lambda *_: None
            record = house.index.get(A, [image_id])[image_id]
            adopted = replace(record.metadata, status="adopted")
            house.index.replace_records(A, [replace(record, metadata=adopted)])

    house.index.on_call = adopt
    _run(house, updater, image_id)
    after = house.index.get(A, [image_id])[image_id]
    assert (after.metadata.status, after.pixels_version) == ("adopted", PIXELS_VERSION)


def test_a_photo_that_is_deleted_meanwhile_stays_deleted(
    house: House, updater: ItemProcessor
) -> None:
    (image_id,) = _ingest(house, 1)
    _age(house, A, image_id)

    def delete(name: str, _: str) -> None:
        if name == "replace_embeddings":
            house.index.on_call = lambda *_: None
            house.index.delete(A, [image_id])
            for key_of in (object_keys.original, object_keys.display, object_keys.thumbnail):
                house.store.delete(key_of(image_id))

    house.index.on_call = delete
    assert _run(house, updater, image_id)[0].status is ItemStatus.DUPLICATE
    assert house.count(A) == 0
    assert not list(house.store.list_keys("display/"))


def test_an_original_that_cannot_be_decoded_leaves_the_photo_as_it_was(
    house: House, updater: ItemProcessor
) -> None:
    (image_id,) = _ingest(house, 1)
    _age(house, A, image_id)
    before = house.index.get(A, [image_id])
    house.store.put(object_keys.original(image_id), b"no picture")
    (outcome,) = _run(house, updater, image_id)
    assert outcome.status is ItemStatus.FAILED
    assert "stays as it was" in str(outcome.reason)
    assert house.index.get(A, [image_id]) == before


def test_a_photo_that_a_model_always_fails_on_fails_alone(
    house: House, updater: ItemProcessor
) -> None:
    ids, failures = _ingest(house), Counter[str]()
    house.poison(0)
    for image_id in ids:
        _age(house, A, image_id)
    for _ in range(2):
        with pytest.raises(Unavailable):
            _run(house, updater, *ids, failures=failures)
    failed, remade = _run(house, updater, *ids, failures=failures)
    assert (failed.status, failed.image_id) == (ItemStatus.FAILED, ids[0])
    assert (failed.stage, failed.attempts) == ("embed", 3)
    assert remade.status is ItemStatus.INGESTED
    assert _outdated(house) == [ids[0]]
