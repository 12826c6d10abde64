"""A photo that is uploaded again while a delete of it goes on, or after one that was cut off."""

import os
import threading
from datetime import timedelta

import pytest

from petsearch.app.services import utc_now
from petsearch.catalogue import delete_images
from petsearch.domain import JobState, image_id_of, object_keys, sha256_of
from petsearch.domain.errors import NotFound, Unavailable
from petsearch.ports import tombstones
from tests import pictures
from tests.services.house import B, House, photo
from tests.waiting import in_thread, wait_until

IMAGE_ID = image_id_of(sha256_of(pictures.jpeg(1)))
KEYS = (object_keys.original, object_keys.display, object_keys.thumbnail)


def is_whole(house: House) -> bool:
    return all(house.store.find(key_of(IMAGE_ID)) for key_of in KEYS)


def make_old(house: House, hours: float = 1) -> None:
    """The tombstone is of a delete that was cut off long ago, or by a clock that was ahead."""
    path = house.store.local_path(object_keys.tombstone(IMAGE_ID))
    assert path is not None
    then = (utc_now() - timedelta(hours=hours)).timestamp()
    os.utime(path, (then, then))


def cut_off_a_delete(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the point, as when the store does not answer any more."""

    def fail(_: str) -> None:
        raise Unavailable("The object store does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "delete", fail)
        with pytest.raises(Unavailable):
            house.services.images.delete(IMAGE_ID)
    assert house.count() == 0


@pytest.mark.parametrize("origin", ["upload", "file"])
def test_its_files_are_stored_when_the_delete_has_ended(
    house: House, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    house.ingest(photo(1))
    points_are_gone, goes_on = threading.Event(), threading.Event()
    delete = house.store.delete

    def pause_and_delete(key: str) -> None:
        if key == object_keys.display(IMAGE_ID):
            points_are_gone.set()
            assert goes_on.wait(60)
        delete(key)

    monkeypatch.setattr(house.store, "delete", pause_and_delete)
    deleting = in_thread(lambda: house.services.images.delete(IMAGE_ID))
    assert points_are_gone.wait(60)
    job_id = house.open_job(photo(1))
    if origin == "file":
        house.store.put(object_keys.chunk(job_id, 0), _chunk_of_a_file(house))
    ingesting = in_thread(house.deliver)
    wait_until(lambda: "being deleted" in (house.jobs.get(job_id).reason or ""))
    goes_on.set()
    deleting.join()
    ingesting.join()
    assert house.counts(job_id) == {"ingested": 1}
    assert house.count() == 1
    assert is_whole(house)
    assert tombstones.version(house.store, IMAGE_ID) is None


def _chunk_of_a_file(house: House) -> bytes:
    """Its item says where the photo is, and not what it is."""
    path = house.services.settings.import_dirs[0] / "1.jpg"
    path.write_bytes(pictures.jpeg(1))
    metadata = '{"filename": "1.jpg"}'
    item = f'{{"item_no": 0, "sha256": "", "metadata": {metadata}, "staging_key": null'
    return f'[{item}, "origin": "file:{path}"}}]'.encode()


@pytest.mark.parametrize("hours", [1, -24])
def test_what_a_delete_that_was_cut_off_has_left_does_not_block_it(
    house: House, monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    house.ingest(photo(1))
    cut_off_a_delete(house, monkeypatch)
    make_old(house, hours)
    house.ingest(photo(1))
    assert house.count() == 1
    assert is_whole(house)
    assert tombstones.version(house.store, IMAGE_ID) is None


def test_a_delete_that_was_cut_off_is_finished_by_another(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.ingest(photo(1))
    cut_off_a_delete(house, monkeypatch)
    house.services.images.delete(IMAGE_ID)
    assert not any(IMAGE_ID in key for key in house.store.list_keys(""))
    with pytest.raises(NotFound):
        house.services.images.delete(IMAGE_ID)


@pytest.mark.parametrize("version", ["", "2026-01-01T00:00:00+00:00"])
def test_a_reindex_copies_what_came_again_after_a_delete_that_was_cut_off(
    house: House, version: str
) -> None:
    """Earlier versions of petsearch left the tombstone where it was."""
    house.ingest(photo(1), photo(2))
    house.store.put(object_keys.tombstone(IMAGE_ID), version.encode())
    make_old(house)
    assert house.reindex().state is JobState.SUCCEEDED
    assert house.count(B) == 2


def test_a_reindex_leaves_out_what_a_delete_that_was_cut_off_has_to_delete(house: House) -> None:
    house.ingest(photo(1), photo(2))
    record = house.record(pictures.jpeg(1))
    tombstones.put(house.store, IMAGE_ID, record)
    make_old(house)
    house.reindex()
    assert house.count(B) == 1
    delete_images(house.writer, house.store, house.catalogue.collection(), [IMAGE_ID])
    assert house.count() == 1


def test_a_photo_that_nobody_deletes_costs_no_request_to_delete_anything(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = list[str]()
    monkeypatch.setattr(house.store, "delete", deleted.append)
    tombstones.wait_for_delete(house.store, IMAGE_ID, utc_now())
    assert deleted == []
