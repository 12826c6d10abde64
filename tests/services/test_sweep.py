"""What the sweep finds again, ends or forgets: lost chunks, idle jobs and old ones."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from petsearch.domain import JobState, NewJob, QueueName
from petsearch.jobs import Upload
from tests.services.house import House, photo
from tests.waiting import wait_until


def test_a_job_that_its_client_left_is_sealed_by_the_sweep(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petsearch.jobs.dispatch.IDLE_S", 0.0)
    job_id = house.jobs.open("test").job_id
    house.jobs.add_photos(job_id, [photo(1)], 1)
    house.dispatcher.sweep()
    house.deliver()
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED


def test_old_jobs_expire_and_their_photos_stay(house: House) -> None:
    ended = house.open_job(photo(1))
    paused = house.jobs.open("left alone").job_id
    house.run()
    house.jobs.pause(paused)
    house.jobs.add_photos(paused, [photo(2)], 1)
    kept_s = house.dispatcher.options.keep_jobs_s

    def sweep(after_s: float) -> None:
        later = house.services.clock() + timedelta(seconds=after_s)
        replace(house.dispatcher, clock=lambda: later).sweep()
        house.redis.delete("petsearch:once:sweep")

    sweep(kept_s - 60)
    assert {job.job_id for job in house.jobs.newest(9)} == {ended, paused}
    assert list(house.store.list_keys(f"jobs/{ended}/"))
    sweep(kept_s + 60)
    assert [job.state for job in house.jobs.newest(9)] == [JobState.CANCELLED]
    assert house.queue.discards == [ended, paused]
    house.jobs.discard(ended)
    house.jobs.discard(paused)
    assert not list(house.store.list_keys("staging/"))
    assert not list(house.store.list_keys(f"jobs/{ended}/"))
    sweep(2 * kept_s + 120)
    assert house.jobs.newest(9) == []
    assert house.redis.keys("petsearch:job:*") == []
    assert house.count() == 1


def test_photos_that_wait_for_workers_outlast_any_time_without_workers(house: House) -> None:
    job_id = house.open_job(photo(1))
    later = house.services.clock() + timedelta(seconds=2 * house.dispatcher.options.keep_jobs_s)
    replace(house.dispatcher, clock=lambda: later).sweep()
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1}


def test_an_id_without_a_job_is_forgotten(house: House) -> None:
    house.ledger.create(NewJob("gone", "test", house.services.clock()))
    house.redis.delete("petsearch:job:gone")
    later = house.services.clock() + timedelta(seconds=house.dispatcher.options.keep_jobs_s)
    replace(house.dispatcher, clock=lambda: later).sweep()
    assert not house.redis.exists("petsearch:jobs", "petsearch:jobs:active")


def test_photos_that_come_as_their_job_is_sealed_are_swept_up(house: House) -> None:
    job_id = house.jobs.open("test").job_id

    def uploads() -> Iterator[Upload]:
        yield photo(1)
        assert house.jobs.seal(job_id).finished_at is not None
        yield photo(2)

    job = house.jobs.add_photos(job_id, uploads(), 2)
    assert (job.state, job.finished_at, job.total) == (JobState.QUEUED, None, 2)
    house.ledger.claim_chunk(job_id, 0, "dead", 0.001)
    house.queue.chunks.clear()
    wait_until(lambda: house.dispatcher.sweep() == 1)
    house.deliver()
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED


def test_the_chunk_of_a_dead_worker_is_swept_up(house: House) -> None:
    job_id = house.open_job(photo(1))
    house.ledger.claim_chunk(job_id, 0, "dead", 0.001)
    house.queue.chunks.clear()
    wait_until(lambda: house.dispatcher.sweep() == 1)
    assert house.queue.chunks == [(job_id, 0)]
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1}


def test_a_chunk_whose_message_was_lost_is_swept_up(house: House) -> None:
    job_id = house.open_job(photo(1))
    house.queue.chunks.clear()
    wait_until(lambda: house.dispatcher.sweep() == 1)
    assert house.queue.chunks == [(job_id, 0)]


def test_a_chunk_that_was_added_and_not_queued_is_swept_up(house: House) -> None:
    job_id = house.jobs.open("upload").job_id
    chunk_no = house.ledger.reserve_chunk(job_id, 1).chunk_no
    house.ledger.add_chunk(job_id, chunk_no, 1)
    house.dispatcher.sweep()
    assert house.queue.chunks == [(job_id, chunk_no)]


def test_a_new_process_takes_up_what_the_last_one_left(house: House) -> None:
    first, second = house.open_job(photo(1)), house.open_job(photo(2))
    house.worker.work(first, 0)
    house.ledger.claim_chunk(second, 0, "dead", 3600)
    house.queue.chunks.clear()
    assert house.dispatcher.recover() == 1
    assert house.queue.chunks == [(second, 0)]


def test_a_sweep_asks_at_most_once_how_full_a_queue_is_that_is_filled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        house.ledger.end_leases(house.open_job(photo(number)))
    asked = list[QueueName]()

    def depth(queue: QueueName) -> int:
        asked.append(queue)
        return 3

    monkeypatch.setattr(house.queue, "depth", depth)
    assert house.dispatcher.sweep() == 0
    assert asked == [QueueName.BULK]


def test_what_is_requeued_of_one_job_hides_nothing_of_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all messages are lost, a sweep and a new process queue the work of every job."""
    jobs = [house.open_job(photo(number)) for number in range(3)]
    house.ledger.create(NewJob("source", "archive", house.services.clock(), spec="{}"))
    house.dispatcher.dispatch("source")
    monkeypatch.setattr(house.queue, "depth", lambda _: len(house.queue.chunks))
    for queue_again in (house.dispatcher.sweep, house.dispatcher.recover):
        for job_id in jobs:
            house.ledger.end_leases(job_id)
        house.queue.chunks.clear()
        house.queue.readings.clear()
        assert queue_again() == len(jobs)
        assert sorted(house.queue.chunks) == sorted((job_id, 0) for job_id in jobs)
        assert house.queue.readings == ["source"]


def test_a_new_process_asks_no_queue(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.open_job(photo(1))
    house.queue.chunks.clear()
    monkeypatch.setattr(house.queue, "depth", None)
    assert house.dispatcher.recover() == 1


def test_a_sweep_asks_no_queue_while_nothing_is_overdue(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.open_job(photo(1))
    monkeypatch.setattr(house.queue, "depth", None)
    assert house.dispatcher.sweep() == 0


def test_a_source_whose_reader_died_is_read_on_although_the_queue_is_filled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.ledger.create(NewJob("source", "archive", house.services.clock(), spec="{}"))
    house.dispatcher.dispatch("source")
    assert house.ledger.begin_enumeration("source", "dead", 60, 8) is not None
    house.ledger.end_leases("source")
    house.queue.readings.clear()
    monkeypatch.setattr(house.queue, "depth", lambda _: 5)
    house.dispatcher.sweep()
    assert house.queue.readings == ["source"]


@pytest.mark.parametrize("how", ["deleted", "cancelled"])
def test_a_cleanup_whose_message_was_lost_is_queued_again_until_it_is_done(
    house: House, how: str
) -> None:
    job_id = house.jobs.open("test").job_id
    house.jobs.add_photos(job_id, [photo(1)], 1)
    house.jobs.cancel(job_id)
    if how == "deleted":
        house.jobs.delete(job_id)
    for queue_again in (house.dispatcher.sweep, house.dispatcher.recover):
        house.queue.discards.clear()
        queue_again()
        assert house.queue.discards == [job_id]
    assert list(house.store.list_keys("staging/"))
    house.runtime.cleanup.work(job_id)
    assert not list(house.store.list_keys("staging/"))
    assert bool(list(house.store.list_keys("jobs/"))) is (how == "cancelled")
    house.queue.discards.clear()
    house.dispatcher.recover()
    assert house.queue.discards == []


def test_a_cleanup_that_a_worker_is_at_is_not_queued_again(house: House) -> None:
    job_id = house.open_job(photo(1))
    house.jobs.cancel(job_id)
    house.queue.discards.clear()
    house.ledger.hold_discard(job_id, 60)
    house.dispatcher.sweep()
    assert house.queue.discards == []
    house.dispatcher.recover()
    assert house.queue.discards == [job_id], "no other process is there"
