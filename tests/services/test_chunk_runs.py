"""Runs of a chunk that something else comes between: deletes, other turns, deaths of workers."""

import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from petsearch.domain import ImageMetadata, ImageRecord, Item, ItemStatus, JobState, Outcome
from petsearch.domain.errors import Conflict, NotFound, Unavailable
from petsearch.jobs import chunk_files
from petsearch.ports import RecordChange
from tests import pictures
from tests.services.house import House, photo
from tests.waiting import in_thread, wait_until


def test_a_photo_that_is_deleted_while_it_comes_again_fails_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.open_job(photo(1), photo(2))
    house.deliver()
    victim = house.record(pictures.jpeg(1)).image_id
    replace_unchanged: Callable[..., set[str]] = house.index.replace_unchanged

    def delete_first(collection: str, changes: Sequence[RecordChange]) -> set[str]:
        house.index.delete(collection, [victim])
        return replace_unchanged(collection, changes)

    monkeypatch.setattr(house.index, "replace_unchanged", delete_first)
    job_id = house.open_job(photo(1, animal_id="A"), photo(2, animal_id="B"), photo(3))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1, "duplicate": 2}
    assert len(house.outcomes(job_id)) == 3
    assert house.record(pictures.jpeg(2)).metadata.animal_id == "B", "what is left is settled"
    assert house.count() == 2


def test_two_who_say_something_of_one_photo_at_once_are_both_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.open_job(photo(1))
    house.deliver()
    record = house.record(pictures.jpeg(1))
    replace_unchanged: Callable[..., set[str]] = house.index.replace_unchanged

    def be_overtaken(collection: str, changes: Sequence[RecordChange]) -> set[str]:
        monkeypatch.setattr(house.index, "replace_unchanged", replace_unchanged)
        assert not house.writer.replace_everywhere(collection, [(record, _is_lost(record))])
        return replace_unchanged(collection, changes)

    monkeypatch.setattr(house.index, "replace_unchanged", be_overtaken)
    job_id = house.open_job(photo(1, animal_id="A"))
    house.deliver()
    assert house.counts(job_id) == {"duplicate": 1}
    said = house.record(pictures.jpeg(1)).metadata
    assert (said.animal_id, said.status) == ("A", "lost")


def _is_lost(record: ImageRecord) -> ImageRecord:
    later = record.updated_at + timedelta(seconds=1)
    return replace(record, metadata=replace(record.metadata, status="lost"), updated_at=later)


def test_what_is_missing_elsewhere_is_no_missing_chunk(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = house.index.insert

    def fail_once(*_: object) -> None:
        monkeypatch.setattr(house.index, "insert", insert)
        raise NotFound("The collection was dropped.")

    monkeypatch.setattr(house.index, "insert", fail_once)
    job_id = house.open_job(photo(1), photo(2))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def _open_chunk_of_files(house: House, paths: Sequence[Path]) -> str:
    """A job of one chunk whose items are known by their origin only."""
    job_id = house.open_job(*(photo(number) for number in range(len(paths))))
    items = [
        Item(number, "", ImageMetadata(filename=path.name), None, origin=f"file:{path}")
        for number, path in enumerate(paths)
    ]
    chunk_files.write_chunk(house.store, job_id, 0, items)
    return job_id


def _after_a_batch() -> Callable[[], bool]:
    asked = iter([False, False])  # before the first one, and before the second
    return lambda: next(asked, True)


@pytest.mark.parametrize("known", [0, 12])
def test_a_chunk_that_is_handed_back_after_each_batch_comes_to_its_end(
    house: House, tmp_path: Path, known: int
) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(pictures.jpeg(number))
    if known:
        house.open_job(*(photo(number) for number in range(known)))
        house.deliver()
    job_id = _open_chunk_of_files(house, paths)
    job = house.jobs.get(job_id)
    runs = 1
    while not house.worker.runner.run(job, 0, should_stop=_after_a_batch()):
        runs += 1
        assert runs <= 3, "a batch of four is done in each run"
        assert house.outcomes(job_id) == [], "what is not whole is not listed"
    assert house.counts(job_id) == ({"duplicate": 12} if known else {"ingested": 12})
    assert [one.item_no for one in house.outcomes(job_id)] == list(range(12))
    assert list(house.store.list_keys(f"jobs/{job_id}/progress/")) == []


def test_a_repeat_waits_for_the_photo_that_a_later_run_brings(house: House) -> None:
    job_id = house.open_job(*(photo(number) for number in range(6)), photo(5))
    job = house.jobs.get(job_id)
    assert not house.worker.runner.run(job, 0, should_stop=_after_a_batch())
    assert house.worker.runner.run(job, 0)
    assert house.counts(job_id) == {"ingested": 6, "duplicate": 1}
    assert house.outcomes(job_id, ItemStatus.REFUSED) == []


def test_a_cancelled_job_whose_last_worker_died_is_discarded(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.ledger.claim_chunk(job_id, 0, "dead", 0.001)
    house.jobs.cancel(job_id)
    house.queue.discards.clear()

    def is_finished() -> bool:
        house.dispatcher.sweep()
        return house.jobs.get(job_id).finished_at is not None

    wait_until(is_finished)
    assert house.jobs.get(job_id).state is JobState.CANCELLED
    assert house.queue.discards == [job_id]


def test_a_chunk_is_in_hand_while_it_runs_and_not_while_it_waits_for_a_dependency(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, worker = house.index.insert, house.worker
    in_hand = {}

    def fail_once(*_: object) -> None:
        monkeypatch.setattr(house.index, "insert", insert)
        in_hand["running"] = list(worker.in_hand.moves())
        raise Unavailable("The index does not answer.")

    def wait(*_: object, **__: object) -> None:
        in_hand["waiting"] = list(worker.in_hand.moves())

    monkeypatch.setattr(house.index, "insert", fail_once)
    monkeypatch.setattr(worker.breaker, "wait", wait)
    job_id = house.open_job(photo(1))
    house.deliver()
    assert in_hand == {"running": [f"chunk 0 of {job_id}"], "waiting": []}
    assert house.counts(job_id) == {"ingested": 1}
    assert not worker.in_hand.moves()


@pytest.mark.parametrize("stop", ["cancel", "pause"])
def test_a_job_that_is_stopped_while_every_run_fails_is_let_go(
    house: House, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    """As when the embedder is down, or the collection of a reindex was dropped."""
    failed_runs = 0

    def fail(*_: object) -> None:
        nonlocal failed_runs
        failed_runs += 1
        if failed_runs == 3:
            {"cancel": house.jobs.cancel, "pause": house.jobs.pause}[stop](job_id)
        raise Conflict("The collection was dropped.")

    job_id = house.open_job(*(photo(number) for number in range(5)))
    with monkeypatch.context() as patched:
        patched.setattr(house.index, "get", fail)
        done = Outcome(0, "0.jpg", ItemStatus.INGESTED, image_id=None, reason=None)
        chunk_files.write_progress(house.store, job_id, 0, [done])
        house.deliver()
    if stop == "cancel":
        assert house.jobs.get(job_id).finished_at is not None
        assert house.counts(job_id) == {"ingested": 1}, "what an earlier run has done counts"
        assert house.queue.discards == [job_id]
        house.jobs.delete(job_id)
    else:
        house.jobs.resume(job_id)
        house.deliver()
        assert house.counts(job_id) == {"ingested": 5}


@pytest.mark.parametrize("in_its_place", ["nothing", "an empty folder", "what was written there"])
def test_photos_wait_for_the_disk_of_the_store_to_be_mounted_again(
    house: House, tmp_path: Path, in_its_place: str
) -> None:
    job_id = house.open_job(photo(1), photo(2))
    objects, away = tmp_path / "objects", tmp_path / "away"
    objects.rename(away)
    if in_its_place != "nothing":
        objects.mkdir()
    if in_its_place == "what was written there":
        (objects / "originals/00").mkdir(parents=True)
    working = in_thread(house.deliver)
    wait_until(lambda: "unmounted" in (house.jobs.get(job_id).reason or ""))
    for change in (
        lambda: house.store.put("originals/00/a", b"a"),
        lambda: house.store.put_stream("originals/00/a", io.BytesIO(b"a"), 1),
        lambda: house.store.delete("originals/00/a"),
        lambda: list(house.store.list_keys("")),
        house.store.ping,
    ):
        with pytest.raises(Unavailable):
            change()
    if in_its_place != "nothing":
        assert [path for path in objects.rglob("*") if path.is_file()] == []
        shutil.rmtree(objects)
    away.rename(objects)
    working.join()
    assert house.counts(job_id) == {"ingested": 2}
