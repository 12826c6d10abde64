"""What the job ledger promises, on a real Redis."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from petsearch.adapters.private_redis import PrivateRedis
from petsearch.adapters.redis_ledger import RedisLedger
from petsearch.errors import Conflict, NotFound, Unavailable
from petsearch.model import ItemStatus, JobState
from petsearch.ports import JobLedger
from tests.contract.real_servers import where_set

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
JOB = "job-1"


@pytest.fixture(scope="module")
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A redis-server of our own."""
    server = PrivateRedis(tmp_path_factory.mktemp("redis"))
    client = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
    yield client
    client.close()
    server.close()


@pytest.fixture(params=["private redis", *where_set("PETSEARCH_TEST_REDIS_URL", "redis server")])
def ledger(request: pytest.FixtureRequest) -> Iterator[JobLedger]:
    if request.param == "private redis":
        client = request.getfixturevalue("private_redis")
        client.flushall()
        yield RedisLedger(client)
        return
    url = os.environ["PETSEARCH_TEST_REDIS_URL"]
    client = redis.Redis.from_url(url, decode_responses=True)
    client.flushall()
    yield RedisLedger(client)
    client.close()


def _open(ledger: JobLedger, job_id: str = JOB, *, created_at: datetime = NOW) -> None:
    ledger.create(job_id, source="upload", created_at=created_at, expected=3)


def _add(ledger: JobLedger, count: int, job_id: str = JOB) -> int:
    slot = ledger.reserve_chunk(job_id, count)
    ledger.add_chunk(job_id, slot.chunk_no, count)
    return slot.chunk_no


def test_a_new_job_is_queued_and_empty(ledger: JobLedger) -> None:
    _open(ledger)
    job = ledger.get(JOB)
    assert (job.state, job.total, job.done, job.expected) == (JobState.QUEUED, 0, 0, 3)
    assert (job.source, job.created_at, job.sealed) == ("upload", NOW, False)


def test_a_job_that_does_not_exist_is_said(ledger: JobLedger) -> None:
    for call in (
        lambda: ledger.get("none"),
        lambda: ledger.reserve_chunk("none", 1),
        lambda: ledger.seal("none", NOW),
    ):
        with pytest.raises(NotFound):
            call()


def test_chunks_and_items_are_numbered_on(ledger: JobLedger) -> None:
    _open(ledger)
    first, second = ledger.reserve_chunk(JOB, 5), ledger.reserve_chunk(JOB, 2)
    assert (first.chunk_no, first.first_item_no) == (0, 0)
    assert (second.chunk_no, second.first_item_no) == (1, 5)
    assert ledger.get(JOB).total == 0, "a reserved chunk is no work yet"


def test_a_repeated_call_gets_the_slot_of_the_first(ledger: JobLedger) -> None:
    _open(ledger)
    first = ledger.reserve_chunk(JOB, 5, "call-1")
    assert ledger.reserve_chunk(JOB, 2, "call-2").chunk_no == 1
    assert ledger.reserve_chunk(JOB, 5, "call-1") == first
    assert not first.is_added
    ledger.add_chunk(JOB, first.chunk_no, 5)
    ledger.seal(JOB, NOW)
    assert ledger.reserve_chunk(JOB, 5, "call-1") == replace(first, is_added=True)
    with pytest.raises(Conflict):
        ledger.reserve_chunk(JOB, 5, "call-3")


def test_a_repeated_call_with_other_items_gets_another_slot_unless_it_counted(
    ledger: JobLedger,
) -> None:
    _open(ledger)
    first = ledger.reserve_chunk(JOB, 2, "call-1")
    second = ledger.reserve_chunk(JOB, 3, "call-1")
    assert second.chunk_no != first.chunk_no
    ledger.add_chunk(JOB, second.chunk_no, 3)
    assert ledger.reserve_chunk(JOB, 4, "call-1") == replace(second, is_added=True)


def test_adding_a_chunk_twice_counts_it_once(ledger: JobLedger) -> None:
    _open(ledger)
    slot = ledger.reserve_chunk(JOB, 4)
    for _ in range(2):
        ledger.add_chunk(JOB, slot.chunk_no, 4)
    assert ledger.get(JOB).total == 4


def test_a_redelivered_chunk_is_counted_once(ledger: JobLedger) -> None:
    _open(ledger)
    chunk = _add(ledger, 3)
    counts = {ItemStatus.INGESTED: 2, ItemStatus.REFUSED: 1}
    assert ledger.account_chunk(JOB, chunk, counts, NOW) is True
    assert ledger.account_chunk(JOB, chunk, counts, NOW) is False
    assert ledger.is_accounted(JOB, chunk)
    job = ledger.get(JOB)
    assert (job.done, job.counts[ItemStatus.INGESTED], job.counts[ItemStatus.REFUSED]) == (3, 2, 1)


def test_a_job_ends_when_it_is_sealed_and_all_is_accounted(ledger: JobLedger) -> None:
    _open(ledger)
    chunk = _add(ledger, 1)
    ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.get(JOB).state is JobState.RUNNING, "more may come"
    ledger.seal(JOB, LATER)
    job = ledger.get(JOB)
    assert (job.state, job.finished_at) == (JobState.SUCCEEDED, LATER)


def test_a_sealed_job_ends_with_its_last_chunk(ledger: JobLedger) -> None:
    _open(ledger)
    chunks = [_add(ledger, 1), _add(ledger, 1)]
    ledger.seal(JOB, NOW)
    ledger.account_chunk(JOB, chunks[0], {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.get(JOB).state is JobState.RUNNING
    ledger.account_chunk(JOB, chunks[1], {ItemStatus.REFUSED: 1}, LATER)
    job = ledger.get(JOB)
    assert (job.state, job.finished_at) == (JobState.PARTLY_FAILED, LATER)


def test_a_job_of_refusals_failed(ledger: JobLedger) -> None:
    _open(ledger)
    chunk = _add(ledger, 2)
    ledger.seal(JOB, NOW)
    ledger.account_chunk(JOB, chunk, {ItemStatus.REFUSED: 2}, NOW)
    assert ledger.get(JOB).state is JobState.FAILED


def test_a_sealed_job_takes_no_more(ledger: JobLedger) -> None:
    _open(ledger)
    ledger.seal(JOB, NOW)
    with pytest.raises(Conflict, match="no more"):
        ledger.reserve_chunk(JOB, 1)


def test_a_reason_pauses_and_progress_clears_it(ledger: JobLedger) -> None:
    _open(ledger)
    chunk = _add(ledger, 2)
    ledger.set_reason(JOB, "The embedder does not answer.")
    job = ledger.get(JOB)
    assert (job.state, job.reason) == (JobState.PAUSED, "The embedder does not answer.")
    ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 2}, NOW)
    assert ledger.get(JOB).reason is None


def test_unfinished_chunks_are_those_added_and_not_accounted(ledger: JobLedger) -> None:
    _open(ledger)
    done, left = _add(ledger, 1), _add(ledger, 1)
    ledger.reserve_chunk(JOB, 1)
    ledger.account_chunk(JOB, done, {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.unfinished_chunks() == [(JOB, left)]
    ledger.account_chunk(JOB, left, {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.unfinished_chunks() == []


def test_the_newest_jobs_come_first(ledger: JobLedger) -> None:
    _open(ledger, "old")
    _open(ledger, "new", created_at=LATER)
    assert [job.job_id for job in ledger.newest(5)] == ["new", "old"]
    assert [job.job_id for job in ledger.newest(1)] == ["new"]


def test_it_answers(ledger: JobLedger) -> None:
    ledger.ping()


def test_a_redis_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    client = redis.Redis(unix_socket_path=str(tmp_path / "none"), decode_responses=True)
    absent = RedisLedger(client)
    with pytest.raises(Unavailable, match="Redis"):
        absent.ping()
    with pytest.raises(Unavailable):
        absent.get(JOB)
    client.close()
