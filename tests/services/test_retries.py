"""Failed photos are tried again, and no failure is hidden by it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis

from petsearch.adapters.redis import RedisLedger
from petsearch.domain import ImageMetadata, ItemStatus, JobState, object_keys
from petsearch.domain.errors import Conflict
from petsearch.jobs import Upload, chunk_files
from tests import pictures
from tests.services.house import House, photo


class LedgerWhereAnotherIsFirst(RedisLedger):
    """The real ledger, where somebody else does something just before a retry is reserved."""

    def __init__(self, client: redis.Redis, first: Callable[[], object]) -> None:
        super().__init__(client)
        self._first = first

    def reserve_retry(self, job_id: str) -> int:
        """See `JobLedger.reserve_retry`."""
        self._first()
        return super().reserve_retry(job_id)


def _job_with_a_failure(house: House) -> str:
    job_id = house.open_job(photo(1), photo(2))
    house.poison(2)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 1, "failed": 1}
    return job_id


def test_of_two_retries_at_once_one_is_refused_and_hides_no_failure(house: House) -> None:
    job_id = _job_with_a_failure(house)
    before = set(house.store.list_keys(object_keys.chunks_prefix(job_id)))
    ledger = LedgerWhereAnotherIsFirst(house.redis, lambda: house.jobs.retry(job_id))
    with pytest.raises(Conflict, match="not final"):
        replace(house.jobs, ledger=ledger).retry(job_id)
    after = set(house.store.list_keys(object_keys.chunks_prefix(job_id)))
    assert after - before == {object_keys.chunk(job_id, 1)}, "the chunk that lost is gone"
    house.deliver()
    assert [o.filename for o in house.outcomes(job_id, ItemStatus.FAILED)] == ["2.jpg"]
    house.clip.poison = None
    house.jobs.retry(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}
    assert house.outcomes(job_id, ItemStatus.FAILED) == []


def test_a_retry_that_another_has_done_meanwhile_counts_nothing(house: House) -> None:
    job_id = _job_with_a_failure(house)
    house.clip.poison = None

    def another() -> None:
        house.jobs.retry(job_id)
        house.deliver()

    with pytest.raises(Conflict, match="retried meanwhile"):
        replace(house.jobs, ledger=LedgerWhereAnotherIsFirst(house.redis, another)).retry(job_id)
    assert house.counts(job_id) == {"ingested": 2}
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED


def test_a_retry_that_was_cut_off_hides_no_failure(house: House) -> None:
    job_id = _job_with_a_failure(house)
    house.jobs.retry(job_id)
    house.deliver()
    # What a process leaves that is killed before the job is opened again.
    chunk_no = house.ledger.reserve_retry(job_id)
    items = chunk_files.read_chunk(house.store, job_id, 1)
    chunk_files.write_chunk(house.store, job_id, chunk_no, items)
    assert [o.filename for o in house.outcomes(job_id, ItemStatus.FAILED)] == ["2.jpg"]
    house.clip.poison = None
    house.jobs.retry(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_the_chunks_of_a_retry_are_read_once_for_all_problems(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, chunks = house.jobs.open("test").job_id, 8
    for _ in range(chunks):
        house.jobs.add_photos(job_id, [photo(2)], 1)
    house.jobs.seal(job_id)
    house.poison(2)
    house.run()
    house.jobs.retry(job_id)
    house.run()
    listed: list[str] = []
    list_keys = house.store.list_keys

    def count(prefix: str) -> Iterator[str]:
        listed.append(prefix)
        return list_keys(prefix)

    monkeypatch.setattr(house.store, "list_keys", count)
    page = house.jobs.outcomes(job_id, ItemStatus.FAILED, limit=100)
    assert len(page.outcomes) == chunks
    assert listed == [object_keys.chunks_prefix(job_id)]


def test_what_was_tried_again_is_known_after_the_ledger_forgot_the_chunks(house: House) -> None:
    job_id = _job_with_a_failure(house)
    house.clip.poison = None
    house.jobs.retry(job_id)
    house.deliver()
    house.redis.delete(f"petsearch:job:{job_id}:chunks")  # as a week later
    assert house.outcomes(job_id, ItemStatus.FAILED) == []


def test_an_item_that_is_tried_again_counts_once_among_those_with_warnings(house: House) -> None:
    # The pixels of photo 2, with a profile that is none.
    data = pictures.encoded(pictures.noise(120, 90, 2), quality=90, icc_profile=b"nonsense")
    job_id = house.open_job(photo(1), Upload(data, ImageMetadata(filename="odd.jpg")))
    house.poison(2)
    house.deliver()
    for poison in (house.clip.poison, None):
        assert house.jobs.get(job_id).warned == 1
        house.jobs.retry(job_id)
        assert house.jobs.get(job_id).warned == 0
        house.clip.poison = poison
        house.deliver()
    (outcome,) = house.jobs.outcomes(job_id, None, warned=True, limit=9).outcomes
    assert (outcome.filename, outcome.status) == ("odd.jpg", ItemStatus.INGESTED)
    assert house.jobs.get(job_id).warned == 1
