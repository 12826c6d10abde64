"""A reindex while everything else goes on: two collections that hold the same in the end."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from petsearch.app.services import utc_now
from petsearch.domain import (
    Embedding,
    Embeddings,
    ItemStatus,
    JobKind,
    JobState,
    NewJob,
    Outcome,
    Pixels,
    Priority,
    object_keys,
)
from petsearch.domain.calibration import Calibration, OffTopic, Spread, weights_hash_of
from petsearch.domain.errors import Conflict, NotFound, Overloaded, Unavailable
from petsearch.ingest.outcomes import DELETED
from petsearch.reindex import write_set
from petsearch.reindex.source import ReindexSpec
from petsearch.search import SearchOptions
from tests.contract.tiny_clip import DIM
from tests.services.house import NEW, OLD, A, B, Cut, House, photo, publish
from tests.waiting import in_thread, wait_until

PHOTOS = 9


def photos(first: int, count: int = PHOTOS) -> list:  # type: ignore[type-arg]
    return [photo(number) for number in range(first, first + count)]


def patch(house: House, image_id: str, value: str, *, key: str = "animal_id") -> None:
    """What `PATCH /v1/images/{id}` does."""
    house.services.images.amend(image_id, {key: value})


def delete(house: House, image_id: str) -> None:
    """What `DELETE /v1/images/{id}` does."""
    house.services.images.delete(image_id)


def assert_same(house: House) -> None:
    """Both collections hold the same images and say the same of them, each by its own model."""
    old, new = house.all_of(A), house.all_of(B)
    assert old.keys() == new.keys()
    for image_id, record in old.items():
        other = new[image_id]
        assert (record.model_id, other.model_id) == (OLD, NEW)
        assert replace(other, model_id=OLD, prediction=record.prediction) == record
    for collection, clip in ((A, house.clip), (B, house.other_clip)):
        axes = {tuple(np.abs(embedding_of(house, collection, i)) > 1e-6) for i in old}
        assert axes <= {tuple(np.abs(clip.answer(100.0)) > 1e-6)}


def embedding_of(house: House, collection: str, image_id: str) -> Embedding:
    found: Embedding = house.index.get_embedding(collection, image_id)
    return found


def test_a_reindex_copies_everything_and_leaves_the_alias_where_it_is(house: House) -> None:
    house.ingest(*photos(1))
    job = house.reindex()
    assert (job.state, job.kind) == (JobState.SUCCEEDED, JobKind.REINDEX)
    assert house.count(B) == PHOTOS
    assert house.catalogue.collection() == A
    assert_same(house)


def test_asked_again_it_finds_nothing_to_do(house: House) -> None:
    house.ingest(*photos(1))
    house.reindex()
    job = house.reindex()
    assert job.state is JobState.SUCCEEDED
    assert job.counts["ingested"] == 0  # type: ignore[index]
    assert_same(house)


def test_one_that_is_under_way_is_answered_and_not_begun_twice(house: House) -> None:
    house.ingest(*photos(1))
    assert house.changes.reindex(NEW).job_id == house.changes.reindex(NEW).job_id


def test_photos_that_come_in_during_the_reindex_go_to_both(house: House) -> None:
    house.ingest(*photos(1))
    house.changes.reindex(NEW)
    house.queue.readings, waiting = [], house.queue.readings
    house.ingest(*photos(101))
    assert house.count(B) == PHOTOS  # before a single one was copied
    house.queue.readings = waiting
    house.run()
    assert house.count(A) == 2 * PHOTOS
    assert_same(house)


@pytest.mark.parametrize(
    ("name", "collection"),
    [("get", A), ("get", B), ("insert", B), ("list_versions", A), ("list_versions", B)],
    ids=lambda value: {A: "old", B: "new"}.get(value, value),
)
def test_whatever_changes_while_an_image_is_copied_is_right_in_both(
    house: House, name: str, collection: str
) -> None:
    """At every such call of the reindex a delete, a change and an upload come in between."""
    ids = house.ingest(*photos(1))
    victims, changed, seen = list(ids), dict[str, str](), 0

    def meddle(called: str, where: str) -> None:
        nonlocal seen
        if (called, where) != (name, collection) or seen >= 6:
            return
        seen += 1
        house.index.on_call = lambda *_: None  # not into what is done here
        if seen % 2:
            delete(house, victims.pop())
        for image_id in victims:
            changed[image_id] = f"{seen}"
            patch(house, image_id, changed[image_id])
        upload_aside(house, 200 + seen)
        house.index.on_call = meddle

    house.changes.reindex(NEW)
    house.index.on_call = meddle
    house.run()
    house.index.on_call = lambda *_: None
    assert seen > 0
    records = house.all_of(A)
    assert len(records) == len(victims) + seen
    assert {i: records[i].metadata.animal_id for i in victims} == {i: changed[i] for i in victims}
    assert_same(house)


def upload_aside(house: House, seed: int) -> None:
    """Another worker ingests a photo to its end."""
    mine, house.queue.chunks = house.queue.chunks, []
    readings, house.queue.readings = house.queue.readings, []
    house.ingest(photo(seed))
    house.queue.chunks, house.queue.readings = mine, readings


def test_cut_off_at_any_call_to_the_index_it_is_finished_by_the_next_run(
    house: House,
) -> None:
    ids = house.ingest(*photos(1))
    calls, trip_at = 1000, 0
    while trip_at < calls:
        trip_at += 1
        house.index.delete(B, ids) if trip_at > 1 else None
        house.index.calls, house.index.trip_at = 0, trip_at
        try:
            house.reindex()
            calls = house.index.calls
        except Cut:
            house.index.trip_at = -1
            house.queue.chunks, house.queue.readings = [], []  # what it held went with it
            house.dispatcher.recover()
            house.changes.reindex(NEW)
            house.run()
            assert house.ledger.active() == []
        house.index.trip_at = -1
        assert house.ledger.newest(1)[0].state is JobState.SUCCEEDED
        assert_same(house)
    assert calls > 10


def test_copying_begins_when_whoever_wrote_to_the_old_collection_alone_has_ended(
    house: House,
) -> None:
    house.ingest(*photos(1))
    writer = house.write_set.store.begin_write("slow", 30)
    assert writer is not None
    job = house.changes.reindex(NEW)
    thread = in_thread(house.run)
    wait_until(lambda: not house.queue.readings)
    assert house.ledger.get(job.job_id).total == 0
    house.write_set.store.end_write("slow")
    thread.join(20)
    assert house.ledger.get(job.job_id).state is JobState.SUCCEEDED
    assert_same(house)


def test_an_image_that_only_the_new_collection_has_is_finished_or_deleted(
    house: House,
) -> None:
    half_ingested, half_deleted, *_ = house.ingest(*photos(1))
    house.reindex()
    house.index.delete(A, [half_ingested, half_deleted])
    house.store.delete(object_keys.original(half_deleted))
    house.reindex()
    assert half_ingested in house.all_of(A)
    assert half_deleted not in house.all_of(B)
    assert_same(house)


def test_an_original_that_is_gone_is_named_and_the_rest_is_copied(house: House) -> None:
    lost, *_ = house.ingest(*photos(1))
    house.store.delete(object_keys.original(lost))
    job = house.reindex()
    assert job.state is JobState.PARTLY_FAILED
    failed = house.jobs.outcomes(job.job_id, None, limit=100).outcomes
    assert any(o.image_id == lost and "original" in (o.reason or "") for o in failed)
    assert house.count(B) == PHOTOS - 1
    with pytest.raises(Conflict, match="count: 8 images, 9 in the current"):
        house.changes.promote(NEW)


def test_an_original_that_a_delete_took_is_no_failure(house: House) -> None:
    """One is deleted to its end, and one up to its tombstone, before their originals are read."""
    deleted, half_deleted, *_ = house.ingest(*photos(1))
    get = house.store.get

    def delete_and_get(key: str) -> bytes:
        if key == object_keys.original(deleted):
            delete(house, deleted)
        if key == object_keys.original(half_deleted):
            house.store.put(object_keys.tombstone(half_deleted), b"")
            house.store.delete(key)
        return get(key)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(house.store, "get", delete_and_get)
        job = house.reindex()
    assert job.state is JobState.SUCCEEDED
    ended = house.jobs.outcomes(job.job_id, None, limit=100).outcomes
    reasons = {o.image_id: o.reason for o in ended if o.status is ItemStatus.DUPLICATE}
    assert reasons[deleted] == reasons[half_deleted] == DELETED
    assert house.count(B) == PHOTOS - 2


def failures(house: House, job_id: str) -> list[Outcome]:
    return house.outcomes(job_id, ItemStatus.FAILED)


def test_a_photo_that_the_new_model_always_fails_on_fails_alone(house: House) -> None:
    ids = house.ingest(*photos(1))
    house.poison(3, house.other_clip)
    job = house.reindex()
    assert job.state is JobState.PARTLY_FAILED
    copied, compared = failures(house, job.job_id)
    assert (copied.image_id, copied.stage, copied.attempts) == (ids[2], "embed", 3)
    assert ids[2] in str(compared.reason)
    assert house.all_of(B).keys() == {*ids} - {ids[2]}
    house.other_clip.poison = None
    assert house.reindex().state is JobState.SUCCEEDED
    assert_same(house)


def test_an_upload_that_the_other_model_alone_fails_on_is_left_to_the_next_reindex(
    house: House,
) -> None:
    house.ingest(*photos(1))
    house.reindex()
    house.poison(50, house.other_clip)
    job_id = house.open_job(photo(50), photo(51))
    house.run()
    assert house.counts(job_id) == {"ingested": 2}
    assert len(house.all_of(A).keys() - house.all_of(B).keys()) == 1
    with pytest.raises(Conflict, match="count: 10 images, 11 in the current"):
        house.changes.promote(NEW)
    house.other_clip.poison = None
    assert house.reindex().state is JobState.SUCCEEDED
    assert_same(house)


def test_an_upload_waits_for_an_embedder_that_is_away_for_the_other_model(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.reindex()
    embed = house.embedder.embed_pixels
    # Before its last attempt it may be the embedder, and later, too, if that says so.
    busy = [Overloaded("busy", retry_after_s=0.5)] * 2
    outages = [*busy, *[Unavailable("no answer")] * 5]

    def be_away(pixels: Pixels, *, model_id: str, priority: Priority) -> Embeddings:
        if model_id == NEW and outages:
            raise outages.pop()
        return embed(pixels, model_id=model_id, priority=priority)

    monkeypatch.setattr(house.embedder, "embed_pixels", be_away)
    house.ingest(photo(1))
    assert (len(outages), house.count(B)) == (0, 1)
    assert_same(house)


def test_an_image_that_ends_every_worker_is_put_into_quarantine(house: House) -> None:
    ids = house.ingest(*photos(1))
    job_id = house.changes.reindex(NEW).job_id
    house.enumerator.work(house.queue.readings.pop())
    house.kill_workers(job_id, 0, times=3)
    house.run()
    (failed,) = failures(house, job_id)
    assert (failed.image_id, failed.stage, failed.attempts) == (sorted(ids)[0], "quarantine", 3)
    assert_same(house)  # by the comparison, which met it again and lived


def test_an_error_that_nobody_expects_fails_one_image(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, *others = house.ingest(*photos(1))
    get = house.store.get

    def fail_on_one(key: str) -> bytes:
        if key == object_keys.original(odd):
            raise RuntimeError("out of tuna")
        return get(key)

    monkeypatch.setattr(house.store, "get", fail_on_one)
    job = house.reindex()
    assert job.state is JobState.PARTLY_FAILED
    copied, _ = failures(house, job.job_id)
    assert (copied.image_id, copied.error, copied.reason) == (odd, "RuntimeError", "out of tuna")
    assert house.all_of(B).keys() == {*others}


def test_promoted_and_rolled_back_nothing_is_lost(house: House) -> None:
    ids = house.ingest(*photos(1))
    house.reindex()
    moved = house.changes.promote(NEW)
    assert (moved.model_id, moved.previous) == (NEW, OLD)
    assert {check.name for check in moved.checks} == {"measured", "recall", "breeds", "count"}
    assert house.catalogue.current().model.model_id == NEW
    after = house.ingest(*photos(301, 3))
    patch(house, ids[0], "seen")
    delete(house, ids[1])
    assert house.changes.rollback().model_id == OLD
    records = house.all_of(house.catalogue.collection())
    assert records.keys() >= set(after)
    assert records[ids[0]].metadata.animal_id == "seen"
    assert ids[1] not in records
    assert_same(house)
    with pytest.raises(Conflict, match="no model to go back"):
        house.changes.rollback()


def test_a_rollback_waits_for_a_change_that_is_being_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_set, "HOLD_S", 60.0)
    (image_id,) = house.ingest(photo(1))
    house.reindex()
    house.changes.promote(NEW)

    def roll_back_and_change() -> None:
        house.changes.rollback()
        house.services.images.amend(image_id, {"status": "found"})

    threads: list[Thread] = []

    def meet(name: str, collection: str) -> None:
        if (name, collection) == ("replace_records", A) and not threads:
            threads.append(in_thread(roll_back_and_change))
            held = "petsearch:write-set:hold"
            wait_until(lambda: bool(house.redis.exists(held)) or not threads[0].is_alive())

    house.index.on_call = meet
    patch(house, image_id, "rex")
    threads[0].join(20)
    assert house.catalogue.collection() == A
    for collection in (A, B):
        stated = house.all_of(collection)[image_id].metadata
        assert (stated.animal_id, stated.status) == ("rex", "found")


def test_a_rollback_is_possible_although_somebody_does_not_end_writing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_set, "HOLD_S", 0.2)
    house.ingest(photo(1))
    house.reindex()
    house.changes.promote(NEW)
    house.write_set.store.begin_write("stuck", 30)
    assert house.changes.rollback().model_id == OLD
    assert house.catalogue.collection() == A


def test_a_model_nobody_measured_does_not_pass_and_nothing_changes(
    house: House, tmp_path: Path
) -> None:
    house.ingest(*photos(1))
    publish(house.services, tmp_path, metrics=False)
    house.reindex()
    before = house.write_set.store.read()
    with pytest.raises(Conflict, match=r"gate does not pass.*neither calibration nor metrics"):
        house.changes.promote(NEW)
    assert house.catalogue.collection() == A
    assert house.write_set.store.read() == before
    publish(house.services, tmp_path, metrics=True)
    assert house.changes.promote(NEW).model_id == NEW


def test_a_calibration_that_was_published_after_the_gate_refused_passes_it_and_is_served(
    house: House, tmp_path: Path
) -> None:
    house.ingest(*photos(1))
    publish(house.services, tmp_path, metrics=False)
    house.reindex()
    with pytest.raises(Conflict, match=r"petsearch publish DIR --dataset"):
        house.changes.promote(NEW)
    fitted = Calibration(
        weights=weights_hash_of(NEW),
        spread=Spread(mean=(0.0,) * DIM, factors=((0.1,) * DIM,), rest=0.01),
        breed_text=None,
        species_text=None,
        photo=None,
        off_topic=OffTopic(1.0, 1.0, 1.0),
    )
    files = {"weights": tmp_path / "weights", "calibration.json": tmp_path / "calibration.json"}
    files["calibration.json"].write_text(json.dumps(asdict(fitted)))
    house.changes.registry.publish(NEW, files, utc_now())
    assert house.changes.promote(NEW).model_id == NEW
    house.changes.load_all()
    assert house.catalogue.current().model.calibration == fitted


def test_a_model_that_finds_breeds_worse_is_promoted_by_word_only(house: House) -> None:
    ids = house.ingest(*photos(1, 45))
    by_angle = sorted(house.index.read_points(A, ids), key=lambda point: point.embedding[0])
    for place, point in enumerate(by_angle):
        patch(house, point.record.image_id, ("siamese", "pug", "boxer")[place // 15], key="breed")
    house.reindex()
    points = house.index.read_points(B, ids)
    house.index.delete(B, ids)
    mixed = zip(points, points[::3] + points[1::3] + points[2::3], strict=True)
    house.index.insert(B, [replace(one, embedding=other.embedding) for one, other in mixed])
    before = house.write_set.store.read()
    with pytest.raises(Conflict, match=r"breeds: .* in the current collection.*--accept-worse"):
        house.changes.promote(NEW)
    assert (house.catalogue.collection(), house.write_set.store.read()) == (
        A,
        before,
    )
    moved = house.changes.promote(NEW, accept_worse=True)
    assert [check.name for check in moved.checks if not check.passed] == ["breeds"]
    assert house.catalogue.collection() == B


def test_before_its_reindex_has_ended_a_model_is_not_promoted(house: House) -> None:
    house.ingest(*photos(1))
    with pytest.raises(NotFound, match="petsearch reindex"):
        house.changes.promote(NEW)
    house.changes.reindex(NEW)
    with pytest.raises(Conflict, match="has not ended"):
        house.changes.promote(NEW)
    assert house.catalogue.collection() == A


def test_a_write_that_does_not_end_is_waited_for_and_then_said(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_set, "HOLD_S", 1.0)
    house.ingest(*photos(1))
    house.reindex()
    house.write_set.store.begin_write("stuck", 30)
    with pytest.raises(Conflict, match="writing for seconds"):
        house.changes.promote(NEW)
    assert house.catalogue.collection() == A
    house.write_set.store.end_write("stuck")
    assert house.changes.promote(NEW).model_id == NEW


def test_a_job_for_a_collection_with_a_longer_name_is_anothers(house: House) -> None:
    house.reindex()
    spec = ReindexSpec(collection=f"{B}-large", epoch=1).model_dump_json()
    house.ledger.create(NewJob("other", "test", utc_now(), spec=spec, kind=JobKind.REINDEX))
    house.changes.drop(NEW)
    assert not house.ledger.get("other").cancelled


def test_dropped_it_is_written_no_more_and_unloaded(house: House) -> None:
    house.ingest(*photos(1))
    job = house.changes.reindex(NEW)
    with pytest.raises(Conflict, match="serves"):
        house.changes.drop(OLD)
    house.changes.drop(NEW)
    house.run()
    assert house.ledger.get(job.job_id).state is JobState.CANCELLED
    house.ingest(*photos(401, 2))
    assert house.count(A) == PHOTOS + 2
    with pytest.raises(NotFound):
        house.count(B)
    assert [m.model_id for m in house.changes.states() if m.is_loaded] == [OLD]
    assert house.reindex().state is JobState.SUCCEEDED
    assert_same(house)


def test_a_chunk_whose_collection_was_dropped_under_it_goes_on_with_the_current_one(
    house: House,
) -> None:
    house.ingest(*photos(1))
    house.reindex()
    house.changes.promote(NEW)
    dropped = False

    def drop_before_insert(name: str, collection: str) -> None:
        nonlocal dropped
        if name == "insert" and collection == A and not dropped:
            dropped = True
            house.index.on_call = lambda *_: None
            # Not by the front door, which waits for this very writer.
            house.write_set.store.change(add=[], remove=[A])
            house.index.delete_collection(A)

    house.index.on_call = drop_before_insert
    (new,) = house.ingest(photo(500))
    assert dropped
    assert new in house.all_of(B)
    assert house.count(B) == PHOTOS + 1


def test_a_model_that_the_embedder_lost_is_loaded_again(house: House) -> None:
    house.ingest(*photos(1))
    house.reindex()
    for bring_back in (lambda: house.ingest(photo(600)), house.changes.load_all):
        house.embedder.unload(NEW)
        bring_back()
        assert NEW in {model.model_id for model in house.embedder.models()}
    assert house.count(A) == PHOTOS + 1
    assert_same(house)


def test_a_search_whose_collection_goes_away_is_answered_by_the_next_one(
    house: House,
) -> None:
    ids = house.ingest(*photos(1))
    house.reindex()

    def change_under_it(name: str, collection: str) -> None:
        if (name, collection) == ("search", A):
            house.index.on_call = lambda *_: None
            house.changes.promote(NEW)
            house.index.delete_collection(A)

    searcher = house.services.search
    assert searcher.by_text("a pet", SearchOptions(limit=20)).model_id == OLD
    house.index.on_call = change_under_it
    answer = searcher.by_text("a pet", SearchOptions(limit=20))
    assert answer.model_id == NEW
    assert {hit.record.image_id for hit in answer.hits} == set(ids)
    assert {hit.record.model_id for hit in answer.hits} == {NEW}


def test_a_search_that_does_not_know_of_a_promotion_yet_is_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = house.ingest(*photos(1))
    house.reindex()
    house.changes.promote(NEW)
    house.index.delete_collection(A)
    # As in another process, which asked for the alias within the last second.
    monkeypatch.setattr(house.index, "recent", lambda: A, raising=False)
    for _ in range(2):
        answer = house.services.search.by_text("a pet", SearchOptions(limit=20))
        assert answer.model_id == NEW
        assert {hit.record.image_id for hit in answer.hits} == set(ids)
        if OLD in {model.model_id for model in house.embedder.models()}:
            house.embedder.unload(OLD)


def test_every_model_is_listed_with_where_it_stands(house: House) -> None:
    house.ingest(*photos(1))
    listed = {state.model_id: state for state in house.changes.states()}
    assert (listed[OLD].is_current, listed[OLD].images, listed[OLD].is_published) == (
        True,
        PHOTOS,
        False,
    )
    assert (listed[NEW].is_loaded, listed[NEW].images, listed[NEW].is_published) == (
        False,
        None,
        True,
    )
    house.reindex()
    house.changes.promote(NEW)
    first, second = house.changes.states()
    assert (first.model_id, first.is_current, first.images) == (NEW, True, PHOTOS)
    assert (second.model_id, second.is_previous, second.is_loaded) == (OLD, True, True)
