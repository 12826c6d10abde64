"""The job ledger in Redis: a hash per job and a few small keys beside it, changed by scripts."""

import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import redis

from petsearch.adapters.redis.client import redis_errors
from petsearch.adapters.redis.job_keys import (
    ACTIVE,
    DISCARDS,
    JOBS,
    PREFIX,
    job_key,
    keys_of,
    part_key,
)
from petsearch.adapters.redis.job_records import Workers, job_of, obstacle_of
from petsearch.adapters.redis.ledger_scripts import COMMON, SCRIPTS
from petsearch.domain import (
    MOST_LEFT_OUT_NAMES,
    ItemStatus,
    Job,
    LeftOut,
    NewJob,
    QueueName,
)
from petsearch.domain.errors import Conflict, InvalidInput, NotFound, Overloaded
from petsearch.domain.metadata import safe_path
from petsearch.ports import (
    CallKey,
    ChunkLedger,
    ChunkSlot,
    Claim,
    ClaimedChunk,
    Enumeration,
    EnumerationLedger,
    IdempotencyStore,
    JobLedger,
    OverdueWork,
    TakenChunks,
)

_WHAT = "job ledger"
_READY, _WAITING = f"{PREFIX}workers:ready", f"{PREFIX}workers:waiting"
MOST_OPEN_JOBS = 10_000
MOST_KEPT_JOBS = 50_000
_EXPIRED_AT_ONCE = 200
_LOOKED_AT_ONCE = 200
_LONGEST_REASON = 2000
"""Characters; errors of libraries can quote whole files."""


class RedisLedger(JobLedger, ChunkLedger, EnumerationLedger, IdempotencyStore):
    """Jobs, chunks and kept answers, over a Redis client that decodes responses."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._scripts = {
            name: client.register_script(COMMON + source) for name, source in SCRIPTS.items()
        }

    @redis_errors(_WHAT)
    def create(self, job: NewJob, *, first_chunk_items: int = 0) -> None:
        fields: dict[str, str | int] = {
            "id": job.job_id,
            "source": job.source,
            "created_at": job.created_at.isoformat(),
            "queue": job.queue.value,
            "on_duplicate": job.on_duplicate.value,
            "kind": job.kind.value,
            "exif_dates": int(job.exif_dates),
            "gps": int(job.gps),
            "sees_places": int(job.sees_places),
            "sealed": "0",
            "total": 0,
            "done": 0,
            "added_ms": _ms(time.time()),
        }
        optional = {"expected": job.expected, "spec": job.spec}
        fields |= {name: value for name, value in optional.items() if value is not None}
        if first_chunk_items:
            fields |= {"next_chunk": 1, "next_item": first_chunk_items}
        told = (word for pair in fields.items() for word in pair)
        arguments = [MOST_OPEN_JOBS, job.job_id, job.created_at.timestamp(), *told]
        keys = [*_keys(job.job_id), JOBS]
        if not self._scripts["CREATE"](keys=keys, args=arguments):
            raise Overloaded(
                f"{MOST_OPEN_JOBS} jobs have not ended; seal, cancel or wait for some."
            )

    def get(self, job_id: str) -> Job:
        if not (found := self._read([job_id])):
            raise NotFound(f"There is no job {job_id!r}.")
        return found[0]

    @redis_errors(_WHAT)
    def spec(self, job_id: str) -> str | None:
        return cast(str | None, self._redis.hget(job_key(job_id), "spec"))

    @redis_errors(_WHAT)
    def newest(self, limit: int) -> list[Job]:
        return self._read(cast(list[str], self._redis.zrevrange(JOBS, 0, limit - 1)))

    @redis_errors(_WHAT)
    def active(self) -> list[str]:
        return sorted(cast(set[str], self._redis.smembers(ACTIVE)))

    def reserve_chunk(
        self, job_id: str, item_count: int, *, call: CallKey | None = None
    ) -> ChunkSlot:
        arguments = (call.name, call.digest) if call else ("", "")
        chunk_no, item_no, is_added = self._run("RESERVE", job_id, item_count, *arguments)
        self._check(job_id, chunk_no, "takes no more items; start another one")
        if chunk_no == -3:
            raise _another_request()
        return ChunkSlot(int(chunk_no), int(item_no), is_added=bool(is_added))

    def add_chunk(
        self,
        job_id: str,
        chunk_no: int,
        item_count: int,
        *,
        cursor: str | None = None,
        left_out: Sequence[LeftOut] = (),
        is_last: bool = False,
    ) -> bool:
        left = _left_out_arguments(left_out)
        arguments = (chunk_no, item_count, cursor or "", int(is_last), *left)
        return bool(self._run("ADD", job_id, *arguments))

    def seal(self, job_id: str, now: datetime, left_out: Sequence[LeftOut] = ()) -> None:
        arguments = (now.isoformat(), "", *_left_out_arguments(left_out))
        self._check(job_id, self._run("SEAL", job_id, *arguments), "cannot be sealed")

    def fail(self, job_id: str, reason: str, now: datetime) -> None:
        self._run("SEAL", job_id, now.isoformat(), reason[:_LONGEST_REASON])

    def set_expected(self, job_id: str, expected: int) -> None:
        self._run("EXPECT", job_id, expected)

    def take_chunks(
        self, job_id: str, most_queued: int, patience_s: float, *, most_open: int = 0
    ) -> TakenChunks:
        answer = self._run("TAKE", job_id, most_queued, _ms(patience_s), most_open)
        if answer is None:
            return TakenChunks()
        taken, queue, is_read_on = answer
        return TakenChunks([*map(int, taken)], QueueName(queue), bool(is_read_on))

    def claim_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> ClaimedChunk:
        claim, deaths = self._run("CLAIM", job_id, chunk_no, holder, _ms(lease_s))
        return ClaimedChunk(Claim(claim), int(deaths))

    def extend_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> bool:
        return bool(self._run("EXTEND", job_id, chunk_no, holder, _ms(lease_s)))

    def hand_back_chunk(self, job_id: str, chunk_no: int, holder: str, now: datetime) -> None:
        self._run("HAND_BACK", job_id, chunk_no, holder, now.isoformat())

    @redis_errors(_WHAT)
    def is_stopped(self, job_id: str) -> bool:
        fields = cast(
            list[str | None],
            self._redis.hmget(job_key(job_id), ["source", "paused", "cancelled"]),
        )
        return fields[0] is None or "1" in fields[1:]

    def mark_item(self, job_id: str, item_no: int) -> int:
        return int(self._run("MARK", job_id, item_no, uuid.uuid4().hex))

    @redis_errors(_WHAT)
    def clear_mark(self, job_id: str, item_no: int) -> None:
        self._redis.hdel(part_key(job_id, "marks"), str(item_no), f"{item_no}:by")

    def account_chunk(
        self,
        job_id: str,
        chunk_no: int,
        counts: Mapping[ItemStatus, int],
        now: datetime,
        *,
        warned: int = 0,
    ) -> bool:
        pairs = [word for status, count in counts.items() for word in (status.value, count)]
        problems = counts.get(ItemStatus.REFUSED, 0) + counts.get(ItemStatus.FAILED, 0)
        arguments = (now.isoformat(), chunk_no, problems, warned, *pairs)
        return bool(self._run("ACCOUNT", job_id, *arguments))

    def overdue_work(
        self, job_ids: Sequence[str], long_wait_s: float, idle_s: float
    ) -> Iterator[OverdueWork]:
        for start in range(0, len(job_ids), _LOOKED_AT_ONCE):
            yield from self._overdue(job_ids[start : start + _LOOKED_AT_ONCE], long_wait_s, idle_s)

    @redis_errors(_WHAT)
    def _overdue(
        self, job_ids: Sequence[str], long_wait_s: float, idle_s: float
    ) -> list[OverdueWork]:
        arguments = [_ms(long_wait_s), _ms(idle_s)]
        with self._redis.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                self._scripts["OVERDUE"](keys=_keys(job_id), args=arguments, client=pipe)
            answers = pipe.execute()
        return [
            OverdueWork(
                job_id=job_id,
                queue=QueueName(queue),
                lost=[*map(int, lost)],
                unclaimed=[*map(int, unclaimed)],
                is_idle=bool(is_idle),
                waits=bool(waits),
                unread=bool(unread),
                reading_lost=bool(reading_lost),
            )
            for job_id, answer in zip(job_ids, answers, strict=True)
            if answer is not None
            for lost, unclaimed, queue, is_idle, waits, unread, reading_lost in [answer]
        ]

    def requeue_chunk(self, job_id: str, chunk_no: int, patience_s: float, now: datetime) -> bool:
        return bool(self._run("REQUEUE", job_id, chunk_no, _ms(patience_s), now.isoformat()))

    def seal_if_idle(self, job_id: str, idle_s: float, now: datetime) -> bool:
        return bool(self._run("SEAL_IF_IDLE", job_id, _ms(idle_s), now.isoformat()))

    @redis_errors(_WHAT)
    def expired_jobs(self, keep_s: float, now: datetime) -> list[str]:
        limit = now.timestamp() - keep_s
        oldest = self._redis.zrangebyscore(JOBS, "-inf", limit)
        too_many = min(_EXPIRED_AT_ONCE, self._redis.zcard(JOBS) - MOST_KEPT_JOBS)
        expired: list[str] = []
        for job_id in cast(list[str], oldest):
            if len(expired) == _EXPIRED_AT_ONCE:
                break
            ended, added_ms = self._ended_and_added(job_id)
            if (added_ms / 1000 if ended is None else ended.timestamp()) > limit:
                continue
            if ended is not None or not self._waits_for_workers(job_id):
                expired.append(job_id)
        if too_many > 0:
            first = cast(list[str], self._redis.zrange(JOBS, 0, too_many - 1))
            expired += [job_id for job_id in first if self._ended_and_added(job_id)[0] is not None]
        return list(dict.fromkeys(expired))

    def _ended_and_added(self, job_id: str) -> tuple[datetime | None, int]:
        """When a job ended, and the time of its last sign of life in milliseconds."""
        found = self._redis.hmget(job_key(job_id), ["finished_at", "added_ms"])
        ended, added_ms = cast(list[str | None], found)
        return datetime.fromisoformat(ended) if ended else None, int(added_ms or 0)

    def _waits_for_workers(self, job_id: str) -> bool:
        """Whether photos of it were accepted that workers are to ingest, however late they come."""
        with self._redis.pipeline() as pipe:
            pipe.hget(job_key(job_id), "paused")
            pipe.llen(part_key(job_id, "pending"))
            pipe.zcard(part_key(job_id, "queued"))
            paused, pending, queued = cast(tuple[str | None, int, int], tuple(pipe.execute()))
        return paused != "1" and pending + queued > 0

    def end_leases(self, job_id: str) -> None:
        self._run("END_LEASES", job_id)

    @redis_errors(_WHAT)
    def chunk_size(self, job_id: str, chunk_no: int) -> int:
        found = self._redis.hget(part_key(job_id, "chunks"), str(chunk_no))
        return int(cast(str | None, found) or 0)

    @redis_errors(_WHAT)
    def problem_chunks(self, job_id: str) -> list[int]:
        return sorted(map(int, cast(set[str], self._redis.smembers(part_key(job_id, "problems")))))

    def begin_enumeration(
        self, job_id: str, holder: str, lease_s: float, most_open: int
    ) -> Enumeration | None:
        if (found := self._run("READ", job_id, holder, _ms(lease_s), most_open)) is None:
            return None
        spec, cursor, chunk_no, item_no, deaths = found
        slot = ChunkSlot(int(chunk_no), int(item_no))
        return Enumeration(spec, cursor or None, slot, int(deaths))

    def extend_enumeration(self, job_id: str, holder: str, lease_s: float) -> bool:
        return bool(self._run("EXTEND_READING", job_id, holder, _ms(lease_s)))

    def end_enumeration(self, job_id: str, holder: str) -> None:
        self._run("END_READING", job_id, holder)

    @redis_errors(_WHAT)
    def clear_deaths(self, job_id: str) -> None:
        self._redis.hdel(job_key(job_id), "readings")

    @redis_errors(_WHAT)
    def has_room(self, job_id: str, most_open: int) -> bool:
        with self._redis.pipeline() as pipe:
            pipe.llen(part_key(job_id, "pending"))
            pipe.zcard(part_key(job_id, "queued"))
            return sum(cast(list[int], pipe.execute())) < most_open

    def pause(self, job_id: str) -> None:
        self._control(job_id, "pause")

    def resume(self, job_id: str) -> None:
        self._control(job_id, "resume")

    def cancel(self, job_id: str, now: datetime) -> None:
        self._control(job_id, "cancel", now.isoformat())

    def reserve_retry(self, job_id: str) -> int:
        chunk_no = int(self._run("RESERVE_RETRY", job_id))
        self._check(job_id, chunk_no, "takes no retry")
        return chunk_no

    def reopen(self, job_id: str, chunk_sizes: Mapping[int, int], *, warned: int = 0) -> None:
        pairs = [number for pair in chunk_sizes.items() for number in pair]
        obstacle = "is not final, or was retried meanwhile"
        self._check(job_id, self._run("REOPEN", job_id, warned, *pairs), obstacle)

    @redis_errors(_WHAT)
    def delete(self, job_id: str) -> None:
        with self._redis.pipeline() as pipe:
            pipe.delete(*keys_of(job_id))
            pipe.zrem(JOBS, job_id)
            pipe.srem(ACTIVE, job_id)
            pipe.zadd(DISCARDS, {job_id: 0})
            pipe.execute()

    @redis_errors(_WHAT)
    def discards(self, *, held: bool = False) -> list[str]:
        latest = "+inf" if held else _ms(time.time())
        return cast(list[str], self._redis.zrangebyscore(DISCARDS, "-inf", latest))

    @redis_errors(_WHAT)
    def hold_discard(self, job_id: str, lease_s: float) -> bool:
        ends_at = {job_id: _ms(time.time() + lease_s)}
        return bool(self._redis.zadd(DISCARDS, ends_at, xx=True, ch=True))

    @redis_errors(_WHAT)
    def end_discard(self, job_id: str) -> None:
        self._redis.zrem(DISCARDS, job_id)

    def set_reason(self, job_id: str, reason: str | None) -> None:
        self._run("REASON", job_id, (reason or "")[:_LONGEST_REASON])

    @redis_errors(_WHAT)
    def report_worker(self, reason: str | None, for_s: float) -> None:
        if reason is None:
            self._redis.set(_READY, "1", px=_ms(for_s))
            return
        with self._redis.pipeline() as pipe:
            pipe.set(_WAITING, reason[:_LONGEST_REASON], px=_ms(for_s))
            pipe.delete(_READY)  # any other that is ready soon says so
            pipe.execute()

    @redis_errors(_WHAT)
    def claim_chore(self, name: str, for_s: float) -> bool:
        return bool(self._redis.set(f"{PREFIX}once:{name}", "1", nx=True, px=_ms(for_s)))

    @redis_errors(_WHAT)
    def claim_call(self, call: CallKey, holder: str, for_s: float) -> str | None:
        if self._redis.set(_answer(call), _held(call, holder), nx=True, px=_ms(for_s)):
            return None
        found = cast(str | None, self._redis.get(_answer(call)))
        if found is None:  # its time ended between the two
            return self.claim_call(call, holder, for_s)
        if found == _held(call, holder):  # the answer to the first was lost
            return None
        held, _, answer = found.partition("\n")
        if held.partition(" ")[0] != call.digest:
            raise _another_request()
        if not answer:
            raise Conflict("The first call with this Idempotency-Key is still being answered.")
        return answer

    def extend_call(self, call: CallKey, holder: str, for_s: float) -> bool:
        return self._replace_held(call, holder, _held(call, holder), for_s)

    def keep_answer(self, call: CallKey, holder: str, answer: str, for_s: float) -> bool:
        return self._replace_held(call, holder, f"{call.digest}\n{answer}", for_s)

    def release_call(self, call: CallKey, holder: str) -> None:
        self._replace_held(call, holder, "", 0)

    @redis_errors(_WHAT)
    def _replace_held(self, call: CallKey, holder: str, value: str, for_s: float) -> bool:
        arguments: list[str | int] = [_held(call, holder), value, _ms(for_s)]
        script = self._scripts["REPLACE_HELD"]
        return bool(script(keys=[_answer(call)], args=arguments))

    @redis_errors(_WHAT)
    def ping(self) -> None:
        self._redis.ping()

    @redis_errors(_WHAT)
    def _run(self, script: str, job_id: str, *arguments: str | int) -> Any:
        return self._scripts[script](keys=_keys(job_id), args=list(arguments))

    def _control(self, job_id: str, what: str, now: str = "") -> None:
        answer = self._run("CONTROL", job_id, what, now, uuid.uuid4().hex)
        if answer == -3:
            raise Conflict(f"The job {job_id!r} was cancelled already.")
        self._check(job_id, answer, "has ended")

    def _check(self, job_id: str, answer: int, obstacle: str) -> None:
        if answer == -1:
            raise NotFound(f"There is no job {job_id!r}.")
        if answer == -2:
            raise Conflict(f"The job {job_id!r} {obstacle}.")

    @redis_errors(_WHAT)
    def _read(self, ids: Sequence[str]) -> list[Job]:
        with self._redis.pipeline() as pipe:
            for job_id in ids:
                pipe.hgetall(job_key(job_id))
                pipe.lrange(part_key(job_id, "samples"), 0, -1)
                pipe.lrange(part_key(job_id, "left_out"), 0, -1)
                pipe.llen(part_key(job_id, "pending"))
                pipe.zcard(part_key(job_id, "queued"))
                pipe.hlen(part_key(job_id, "holders"))
            pipe.mget(_READY, _WAITING)
            pipe.scard(ACTIVE)
            *found, (is_ready, waits_for), active = pipe.execute()
        workers = Workers(bool(is_ready), waits_for, active)
        return [
            replace(
                job_of(job_id, fields, samples, left_out),
                obstacle=obstacle_of(fields, pending + queued, held, workers),
            )
            for job_id, fields, samples, left_out, pending, queued, held in zip(
                ids, *(found[part::6] for part in range(6)), strict=True
            )
            # Earlier versions could leave a few fields of a deleted job behind.
            if "source" in fields
        ]


def _keys(job_id: str) -> list[str]:
    """What every script about a job gets."""
    return [job_key(job_id), ACTIVE, DISCARDS]


def _answer(call: CallKey) -> str:
    return f"{PREFIX}answer:{call.name}"


def _held(call: CallKey, holder: str) -> str:
    """What is stored of a call until it has an answer."""
    return f"{call.digest} {holder}"


def _another_request() -> InvalidInput:
    return InvalidInput(
        "This Idempotency-Key came with another request before; use a new one for each request."
    )


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _left_out_arguments(left_out: Sequence[LeftOut]) -> Iterator[str | int]:
    """See `leave_out` in the scripts."""
    names = left_out[:MOST_LEFT_OUT_NAMES]
    yield len(names)
    yield from (f"{entry.reason}\n{safe_path(entry.name)[-200:]}" for entry in names)
    for reason, count in Counter(entry.reason for entry in left_out).items():
        yield from (reason.value, count)
