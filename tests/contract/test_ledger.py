"""What the job ledger promises, on a real Redis."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from petsearch.adapters.redis import RedisLedger
from petsearch.adapters.redis.client import without_retries
from petsearch.adapters.redis.job_keys import part_key
from petsearch.domain import (
    MOST_LEFT_OUT_NAMES,
    ItemStatus,
    JobState,
    LeftOut,
    LeftOutReason,
    NewJob,
    QueueName,
)
from petsearch.domain.errors import Conflict, InvalidInput, NotFound, Overloaded, Unavailable
from petsearch.ports import (
    CallKey,
    ChunkSlot,
    Claim,
    ClaimedChunk,
    Enumeration,
    OverdueWork,
    TakenChunks,
)
from tests.contract.real_servers import where_set
from tests.waiting import wait_until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
JOB = "job-1"


@pytest.fixture(params=["private redis", *where_set("PETSEARCH_TEST_REDIS_URL", "redis server")])
def ledger(request: pytest.FixtureRequest) -> Iterator[RedisLedger]:
    if request.param == "private redis":
        client = request.getfixturevalue("private_redis")
        yield RedisLedger(client)
        return
    url = os.environ["PETSEARCH_TEST_REDIS_URL"]
    client = redis.Redis.from_url(url, decode_responses=True)
    client.flushall()
    yield RedisLedger(client)
    client.close()


def _open(ledger: RedisLedger, job_id: str = JOB, *, created_at: datetime = NOW) -> None:
    ledger.create(NewJob(job_id, "upload", created_at, expected=3))


def _add(ledger: RedisLedger, count: int, job_id: str = JOB) -> int:
    slot = ledger.reserve_chunk(job_id, count)
    ledger.add_chunk(job_id, slot.chunk_no, count)
    return slot.chunk_no


def _queue(ledger: RedisLedger, count: int, patience_s: float = 60.0) -> int:
    chunk = _add(ledger, count)
    assert ledger.take_chunks(JOB, 100, patience_s).chunk_nos == [chunk]
    return chunk


def _wait_until_overdue(ledger: RedisLedger, chunk: int) -> None:
    deadline = time.monotonic() + 10
    while chunk not in (*_overdue(ledger, 60).lost, *_unclaimed(ledger)):
        assert time.monotonic() < deadline


def _unclaimed(ledger: RedisLedger) -> list[int]:
    return _overdue(ledger, 60).unclaimed


def _overdue(ledger: RedisLedger, long_wait_s: float) -> OverdueWork:
    (found,) = ledger.overdue_work([JOB], long_wait_s, 60)
    return found


def test_a_new_job_is_queued_and_empty(ledger: RedisLedger) -> None:
    _open(ledger)
    job = ledger.get(JOB)
    assert (job.state, job.total, job.done, job.expected) == (JobState.QUEUED, 0, 0, 3)
    assert (job.source, job.created_at, job.sealed) == ("upload", NOW, False)
    assert ledger.active() == [JOB]


def test_a_job_that_does_not_exist_is_said(ledger: RedisLedger) -> None:
    for call in (
        lambda: ledger.get("none"),
        lambda: ledger.reserve_chunk("none", 1),
        lambda: ledger.seal("none", NOW),
        lambda: ledger.pause("none"),
        lambda: ledger.reserve_retry("none"),
        lambda: ledger.reopen("none", {0: 1}),
    ):
        with pytest.raises(NotFound):
            call()
    assert ledger.add_chunk("none", 0, 1) is False
    assert ledger.is_stopped("none")
    assert ledger.claim_chunk("none", 0, "me", 60).claim is Claim.GONE


def test_what_is_left_out_is_counted_once_and_named(ledger: RedisLedger) -> None:
    def left_out(count: int) -> list[LeftOut]:
        return [LeftOut(f"folder/{n}.txt", LeftOutReason.NOT_A_PHOTO) for n in range(count)]

    _open(ledger)
    video = LeftOut("a/b.mov", LeftOutReason.VIDEO)
    assert ledger.add_chunk(JOB, 0, 1, cursor="1", left_out=[video, *left_out(2)])
    assert not ledger.add_chunk(JOB, 0, 1, cursor="1", left_out=left_out(2))
    ledger.seal(JOB, NOW, left_out(MOST_LEFT_OUT_NAMES))
    ledger.seal(JOB, NOW, left_out(5))
    job = ledger.get(JOB)
    assert job.left_out == {
        LeftOutReason.VIDEO: 1,
        LeftOutReason.NOT_A_PHOTO: 2 + MOST_LEFT_OUT_NAMES,
    }
    assert job.left_out_names[:2] == (video, left_out(1)[0])
    assert len(job.left_out_names) == MOST_LEFT_OUT_NAMES


def test_items_with_warnings_are_counted_with_their_chunk(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1)
    assert ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW, warned=1)
    assert not ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW, warned=1)
    assert ledger.get(JOB).warned == 1


def test_warnings_of_items_that_are_tried_again_are_taken_back(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 3)
    ledger.seal(JOB, NOW)
    ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1, ItemStatus.FAILED: 2}, NOW, warned=2)
    retry = ledger.reserve_retry(JOB)
    ledger.reopen(JOB, {retry: 2}, warned=1)
    assert ledger.get(JOB).warned == 1
    ledger.take_chunks(JOB, 1, 60)
    ledger.account_chunk(JOB, retry, {ItemStatus.INGESTED: 2}, NOW, warned=1)
    assert ledger.get(JOB).warned == 2


def test_chunks_and_items_are_numbered_on(ledger: RedisLedger) -> None:
    _open(ledger)
    first, second = ledger.reserve_chunk(JOB, 5), ledger.reserve_chunk(JOB, 2)
    assert (first.chunk_no, first.first_item_no) == (0, 0)
    assert (second.chunk_no, second.first_item_no) == (1, 5)
    assert ledger.get(JOB).total == 0, "a reserved chunk is no work yet"


def test_the_same_call_reserves_the_same_chunk(ledger: RedisLedger) -> None:
    _open(ledger)
    batch_0, batch_1 = CallKey("batch 0", "photos"), CallKey("batch 1", "photos")
    first = ledger.reserve_chunk(JOB, 5, call=batch_0)
    ledger.reserve_chunk(JOB, 1)
    assert ledger.reserve_chunk(JOB, 5, call=batch_0) == first
    assert ledger.reserve_chunk(JOB, 4, call=batch_0) != first, "of another size"
    slot = ledger.reserve_chunk(JOB, 2, call=batch_1)
    ledger.add_chunk(JOB, slot.chunk_no, 2)
    ledger.seal(JOB, NOW)
    for count in (2, 3):
        again = ledger.reserve_chunk(JOB, count, call=batch_1)
        assert again == replace(slot, is_added=True), "what counts already does not count again"
    with pytest.raises(InvalidInput):
        ledger.reserve_chunk(JOB, 2, call=replace(batch_1, digest="other photos"))


def test_adding_a_chunk_twice_counts_it_once(ledger: RedisLedger) -> None:
    _open(ledger)
    slot = ledger.reserve_chunk(JOB, 4)
    assert [ledger.add_chunk(JOB, slot.chunk_no, 4) for _ in range(2)] == [True, False]
    assert ledger.get(JOB).total == 4
    assert ledger.take_chunks(JOB, 10, 60).chunk_nos == [slot.chunk_no]


def test_only_so_many_chunks_of_a_job_are_queued(ledger: RedisLedger) -> None:
    _open(ledger)
    chunks = [_add(ledger, 1) for _ in range(5)]
    assert ledger.take_chunks(JOB, 2, 60).chunk_nos == chunks[:2]
    assert ledger.take_chunks(JOB, 2, 60).chunk_nos == []
    ledger.account_chunk(JOB, chunks[0], {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.take_chunks(JOB, 2, 60).chunk_nos == [chunks[2]]


def test_a_chunk_is_held_by_one_worker(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1)
    assert ledger.claim_chunk(JOB, chunk, "me", 60) == ClaimedChunk(Claim.RUN, 0)
    assert ledger.claim_chunk(JOB, chunk, "you", 60).claim is Claim.BUSY
    assert ledger.extend_chunk(JOB, chunk, "me", 60) is True
    assert ledger.extend_chunk(JOB, chunk, "you", 60) is False
    ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.claim_chunk(JOB, chunk, "you", 60).claim is Claim.GONE
    assert ledger.extend_chunk(JOB, chunk, "me", 60) is False


def test_the_chunk_of_a_dead_worker_is_lost_and_queued_again(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1)
    assert ledger.requeue_chunk(JOB, chunk, 60, NOW) is False, "it is not overdue yet"
    ledger.claim_chunk(JOB, chunk, "dead", 0.01)
    _wait_until_overdue(ledger, chunk)
    assert _overdue(ledger, 60).lost == [chunk]
    assert ledger.requeue_chunk(JOB, chunk, 60, NOW) is True
    assert ledger.extend_chunk(JOB, chunk, "dead", 60) is False
    assert ledger.claim_chunk(JOB, chunk, "next", 60) == ClaimedChunk(Claim.RUN, deaths=1)


def test_a_chunk_that_nobody_claims_is_told_apart(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1, patience_s=0.01)
    _wait_until_overdue(ledger, chunk)
    assert _overdue(ledger, 60).unclaimed == [chunk]
    assert _overdue(ledger, 0.0).lost == [chunk], "it waits for too long"


def test_a_sweep_sees_what_is_not_handed_out_yet(ledger: RedisLedger) -> None:
    def waits(job_id: str) -> tuple[QueueName, bool]:
        (found,) = ledger.overdue_work([job_id], 60, 60)
        return found.queue, found.waits

    ledger.create(NewJob(JOB, "upload", NOW, queue=QueueName.INTERACTIVE), first_chunk_items=1)
    assert waits(JOB) == (QueueName.INTERACTIVE, False)
    ledger.add_chunk(JOB, 0, 1, is_last=True)
    assert waits(JOB) == (QueueName.INTERACTIVE, True)
    ledger.take_chunks(JOB, 1, 60)
    assert waits(JOB) == (QueueName.INTERACTIVE, False)


def test_a_sweep_sees_which_sources_nobody_reads(ledger: RedisLedger) -> None:
    def reading(long_wait_s: float = 60) -> tuple[bool, bool]:
        found = _overdue(ledger, long_wait_s)
        return found.unread, found.reading_lost

    ledger.create(NewJob(JOB, "archive", NOW, spec="{}"))
    assert reading() == (False, True), "nobody was asked"
    assert not ledger.take_chunks(JOB, 1, 60).wants_enumeration
    assert reading() == (False, True), "this asks nobody"
    assert ledger.take_chunks(JOB, 1, 60, most_open=2).wants_enumeration
    assert reading() == (True, False)
    wait_until(lambda: reading(0.0) == (False, True))
    ledger.pause(JOB)
    assert reading() == (False, False)
    ledger.resume(JOB)
    ledger.begin_enumeration(JOB, "me", 60, most_open=2)
    assert reading() == (False, False)
    ledger.end_leases(JOB)
    assert reading() == (False, True), "its reader is gone, and nobody was asked since"
    ledger.seal(JOB, NOW)
    assert reading() == (False, False)


def test_a_sweep_sees_which_jobs_their_clients_have_left(ledger: RedisLedger) -> None:
    def is_idle(job_id: str, idle_s: float = 0.0) -> bool:
        (found,) = ledger.overdue_work([job_id], 60, idle_s)
        return found.is_idle

    _open(ledger)
    assert (is_idle(JOB), is_idle(JOB, 60)) == (True, False)
    ledger.pause(JOB)
    assert not is_idle(JOB)
    ledger.resume(JOB)
    ledger.seal(JOB, NOW)
    assert not is_idle(JOB)
    ledger.create(NewJob("read", "archive", NOW, spec="{}"))
    assert not is_idle("read"), "workers read its source"


def test_a_sweep_looks_at_any_number_of_jobs(ledger: RedisLedger) -> None:
    ids = [f"job {number}" for number in range(450)]
    for job_id in ids[::2]:
        _open(ledger, job_id)
    assert [work.job_id for work in ledger.overdue_work(ids, 60, 60)] == ids[::2]


def test_all_leases_can_be_ended(ledger: RedisLedger) -> None:
    _open(ledger)
    held, waiting = _queue(ledger, 1), _queue(ledger, 2)
    ledger.claim_chunk(JOB, held, "gone", 60)
    ledger.end_leases(JOB)
    overdue = _overdue(ledger, 60)
    assert (overdue.lost, overdue.unclaimed) == ([held], [waiting])
    assert (ledger.chunk_size(JOB, waiting), ledger.chunk_size(JOB, 99)) == (2, 0)


def test_a_chunk_that_is_handed_back_is_the_next_one(ledger: RedisLedger) -> None:
    _open(ledger)
    first, second = _add(ledger, 1), _add(ledger, 1)
    assert ledger.take_chunks(JOB, 1, 60).chunk_nos == [first]
    ledger.claim_chunk(JOB, first, "me", 60)
    ledger.hand_back_chunk(JOB, first, "you", NOW)
    assert ledger.take_chunks(JOB, 1, 60).chunk_nos == [], "only its holder can hand it back"
    ledger.hand_back_chunk(JOB, first, "me", NOW)
    assert ledger.take_chunks(JOB, 2, 60).chunk_nos == [first, second]
    assert ledger.claim_chunk(JOB, first, "me", 60).deaths == 0


def test_a_redelivered_chunk_is_counted_once(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 3)
    counts = {ItemStatus.INGESTED: 2, ItemStatus.REFUSED: 1}
    assert ledger.account_chunk(JOB, chunk, counts, NOW) is True
    assert ledger.account_chunk(JOB, chunk, counts, NOW) is False
    job = ledger.get(JOB)
    assert (job.done, job.counts[ItemStatus.INGESTED], job.counts[ItemStatus.REFUSED]) == (3, 2, 1)
    assert ledger.problem_chunks(JOB) == [chunk]


def test_a_job_ends_when_it_is_sealed_and_all_is_accounted(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1)
    ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.get(JOB).state is JobState.RUNNING, "more may come"
    ledger.seal(JOB, LATER)
    job = ledger.get(JOB)
    assert (job.state, job.finished_at) == (JobState.SUCCEEDED, LATER)
    assert ledger.active() == []


def test_a_sealed_job_ends_with_its_last_chunk(ledger: RedisLedger) -> None:
    _open(ledger)
    chunks = [_queue(ledger, 1), _queue(ledger, 1)]
    ledger.seal(JOB, NOW)
    ledger.account_chunk(JOB, chunks[0], {ItemStatus.INGESTED: 1}, NOW)
    assert ledger.get(JOB).state is JobState.RUNNING
    ledger.account_chunk(JOB, chunks[1], {ItemStatus.REFUSED: 1}, LATER)
    job = ledger.get(JOB)
    assert (job.state, job.finished_at) == (JobState.PARTLY_FAILED, LATER)


def test_a_job_of_refusals_failed(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 2)
    ledger.seal(JOB, NOW)
    ledger.account_chunk(JOB, chunk, {ItemStatus.REFUSED: 2}, NOW)
    assert ledger.get(JOB).state is JobState.FAILED


def test_a_sealed_job_takes_no_more(ledger: RedisLedger) -> None:
    _open(ledger)
    ledger.seal(JOB, NOW)
    with pytest.raises(Conflict, match="no more"):
        ledger.reserve_chunk(JOB, 1)


def test_an_ended_job_goes_on_with_a_chunk_that_was_reserved_before(
    ledger: RedisLedger, private_redis: redis.Redis
) -> None:
    _open(ledger)
    first, late = _queue(ledger, 1), ledger.reserve_chunk(JOB, 2).chunk_no
    ledger.account_chunk(JOB, first, {ItemStatus.INGESTED: 1}, NOW)
    ledger.seal(JOB, NOW)
    assert ledger.get(JOB).finished_at == NOW
    assert ledger.add_chunk(JOB, late, 2) is True
    job = ledger.get(JOB)
    assert (job.state, job.total, job.finished_at) == (JobState.RUNNING, 3, None)
    assert ledger.active() == [JOB], "its work is swept up again"
    keys = private_redis.keys(f"petsearch:job:{JOB}*")
    assert {private_redis.ttl(key) for key in keys} <= {-1}, "nothing of it expires"
    assert ledger.take_chunks(JOB, 10, 60).chunk_nos == [late]
    ledger.account_chunk(JOB, late, {ItemStatus.INGESTED: 2}, LATER)
    job = ledger.get(JOB)
    assert (job.state, job.finished_at) == (JobState.SUCCEEDED, LATER)
    assert ledger.active() == []


def test_a_reason_pauses_and_progress_clears_it(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 2)
    ledger.set_reason(JOB, "The embedder does not answer.")
    job = ledger.get(JOB)
    assert (job.state, job.reason) == (JobState.PAUSED, "The embedder does not answer.")
    ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 2}, NOW)
    assert ledger.get(JOB).reason is None


def test_a_paused_job_stands_still_until_it_is_resumed(ledger: RedisLedger) -> None:
    _open(ledger)
    held, queued, pending = _queue(ledger, 1), _queue(ledger, 1), _add(ledger, 1)
    ledger.claim_chunk(JOB, held, "me", 60)
    ledger.pause(JOB)
    assert ledger.get(JOB).state is JobState.PAUSED
    assert ledger.is_stopped(JOB)
    assert ledger.take_chunks(JOB, 10, 60).chunk_nos == []
    assert ledger.claim_chunk(JOB, queued, "you", 60).claim is Claim.GONE
    ledger.hand_back_chunk(JOB, held, "me", NOW)
    ledger.resume(JOB)
    assert not ledger.is_stopped(JOB)
    assert sorted(ledger.take_chunks(JOB, 10, 60).chunk_nos) == [held, queued, pending]


def test_a_cancelled_job_ends_with_the_last_chunk_that_is_handed_back(ledger: RedisLedger) -> None:
    _open(ledger)
    held = _queue(ledger, 2)
    ledger.claim_chunk(JOB, held, "me", 60)
    ledger.cancel(JOB, NOW)
    ledger.hand_back_chunk(JOB, held, "me", LATER)
    assert ledger.get(JOB).finished_at == LATER
    assert ledger.active() == []


def test_a_cancelled_job_keeps_what_was_accounted(ledger: RedisLedger) -> None:
    _open(ledger)
    held, queued = _queue(ledger, 2), _queue(ledger, 1)
    _add(ledger, 1)
    ledger.claim_chunk(JOB, held, "me", 60)
    ledger.cancel(JOB, NOW)
    job = ledger.get(JOB)
    assert (job.state, job.finished_at) == (JobState.CANCELLED, None), "one chunk is held"
    assert ledger.claim_chunk(JOB, queued, "you", 60).claim is Claim.GONE
    assert ledger.account_chunk(JOB, held, {ItemStatus.INGESTED: 1}, LATER) is True
    job = ledger.get(JOB)
    assert (job.state, job.finished_at, job.done) == (JobState.CANCELLED, LATER, 1)
    assert ledger.active() == []
    for change in (ledger.pause, ledger.resume):
        with pytest.raises(Conflict, match="ended"):
            change(JOB)


def test_failed_items_are_tried_again_in_a_chunk_of_their_own(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 3)
    with pytest.raises(Conflict, match="final"):
        ledger.reopen(JOB, {ledger.reserve_retry(JOB): 1})
    ledger.seal(JOB, NOW)
    counts = {ItemStatus.INGESTED: 2, ItemStatus.FAILED: 1}
    ledger.account_chunk(JOB, chunk, counts, NOW)
    retry = ledger.reserve_retry(JOB)
    ledger.reopen(JOB, {retry: 1})
    job = ledger.get(JOB)
    assert (job.state, job.total, job.done) == (JobState.RUNNING, 3, 2)
    assert ledger.active() == [JOB]
    assert ledger.take_chunks(JOB, 10, 60).chunk_nos == [retry]
    ledger.account_chunk(JOB, retry, {ItemStatus.INGESTED: 1}, LATER)
    job = ledger.get(JOB)
    assert (job.state, job.counts[ItemStatus.INGESTED]) == (JobState.SUCCEEDED, 3)


class SentTwice(RedisLedger):
    """Sends every script again, as redis-py does when only the answer was lost."""

    def _run(self, script: str, job_id: str, *arguments: str | int) -> object:
        super()._run(script, job_id, *arguments)
        return super()._run(script, job_id, *arguments)


def test_a_repeat_of_a_call_is_answered_like_the_call(private_redis: redis.Redis) -> None:
    twice, once = SentTwice(private_redis), RedisLedger(private_redis)
    _open(once)
    chunk, other = _queue(once, 1), _queue(once, 1)
    assert twice.claim_chunk(JOB, chunk, "me", 60) == ClaimedChunk(Claim.RUN, deaths=0)
    assert once.claim_chunk(JOB, chunk, "you", 60).claim is Claim.BUSY
    assert [twice.mark_item(JOB, 0), twice.mark_item(JOB, 0)] == [1, 2]
    once.account_chunk(JOB, chunk, {ItemStatus.FAILED: 1}, NOW, warned=1)
    once.account_chunk(JOB, other, {ItemStatus.INGESTED: 1}, NOW, warned=1)
    once.seal(JOB, NOW)
    retry = once.reserve_retry(JOB)
    twice.reopen(JOB, {retry: 1}, warned=1)
    assert (once.get(JOB).done, once.take_chunks(JOB, 9, 60).chunk_nos) == (1, [retry])
    assert once.get(JOB).warned == 1
    once.create(NewJob("read", "archive", NOW, spec="{}"))
    begun = twice.begin_enumeration("read", "me", 60, most_open=2)
    assert begun == Enumeration("{}", None, ChunkSlot(0, 0), deaths=0)
    assert once.begin_enumeration("read", "you", 60, most_open=2) is None
    twice.cancel("read", NOW)
    assert once.get("read").cancelled
    with pytest.raises(Conflict, match="ended"):
        once.cancel("read", NOW)


def test_a_job_whose_workers_have_not_let_go_says_that_it_was_cancelled(
    ledger: RedisLedger,
) -> None:
    _open(ledger)
    ledger.claim_chunk(JOB, _queue(ledger, 1), "me", 60)
    ledger.cancel(JOB, NOW)
    for change in (ledger.pause, ledger.resume, lambda job_id: ledger.cancel(job_id, NOW)):
        with pytest.raises(Conflict, match="was cancelled already"):
            change(JOB)


def test_no_more_items_are_tried_again_than_failed(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 2)
    ledger.seal(JOB, NOW)
    counts = {ItemStatus.INGESTED: 1, ItemStatus.FAILED: 1}
    ledger.account_chunk(JOB, chunk, counts, NOW)
    with pytest.raises(Conflict, match="retried meanwhile"):
        ledger.reopen(JOB, {ledger.reserve_retry(JOB): 1, ledger.reserve_retry(JOB): 1})
    job = ledger.get(JOB)
    assert (job.finished_at, job.done, job.counts[ItemStatus.FAILED]) == (NOW, 2, 1)


def test_what_is_taken_says_into_which_queue_it_goes(ledger: RedisLedger) -> None:
    ledger.create(NewJob(JOB, "upload", NOW, queue=QueueName.INTERACTIVE))
    assert ledger.take_chunks(JOB, 1, 60).queue is QueueName.INTERACTIVE
    assert ledger.take_chunks("none", 1, 60) == TakenChunks()


def test_a_job_of_one_chunk_is_reserved_when_it_is_opened_and_sealed_when_it_is_added(
    ledger: RedisLedger,
) -> None:
    ledger.create(NewJob(JOB, "upload", NOW, expected=2), first_chunk_items=2)
    assert ledger.get(JOB).total == 0
    assert ledger.add_chunk(JOB, 0, 2, is_last=True)
    job = ledger.get(JOB)
    assert (job.total, job.sealed, job.finished_at) == (2, True, None)
    with pytest.raises(Conflict):
        ledger.reserve_chunk(JOB, 1)
    assert ledger.take_chunks(JOB, 1, 60).chunk_nos == [0]
    ledger.claim_chunk(JOB, 0, "me", 60)
    assert ledger.account_chunk(JOB, 0, {ItemStatus.FAILED: 2}, LATER)
    assert ledger.get(JOB).finished_at == LATER
    assert ledger.reserve_retry(JOB) == 1, "the number of the first chunk is taken"


def test_marks_count_tries_until_they_are_cleared(ledger: RedisLedger) -> None:
    _open(ledger)
    assert [ledger.mark_item(JOB, 7) for _ in range(3)] == [1, 2, 3]
    assert ledger.mark_item(JOB, 8) == 1
    ledger.clear_mark(JOB, 7)
    assert ledger.mark_item(JOB, 7) == 1


def test_workers_of_an_earlier_version_count_the_same_tries(private_redis: redis.Redis) -> None:
    ledger = RedisLedger(private_redis)
    _open(ledger)
    marks = part_key(JOB, "marks")
    assert private_redis.hincrby(marks, "7", 1) == 1
    assert ledger.mark_item(JOB, 7) == 2
    assert private_redis.hincrby(marks, "7", 1) == 3
    ledger.clear_mark(JOB, 7)
    assert private_redis.hgetall(marks) == {}


def _wants_enumeration(ledger: RedisLedger, *, most_open: int) -> bool:
    return ledger.take_chunks(JOB, 0, 60, most_open=most_open).wants_enumeration


def test_an_enumeration_is_held_by_one_and_goes_on_at_its_cursor(ledger: RedisLedger) -> None:
    ledger.create(NewJob(JOB, "archive", NOW, spec="{}"))
    assert _wants_enumeration(ledger, most_open=2)
    begun = ledger.begin_enumeration(JOB, "me", 60, most_open=2)
    assert begun == Enumeration("{}", None, ChunkSlot(0, 0))
    assert ledger.begin_enumeration(JOB, "you", 60, most_open=2) is None
    assert not _wants_enumeration(ledger, most_open=2)
    assert ledger.add_chunk(JOB, 0, 64, cursor="64") is True
    assert ledger.add_chunk(JOB, 0, 64, cursor="64") is False, "whoever was cut off repeats itself"
    assert ledger.extend_enumeration(JOB, "me", 60)
    ledger.end_enumeration(JOB, "you")
    assert ledger.extend_enumeration(JOB, "me", 60), "only its holder can end it"
    ledger.end_enumeration(JOB, "me")
    assert not ledger.extend_enumeration(JOB, "me", 60)
    begun = ledger.begin_enumeration(JOB, "you", 60, most_open=2)
    assert begun == Enumeration("{}", "64", ChunkSlot(1, 64))


def test_a_server_has_a_bounded_number_of_jobs(
    ledger: RedisLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petsearch.adapters.redis.ledger.MOST_OPEN_JOBS", 3)
    monkeypatch.setattr("petsearch.adapters.redis.ledger.MOST_KEPT_JOBS", 1)
    for number in range(3):
        ledger.create(NewJob(f"j{number}", "client", NOW + timedelta(seconds=number)))
    with pytest.raises(Overloaded, match="3 jobs have not ended"):
        ledger.create(NewJob("j3", "client", NOW))
    assert ledger.expired_jobs(3600, NOW) == []
    ledger.seal("j1", NOW)
    assert ledger.expired_jobs(3600, NOW) == ["j1"], "there are three, and this one has ended"
    ledger.create(NewJob("j3", "client", NOW))


def test_a_reason_is_bounded(ledger: RedisLedger) -> None:
    _open(ledger)
    ledger.set_reason(JOB, "x" * 1_000_000)
    assert len(str(ledger.get(JOB).reason)) == 2000
    ledger.fail(JOB, "y" * 1_000_000, NOW)
    assert ledger.get(JOB).reason == "y" * 2000


def test_readers_that_died_are_counted_from_chunk_to_chunk(ledger: RedisLedger) -> None:
    ledger.create(NewJob(JOB, "archive", NOW, spec="{}"))

    def deaths() -> int:
        begun = ledger.begin_enumeration(JOB, "me", 60, most_open=9)
        assert begun is not None
        return begun.deaths

    assert deaths() == 0
    ledger.end_leases(JOB)
    assert deaths() == 1
    ledger.end_enumeration(JOB, "me")
    assert deaths() == 1, "this one lived"
    ledger.end_leases(JOB)
    assert deaths() == 2
    ledger.add_chunk(JOB, 0, 1, cursor="1")
    ledger.end_leases(JOB)
    assert deaths() == 1
    ledger.clear_deaths(JOB)
    ledger.end_enumeration(JOB, "me")
    assert deaths() == 0
    ledger.delete(JOB)
    ledger.end_enumeration(JOB, "me")
    ledger.clear_deaths(JOB)
    assert ledger.newest(9) == []


def test_an_enumeration_stops_when_it_is_ahead_or_done(ledger: RedisLedger) -> None:
    ledger.create(NewJob(JOB, "archive", NOW, spec="{}"))
    ledger.add_chunk(JOB, 0, 1, cursor="1")
    assert not _wants_enumeration(ledger, most_open=1)
    assert (ledger.has_room(JOB, 1), ledger.has_room(JOB, 2)) == (False, True)
    assert ledger.begin_enumeration(JOB, "me", 60, most_open=1) is None
    ledger.seal(JOB, NOW)
    assert not _wants_enumeration(ledger, most_open=5)
    assert ledger.begin_enumeration(JOB, "me", 60, most_open=5) is None


def test_a_source_that_cannot_be_read_fails_the_job(ledger: RedisLedger) -> None:
    ledger.create(NewJob(JOB, "archive", NOW, spec="{}"))
    ledger.fail(JOB, "This is no archive.", NOW)
    job = ledger.get(JOB)
    assert (job.state, job.reason) == (JobState.FAILED, "This is no archive.")


def test_a_deleted_job_is_forgotten(ledger: RedisLedger) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1)
    ledger.delete(JOB)
    assert ledger.newest(5) == []
    assert ledger.active() == []
    assert ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW) is False
    with pytest.raises(NotFound):
        ledger.get(JOB)


def test_what_a_deleted_or_cancelled_job_left_is_to_be_discarded_until_it_is(
    ledger: RedisLedger,
) -> None:
    for job_id in ("deleted", "cancelled", "sealed"):
        _open(ledger, job_id)
    ledger.delete("deleted")
    ledger.cancel("cancelled", NOW)
    ledger.seal("sealed", NOW)
    assert ledger.discards() == ["cancelled", "deleted"]
    assert ledger.hold_discard("deleted", 60)
    assert ledger.discards() == ["cancelled"]
    assert ledger.discards(held=True) == ["cancelled", "deleted"]
    ledger.hold_discard("deleted", 0)
    wait_until(lambda: ledger.discards() == ["cancelled", "deleted"])
    for job_id in ("deleted", "cancelled"):
        ledger.end_discard(job_id)
        assert not ledger.hold_discard(job_id, 60)
    assert ledger.discards(held=True) == []


def test_a_cancelled_job_is_not_discarded_before_its_workers_have_let_go(
    ledger: RedisLedger,
) -> None:
    _open(ledger)
    held = _queue(ledger, 2)
    ledger.claim_chunk(JOB, held, "me", 60)
    ledger.cancel(JOB, NOW)
    assert ledger.discards() == []
    ledger.hand_back_chunk(JOB, held, "me", LATER)
    assert ledger.discards() == [JOB]


def test_what_comes_late_does_not_bring_a_deleted_job_back(
    ledger: RedisLedger, private_redis: redis.Redis
) -> None:
    _open(ledger)
    chunk = _queue(ledger, 1)
    ledger.delete(JOB)
    ledger.set_expected(JOB, 5)
    ledger.set_reason(JOB, "The embedder does not answer.")
    ledger.set_reason(JOB, None)
    assert ledger.mark_item(JOB, 0) == 1
    assert ledger.add_chunk(JOB, chunk + 1, 1, cursor="1") is False
    ledger.fail(JOB, "This is no archive.", NOW)
    for call in (lambda: ledger.seal(JOB, NOW), lambda: ledger.reserve_retry(JOB)):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(NotFound):
        ledger.get(JOB)
    assert private_redis.keys(f"*{JOB}*") == [], "nothing is left of it"


def test_what_an_earlier_version_left_of_a_deleted_job_is_no_job(
    private_redis: redis.Redis,
) -> None:
    ledger = RedisLedger(private_redis)
    private_redis.hset("petsearch:job:ghost", "expected", "5")
    assert ledger.add_chunk("ghost", 0, 1) is False
    ledger.fail("ghost", "This is no archive.", NOW)
    for call in (
        lambda: ledger.get("ghost"),
        lambda: ledger.reserve_chunk("ghost", 1),
        lambda: ledger.cancel("ghost", NOW),
        lambda: ledger.reopen("ghost", {0: 1}),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_change_is_a_new_version(ledger: RedisLedger) -> None:
    _open(ledger)
    versions = [ledger.get(JOB).version]
    chunk = _queue(ledger, 1)
    for change in (
        lambda: ledger.set_reason(JOB, "why"),
        lambda: ledger.account_chunk(JOB, chunk, {ItemStatus.INGESTED: 1}, NOW),
        lambda: ledger.pause(JOB),
        lambda: ledger.resume(JOB),
        lambda: ledger.seal(JOB, NOW),
    ):
        change()
        versions.append(ledger.get(JOB).version)
    assert versions == sorted(set(versions))


def test_the_rate_is_known_while_it_moves(ledger: RedisLedger) -> None:
    _open(ledger)
    for _ in range(3):
        ledger.account_chunk(JOB, _queue(ledger, 10), {ItemStatus.INGESTED: 10}, NOW)
        time.sleep(0.01)  # the rate is over time: there must be some
    job = ledger.get(JOB)
    assert job.rate_per_s is not None
    assert job.rate_per_s > 0
    ledger.set_expected(JOB, 90)
    eta_s = ledger.get(JOB).eta_s
    assert eta_s is not None
    assert eta_s == pytest.approx(60 / job.rate_per_s, rel=0.01)


def test_one_of_many_does_a_chore(ledger: RedisLedger) -> None:
    assert [ledger.claim_chore("sweep", 60) for _ in range(3)] == [True, False, False]
    assert ledger.claim_chore("another", 60)


def test_the_newest_jobs_come_first(ledger: RedisLedger) -> None:
    _open(ledger, "old")
    _open(ledger, "new", created_at=LATER)
    assert [job.job_id for job in ledger.newest(5)] == ["new", "old"]
    assert [job.job_id for job in ledger.newest(1)] == ["new"]


def test_it_answers(ledger: RedisLedger) -> None:
    ledger.ping()


def test_a_job_that_waits_says_what_for(ledger: RedisLedger) -> None:
    _open(ledger)
    _add(ledger, 2)
    assert "No worker" in _obstacle(ledger)
    ledger.report_worker("The model is not loaded.", 60)
    assert _obstacle(ledger) == "The model is not loaded."
    ledger.report_worker(None, 60)
    assert not _obstacle(ledger)
    _open(ledger, "other")
    assert "other jobs" in _obstacle(ledger)
    (chunk,) = ledger.take_chunks(JOB, 1, 60).chunk_nos
    ledger.claim_chunk(JOB, chunk, "a", 60)
    assert not _obstacle(ledger), "a worker has it"
    ledger.pause(JOB)
    assert "paused" in _obstacle(ledger)
    assert ledger.get(JOB).state is JobState.PAUSED
    ledger.cancel(JOB, LATER)
    assert not _obstacle(ledger)


def test_a_worker_that_waits_speaks_until_another_is_ready(ledger: RedisLedger) -> None:
    _open(ledger)
    _add(ledger, 1)
    ledger.report_worker(None, 60)
    ledger.report_worker("Redis is full.", 60)
    assert _obstacle(ledger) == "Redis is full."
    assert ledger.get(JOB).state is JobState.QUEUED
    ledger.report_worker(None, 60)
    assert not _obstacle(ledger)


def test_a_job_without_photos_waits_for_its_client(
    ledger: RedisLedger, private_redis: redis.Redis
) -> None:
    _open(ledger)
    ledger.report_worker(None, 60)
    assert not _obstacle(ledger), "it was opened just now"
    private_redis.hset(f"petsearch:job:{JOB}", "added_ms", "0")
    assert "client" in _obstacle(ledger)


def _obstacle(ledger: RedisLedger) -> str:
    return ledger.get(JOB).obstacle or ""


def test_a_job_that_its_client_left_is_sealed(ledger: RedisLedger) -> None:
    _open(ledger)
    _queue(ledger, 2)
    assert not ledger.seal_if_idle(JOB, 3600, LATER)
    ledger.pause(JOB)
    assert not ledger.seal_if_idle(JOB, 0, LATER)
    ledger.resume(JOB)
    assert ledger.seal_if_idle(JOB, 0, LATER)
    assert not ledger.seal_if_idle(JOB, 0, LATER), "it is sealed already"
    job = ledger.get(JOB)
    assert (job.sealed, job.finished_at) == (True, None), "its items are still counted"
    with pytest.raises(Conflict):
        ledger.reserve_chunk(JOB, 1)


@pytest.mark.parametrize("sign", ["a chunk of its source", "a retry", "a chunk that is done"])
def test_a_job_that_goes_on_does_not_expire(
    ledger: RedisLedger, private_redis: redis.Redis, sign: str
) -> None:
    now = datetime.now(UTC)
    _open(ledger, created_at=now - timedelta(days=2))
    failed = _queue(ledger, 1)
    if sign == "a retry":
        ledger.account_chunk(JOB, failed, {ItemStatus.FAILED: 1}, now)
        ledger.seal(JOB, now)
    private_redis.hset(f"petsearch:job:{JOB}", "added_ms", "0")
    if sign == "a chunk of its source":
        ledger.add_chunk(JOB, failed + 1, 1, cursor="1")
    elif sign == "a retry":
        ledger.reopen(JOB, {ledger.reserve_retry(JOB): 1})
    else:
        ledger.account_chunk(JOB, failed, {ItemStatus.INGESTED: 1}, now)
    assert ledger.expired_jobs(24 * 3600, now) == []


def test_a_job_without_items_is_sealed_and_ends(ledger: RedisLedger) -> None:
    _open(ledger)
    ledger.seal_if_idle(JOB, 3600, LATER)
    assert ledger.seal_if_idle(JOB, 0, LATER)
    assert ledger.get(JOB).finished_at == LATER


def test_a_job_that_reads_its_source_is_not_sealed_for_its_client(ledger: RedisLedger) -> None:
    ledger.create(NewJob(JOB, "archive", NOW, spec="{}"))
    for _ in range(2):
        assert not ledger.seal_if_idle(JOB, 0, LATER)
    assert not ledger.seal_if_idle("none", 0, LATER)


def test_a_redis_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    client = redis.Redis(unix_socket_path=str(tmp_path / "none"), decode_responses=True)
    absent = RedisLedger(without_retries(client, 1))
    with pytest.raises(Unavailable, match="Redis"):
        absent.ping()
    with pytest.raises(Unavailable):
        absent.get(JOB)
    client.close()


CALL = CallKey("POST a", "body")
OTHER_BODY = replace(CALL, digest="other body")


def test_a_call_is_held_until_it_has_an_answer(ledger: RedisLedger) -> None:
    assert ledger.claim_call(CALL, "a", 60) is None
    with pytest.raises(Conflict):
        ledger.claim_call(CALL, "b", 60)
    assert ledger.claim_call(replace(CALL, name="POST b"), "b", 60) is None
    answer = '{"first": "line\\nand more"}\nlast'
    assert ledger.keep_answer(CALL, "a", answer, 60)
    assert ledger.claim_call(CALL, "b", 60) == answer
    with pytest.raises(InvalidInput):
        ledger.claim_call(OTHER_BODY, "b", 60)


def test_a_claim_that_is_repeated_is_the_holders(ledger: RedisLedger) -> None:
    assert [ledger.claim_call(CALL, "a", 60) for _ in range(2)] == [None, None]
    with pytest.raises(Conflict):
        ledger.claim_call(CALL, "b", 60)


def test_a_held_call_is_refused_with_another_body(ledger: RedisLedger) -> None:
    ledger.claim_call(CALL, "a", 60)
    with pytest.raises(InvalidInput):
        ledger.claim_call(OTHER_BODY, "b", 60)


def test_a_released_call_can_be_claimed_again(ledger: RedisLedger) -> None:
    ledger.claim_call(CALL, "a", 60)
    ledger.release_call(CALL, "a")
    assert ledger.claim_call(OTHER_BODY, "b", 60) is None


def test_a_call_that_is_not_extended_passes_to_the_next_holder(ledger: RedisLedger) -> None:
    ledger.claim_call(CALL, "a", 60)
    assert ledger.extend_call(CALL, "a", 0.001)
    deadline = time.monotonic() + 10
    while not _claims(ledger, CALL, "b"):
        assert time.monotonic() < deadline
    assert not ledger.extend_call(CALL, "a", 60)
    assert not ledger.keep_answer(CALL, "a", "late", 60)
    ledger.release_call(CALL, "a")
    assert ledger.keep_answer(CALL, "b", "good", 60), "the late holder took nothing away"


def _claims(ledger: RedisLedger, call: CallKey, holder: str) -> bool:
    try:
        return ledger.claim_call(call, holder, 60) is None
    except Conflict:
        return False
