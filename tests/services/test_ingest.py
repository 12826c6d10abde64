"""Ingest of a chunk over real parts: Qdrant Edge, files, Redis and a tiny CLIP."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from petsearch.adapters.redis import RedisLedger
from petsearch.app.services import utc_now
from petsearch.catalogue import delete_images
from petsearch.domain import (
    ImageMetadata,
    ItemStatus,
    JobOptions,
    JobState,
    OnDuplicate,
    Point,
    image_id_of,
    object_keys,
    sha256_of,
)
from petsearch.domain.errors import Conflict, StorageFull, Unavailable
from petsearch.ingest.outcomes import DELETED
from petsearch.ingest.prepare import LARGE_BYTES
from petsearch.jobs import CircuitBreaker, KnownImage, Upload
from petsearch.maintenance.reingest import ImageJob
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.ports import CallKey, IngestObserver
from tests import pictures
from tests.services.house import House, photo
from tests.waiting import in_thread, wait_until


class LedgerThatDoesNotCount(RedisLedger):
    """The real ledger, until a chunk is to be counted."""

    def account_chunk(self, *_: Any, **__: Any) -> bool:
        """See `JobLedger.account_chunk`."""
        raise Unavailable("cut off")


def test_every_photo_of_a_chunk_is_stored_and_indexed(house: House) -> None:
    job_id = house.open_job(*(photo(seed) for seed in range(10)))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 10}
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED
    assert house.count() == 10
    image_id = house.record(pictures.jpeg(3)).image_id
    assert house.store.get(object_keys.original(image_id)) == pictures.jpeg(3)
    for key in (object_keys.display(image_id), object_keys.thumbnail(image_id)):
        assert house.store.get(key).startswith(b"\xff\xd8")
    assert list(house.store.list_keys("staging/")) == []


def test_a_redelivered_chunk_is_counted_once_and_embeds_nothing(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.deliver()
    calls = len(house.clip.calls)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}
    assert len(house.clip.calls) == calls


def test_a_chunk_cut_off_before_it_was_counted_counts_its_photos_as_ingested(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    _cut_off_before_counting(house)
    assert house.count() == 2
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_the_same_photo_twice_in_a_chunk_and_once_more_later(house: House) -> None:
    job_id = house.open_job(photo(1), photo(1), photo(2))
    later = house.open_job(photo(1, animal_id="A-17"), photo(1, breed="Maine_Coon"))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2, "duplicate": 1}
    assert house.counts(later) == {"duplicate": 2}
    assert house.count() == 2
    record = house.record(pictures.jpeg(1))
    assert record.metadata.animal_id == "A-17", "a repeat fills what was not said before"
    assert (record.breed, record.species) == ("maine coon", "cat")
    assert len(record.sources) == 4, "every item that brought it is remembered"
    assert record.first_seen.job_id == job_id


def test_a_photo_that_comes_twice_in_a_chunk_is_embedded_once(house: House) -> None:
    """Also if a batch lies between the two."""
    house.open_job(*(photo(seed) for seed in (1, 2, 3, 4, 5, 1)))
    house.deliver()
    assert sum(rows for kind, rows in house.clip.calls if kind == "pixels") == 5


def test_a_repeat_does_not_change_what_was_said(house: House) -> None:
    house.open_job(photo(1, breed="birman"))
    house.open_job(photo(1, breed="pug"))
    house.deliver()
    assert house.record(pictures.jpeg(1)).breed == "birman"


def test_bad_files_are_refused_with_a_reason_and_the_rest_goes_in(house: House) -> None:
    broken = pictures.jpeg(5)[:1000]
    job_id = house.open_job(
        photo(1),
        Upload(b"", ImageMetadata(filename="empty.jpg")),
        Upload(pictures.HTML, ImageMetadata(filename="page.jpg")),
        Upload(broken, ImageMetadata(filename="broken.jpg")),
        Upload(broken, ImageMetadata(filename="broken again.jpg")),
        Upload(b"", ImageMetadata(filename="huge.jpg"), refusal="The file has 60 MB."),
        photo(2),
    )
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2, "refused": 5}
    assert house.jobs.get(job_id).state is JobState.PARTLY_FAILED
    reasons = {o.filename: o.reason or "" for o in house.outcomes(job_id, ItemStatus.REFUSED)}
    assert "empty" in reasons["empty.jpg"]
    assert "not a picture" in reasons["page.jpg"]
    assert "rows are whole" in reasons["broken.jpg"]
    assert "same file" in reasons["broken again.jpg"]
    assert reasons["huge.jpg"] == "The file has 60 MB."
    assert list(house.store.list_keys("staging/")) == []


def test_what_is_known_is_accounted_without_its_bytes(house: House) -> None:
    house.open_job(photo(1))
    house.deliver()
    job_id = house.jobs.open("test").job_id
    wanted = [
        KnownImage(sha256_of(pictures.jpeg(seed)), ImageMetadata(filename=f"{seed}.jpg"))
        for seed in (1, 2)
    ]
    assert house.jobs.add_known(job_id, wanted) == [1]
    house.jobs.seal(job_id)
    house.deliver()
    assert house.counts(job_id) == {"duplicate": 1}


def test_a_large_file_is_decoded_from_where_it_lies(house: House) -> None:
    large = pictures.encoded(pictures.noise(2400, 1400), "BMP")
    assert len(large) > LARGE_BYTES
    job_id = house.open_job(Upload(large, ImageMetadata(filename="large.bmp")), photo(1))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}
    record = house.record(large)
    assert (record.width, record.height, record.size_bytes) == (2400, 1400, len(large))
    assert house.store.get(object_keys.original(record.image_id)) == large
    assert list(house.store.list_keys("staging/")) == []


def test_photos_without_labels_get_a_prediction(house: House) -> None:
    house.open_job(photo(1), photo(2, breed="pug"))
    house.deliver()
    guessed, told = house.record(pictures.jpeg(1)), house.record(pictures.jpeg(2))
    assert guessed.breed_source == "predicted"
    assert guessed.prediction is not None
    assert 0.5 <= guessed.prediction.confidence <= 1.0
    assert (told.breed, told.species, told.breed_source) == ("pug", "dog", "label")


def test_an_embedder_that_is_down_is_waited_for_and_the_job_says_why(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.clip.failure = RuntimeError("out of tuna")
    worker = in_thread(house.deliver)

    def says_why() -> bool:
        job = house.jobs.get(job_id)
        return job.state is JobState.PAUSED and "out of tuna" in (job.reason or "")

    wait_until(says_why)
    house.clip.failure = None
    worker.join()
    assert house.counts(job_id) == {"ingested": 2}
    assert (house.jobs.get(job_id).state, house.jobs.get(job_id).reason) == ("succeeded", None)


def test_a_worker_that_is_to_stop_hands_its_chunk_back(house: House) -> None:
    job_id = house.open_job(photo(1))
    house.clip.failure = RuntimeError("out of tuna")
    worker = in_thread(house.deliver)
    wait_until(lambda: house.jobs.get(job_id).reason is not None)
    house.runtime.stopping.set()
    worker.join()
    house.runtime.stopping.clear()
    house.clip.failure = None
    house.queue.chunks.clear()
    house.dispatcher.dispatch(job_id)
    assert house.queue.chunks == [(job_id, 0)]
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1}


def test_a_photo_the_embedder_always_fails_on_fails_alone(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2), photo(3))
    picture = decode.decode(pictures.jpeg(2), ImageLimits()).picture
    house.clip.poison = preprocessing.to_pixels(picture, house.clip.info.pixel_spec)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2, "failed": 1}
    (outcome,) = house.outcomes(job_id, ItemStatus.FAILED)
    assert (outcome.filename, outcome.stage, outcome.attempts) == ("2.jpg", "embed", 3)


def test_an_item_that_ends_its_worker_twice_is_tried_once_more(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.kill_workers(job_id, 1, times=2)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_an_item_that_ends_its_worker_three_times_is_put_into_quarantine(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.kill_workers(job_id, 1, times=3)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1, "failed": 1}
    (outcome,) = house.outcomes(job_id, ItemStatus.FAILED)
    assert (outcome.filename, outcome.stage, outcome.error) == ("2.jpg", "quarantine", "WorkerLost")
    assert outcome.attempts == 3
    house.jobs.retry(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}, "its bytes were kept"
    assert [o.status for o in house.outcomes(job_id)] == [ItemStatus.INGESTED] * 2
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED


def test_an_upload_that_fails_leaves_no_open_job(house: House) -> None:
    def cut_off() -> Iterator[Upload]:
        yield photo(1)
        raise StorageFull("The disk is full.")

    with pytest.raises(StorageFull):
        house.jobs.take_in("upload", cut_off(), 2, JobOptions())
    (job,) = house.jobs.newest(10)
    assert (job.state, job.total) == (JobState.CANCELLED, 0)
    assert house.queue.discards == [job.job_id], "the bytes that were staged are deleted"


def test_only_a_few_chunks_of_a_job_are_in_the_queue(house: House) -> None:
    job_id = house.jobs.open("test").job_id
    for seed in range(6):
        house.jobs.add_photos(job_id, [photo(seed)], 1)
    assert len(house.queue.chunks) == 4
    house.worker.work(job_id, 0)
    assert len(house.queue.chunks) == 5, "one ended, the next one follows"


def test_a_paused_job_stands_still_and_goes_on(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    assert house.jobs.pause(job_id).state is JobState.PAUSED
    house.deliver()
    assert house.counts(job_id) == {}
    house.queue.chunks.clear()
    house.jobs.resume(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_a_cancelled_job_ends_and_its_staged_photos_go(house: House) -> None:
    job_id = house.jobs.open("test").job_id
    for seed in (1, 2):
        house.jobs.add_photos(job_id, [photo(seed)], 1)
    house.worker.work(job_id, 0)
    assert house.jobs.cancel(job_id).state is JobState.CANCELLED
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1}
    with pytest.raises(Conflict, match="no more"):
        house.jobs.add_photos(job_id, [photo(3)], 1)
    assert house.queue.discards == [job_id]
    house.jobs.discard(job_id)
    assert list(house.store.list_keys("staging/")) == []
    assert house.count() == 1


def test_what_a_job_left_is_deleted_when_the_store_is_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaker = CircuitBreaker(
        lambda: None, stopping=house.runtime.stopping, observer=IngestObserver(), jitter=lambda: 0.0
    )
    cleanup = replace(house.runtime.cleanup, breaker=breaker)
    job_id = house.jobs.open("test").job_id
    house.jobs.add_photos(job_id, [photo(1), photo(2)], 2)
    house.jobs.cancel(job_id)
    house.queue.discards.clear()
    delete, failing = house.store.delete, iter([False, True, False, True])

    def fail_in_between(key: str) -> None:
        if next(failing, False):
            raise Unavailable("The object store does not answer.")
        delete(key)

    monkeypatch.setattr(house.store, "delete", fail_in_between)
    cleanup.work(job_id)
    assert list(house.store.list_keys("staging/")) == []
    assert house.queue.discards == []
    house.runtime.stopping.set()
    cleanup.work(job_id)
    assert house.queue.discards == [job_id], "whoever stops leaves it to another"


def test_a_deleted_job_leaves_its_images_only(house: House) -> None:
    job_id = house.open_job(photo(1))
    with pytest.raises(Conflict, match="cancel it first"):
        house.jobs.delete(job_id)
    house.deliver()
    house.jobs.delete(job_id)
    house.jobs.discard(job_id)
    assert list(house.store.list_keys("jobs/")) == []
    assert house.count() == 1


def test_a_job_that_is_being_cancelled_cannot_be_deleted_yet(house: House) -> None:
    job_id = house.open_job(photo(1))
    house.ledger.claim_chunk(job_id, 0, "me", 60)
    house.jobs.cancel(job_id)
    with pytest.raises(Conflict, match="was cancelled, and its workers have not let go"):
        house.jobs.delete(job_id)
    house.ledger.hand_back_chunk(job_id, 0, "me", utc_now())
    house.jobs.delete(job_id)


def test_a_repeated_upload_with_the_same_key_adds_nothing(house: House) -> None:
    job_id = house.jobs.open("test").job_id
    for _ in range(2):
        house.jobs.add_photos(job_id, [photo(1)], 1, call=CallKey("first", "1"))
    house.jobs.add_photos(job_id, [photo(2)], 1, call=CallKey("second", "2"))
    house.jobs.seal(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_a_repeated_question_counts_what_it_counted_before(house: House) -> None:
    house.open_job(photo(1))
    house.deliver()
    job_id = house.jobs.open("test").job_id
    wanted = [
        KnownImage(sha256_of(pictures.jpeg(seed)), ImageMetadata(filename=f"{seed}.jpg"))
        for seed in (1, 2)
    ]
    call = CallKey("first", "1 and 2")
    assert house.jobs.add_known(job_id, wanted, call=call) == [1]
    house.open_job(photo(2))
    house.deliver()
    assert house.jobs.add_known(job_id, wanted, call=call) == [1], "its upload is still expected"
    assert house.jobs.get(job_id).total == 1


def test_keep_leaves_a_record_and_replace_says_it_anew(house: House) -> None:
    house.open_job(photo(1, breed="birman"))
    house.open_job(photo(1, breed="pug"), on_duplicate=OnDuplicate.KEEP)
    house.deliver()
    assert (house.record(pictures.jpeg(1)).breed, len(house.record(pictures.jpeg(1)).sources)) == (
        "birman",
        1,
    )
    house.open_job(photo(1, breed="pug"), on_duplicate=OnDuplicate.REPLACE)
    house.deliver()
    record = house.record(pictures.jpeg(1))
    assert (record.breed, record.species, len(record.sources)) == ("pug", "dog", 2)


def test_a_model_that_is_not_loaded_is_waited_for(house: House) -> None:
    job_id = house.open_job(photo(1))
    loaded = house.catalogue.current().collection
    house.index.create_collection("pets-another", 4)
    house.index.point_alias_to("pets-another")
    worker = in_thread(house.deliver)
    wait_until(lambda: "another" in (house.jobs.get(job_id).reason or ""))
    house.index.point_alias_to(loaded)
    worker.join()
    assert house.counts(job_id) == {"ingested": 1}


def test_a_chunk_whose_list_is_gone_fails_its_items_until_it_is_there_again(house: House) -> None:
    house.ingest(photo(3))
    job_id = house.open_job(photo(1), photo(2))
    key = object_keys.chunk(job_id, 0)
    kept = house.store.get(key)
    house.store.delete(key)
    house.run()
    assert house.counts(job_id) == {"failed": 2}
    assert house.jobs.get(job_id).state is JobState.FAILED
    with pytest.raises(Conflict, match="No item"):
        house.jobs.retry(job_id)
    house.store.put(key, kept)
    house.jobs.retry(job_id)
    house.run()
    assert house.counts(job_id) == {"ingested": 2}
    with pytest.raises(Conflict, match="No item"):
        house.jobs.retry(job_id)


def test_a_chunk_waits_for_the_store_that_its_ledger_belongs_to(house: House) -> None:
    """As where another disk is mounted, or the bucket was made anew."""
    job_id = house.open_job(photo(1))
    key = object_keys.chunk(job_id, 0)
    kept = house.store.get(key)
    house.store.delete(key)
    working = in_thread(house.deliver)
    wait_until(lambda: "no job at all" in (house.jobs.get(job_id).reason or ""))
    house.store.put(key, kept)
    working.join()
    assert house.counts(job_id) == {"ingested": 1}


def _cut_off_before_counting(house: House) -> None:
    """What a crash leaves after the upsert: everything is there but the accounting."""
    job_id, chunk_no = house.queue.chunks[-1]
    cut_off = replace(house.worker.runner, ledger=LedgerThatDoesNotCount(house.redis))
    with pytest.raises(Unavailable):
        cut_off.run(house.jobs.get(job_id), chunk_no)


def test_a_repeat_of_a_chunk_that_was_cut_off_is_not_merged_again(
    house: House,
) -> None:
    house.open_job(photo(1))
    house.deliver()
    job_id = house.open_job(photo(1, tags=("shy",)))
    _cut_off_before_counting(house)
    house.store.delete(object_keys.outcomes(job_id, 0))
    merged = house.record(pictures.jpeg(1))
    assert merged.metadata.tags == ("shy",)
    untagged = replace(merged, metadata=replace(merged.metadata, tags=()))
    house.writer.replace_everywhere(house.catalogue.collection(), [(merged, untagged)])
    house.deliver()
    assert house.counts(job_id) == {"duplicate": 1}
    assert house.record(pictures.jpeg(1)) == untagged


def _delete(house: House, image_id: str) -> None:
    delete_images(house.writer, house.store, house.catalogue.collection(), [image_id])


def test_a_photo_that_is_being_deleted_as_its_chunk_comes_again_is_no_failure(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = house.open_job(photo(1), photo(2))
    _cut_off_before_counting(house)
    house.store.delete(object_keys.outcomes(job_id, 0))
    deleted = image_id_of(sha256_of(pictures.jpeg(1)))
    monkeypatch.setattr(house.store, "delete", _up_to_the_tombstone(house.store.delete))
    with pytest.raises(Unavailable):
        _delete(house, deleted)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1, "duplicate": 1}
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED
    (outcome,) = house.outcomes(job_id, ItemStatus.DUPLICATE)
    assert (outcome.image_id, outcome.reason) == (deleted, DELETED)


def _up_to_the_tombstone(delete: Callable[[str], None]) -> Callable[[str], None]:
    def cut_off(key: str) -> None:
        if key.startswith(object_keys.TOMBSTONES):
            raise Unavailable("cut off")
        delete(key)

    return cut_off


def test_bytes_that_went_without_a_delete_are_to_be_uploaded_again(house: House) -> None:
    """Staged ones: nothing is left that would tell a deleted photo from a lost one."""
    job_id = house.open_job(photo(1))
    house.store.delete(object_keys.staging(job_id, 0))
    house.deliver()
    assert house.counts(job_id) == {"refused": 1}
    (outcome,) = house.outcomes(job_id)
    assert "upload it again" in (outcome.reason or "")


def test_a_repeat_whose_image_is_deleted_before_it_is_settled_is_no_failure(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.open_job(photo(1))
    house.deliver()
    deleted = house.record(pictures.jpeg(1)).image_id
    job_id = house.open_job(photo(1), photo(2), photo(2))
    insert = house.index.insert

    def delete_and_insert(collection: str, points: Sequence[Point]) -> None:
        _delete(house, deleted)
        insert(collection, points)

    monkeypatch.setattr(house.index, "insert", delete_and_insert)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1, "duplicate": 2}
    assert DELETED in {outcome.reason for outcome in house.outcomes(job_id)}


def test_what_was_known_and_is_deleted_before_its_turn_is_no_failure(house: House) -> None:
    house.open_job(photo(1))
    house.deliver()
    record = house.record(pictures.jpeg(1))
    job_id = house.jobs.open("test").job_id
    known = KnownImage(record.sha256, ImageMetadata(filename="1.jpg"))
    assert house.jobs.add_known(job_id, [known]) == []
    house.jobs.seal(job_id)
    _delete(house, record.image_id)
    house.deliver()
    assert house.counts(job_id) == {"duplicate": 1}
    assert [outcome.reason for outcome in house.outcomes(job_id)] == [DELETED]


def test_what_is_deleted_before_it_is_ingested_again_is_no_failure(house: House) -> None:
    """What reconcile found without a point: one is deleted before it is queued, one after that."""
    house.open_job(*(photo(seed) for seed in range(3)))
    house.deliver()
    kept, early, late = (house.record(pictures.jpeg(seed)).image_id for seed in range(3))
    house.index.delete(house.catalogue.collection(), [kept, early, late])
    again = ImageJob(
        store=house.store, ledger=house.ledger, dispatcher=house.dispatcher, clock=utc_now
    )
    _delete(house, early)
    again.add([early])
    assert again.job_id is None
    again.add([kept, early, late])
    again.seal()
    assert again.job_id is not None
    _delete(house, late)
    house.deliver()
    assert house.counts(again.job_id) == {"ingested": 1, "duplicate": 1}
    assert house.jobs.get(again.job_id).state is JobState.SUCCEEDED


def test_a_job_that_is_gone_is_dropped(house: House) -> None:
    house.worker.work("no-such-job", 0)
