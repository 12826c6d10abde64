"""The job ledger in Redis: a hash per job and a few small keys beside it, changed by scripts."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

import redis

from petsearch.adapters.redis import ledger_scripts
from petsearch.domain import ItemStatus, Job, JobKind, NewJob, OnDuplicate, QueueName
from petsearch.domain.errors import Conflict, NotFound, StorageFull, Unavailable
from petsearch.ports import ChunkSlot, Claim, ClaimedChunk, Enumeration, KeptAnswer, OverdueChunks

_PREFIX = "petsearch:"
_JOBS = f"{_PREFIX}jobs"
_ACTIVE = f"{_PREFIX}jobs:active"
_PARTS = (
    *("pending", "queued", "holders", "since", "starts", "chunks", "reserved", "marks"),
    *("samples", "problems", "reading"),
)
_RATE_WINDOW_S = 60.0


class RedisLedger:
    """The `JobLedger` port over a Redis client that decodes responses."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._scripts = {
            name: client.register_script(source)
            for name, source in vars(ledger_scripts).items()
            if name.isupper() and isinstance(source, str) and not name.startswith("_")
        }

    def create(self, job: NewJob) -> None:
        """See `JobLedger.create`."""
        fields: dict[str, str | int] = {
            "id": job.job_id,
            "source": job.source,
            "created_at": job.created_at.isoformat(),
            "queue": job.queue.value,
            "on_duplicate": job.on_duplicate.value,
            "kind": job.kind.value,
            "sealed": "0",
            "total": 0,
            "done": 0,
        }
        if job.expected is not None:
            fields["expected"] = job.expected
        if job.spec is not None:
            fields["spec"] = job.spec
        with _translated(), self._redis.pipeline() as pipe:
            pipe.hset(_job(job.job_id), mapping=cast(Mapping[Any, Any], fields))
            pipe.zadd(_JOBS, {job.job_id: job.created_at.timestamp()})
            pipe.sadd(_ACTIVE, job.job_id)
            pipe.execute()

    def get(self, job_id: str) -> Job:
        """See `JobLedger.get`."""
        found = self._read([job_id])
        if not found:
            raise NotFound(f"There is no job {job_id!r}.")
        return found[0]

    def spec(self, job_id: str) -> str | None:
        """See `JobLedger.spec`."""
        with _translated():
            return cast(str | None, self._redis.hget(_job(job_id), "spec"))

    def newest(self, limit: int) -> list[Job]:
        """See `JobLedger.newest`."""
        with _translated():
            ids = cast(list[str], self._redis.zrevrange(_JOBS, 0, limit - 1))
        return self._read(ids)

    def active(self) -> list[str]:
        """See `JobLedger.active`."""
        with _translated():
            return sorted(cast(set[str], self._redis.smembers(_ACTIVE)))

    def reserve_chunk(self, job_id: str, item_count: int, *, key: str | None = None) -> ChunkSlot:
        """See `JobLedger.reserve_chunk`."""
        chunk_no, item_no, is_added = self._run("RESERVE", job_id, item_count, key or "")
        if chunk_no == -1:
            raise NotFound(f"There is no job {job_id!r}.")
        if chunk_no == -2:
            raise Conflict(f"The job {job_id!r} takes no more items; start another one.")
        return ChunkSlot(int(chunk_no), int(item_no), is_added=bool(is_added))

    def add_chunk(
        self, job_id: str, chunk_no: int, item_count: int, *, cursor: str | None = None
    ) -> bool:
        """See `JobLedger.add_chunk`."""
        return bool(self._run("ADD", job_id, chunk_no, item_count, cursor or ""))

    def seal(self, job_id: str, now: datetime) -> None:
        """See `JobLedger.seal`."""
        self._check(job_id, self._run("SEAL", job_id, now.isoformat(), ""), "cannot be sealed")

    def fail(self, job_id: str, reason: str, now: datetime) -> None:
        """See `JobLedger.fail`."""
        self._run("SEAL", job_id, now.isoformat(), reason)

    def set_expected(self, job_id: str, expected: int) -> None:
        """See `JobLedger.set_expected`."""
        self._run("EXPECT", job_id, expected)

    def take_chunks(self, job_id: str, most_queued: int, patience_s: float) -> list[int]:
        """See `JobLedger.take_chunks`."""
        return [int(chunk) for chunk in self._run("TAKE", job_id, most_queued, _ms(patience_s))]

    def claim_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> ClaimedChunk:
        """See `JobLedger.claim_chunk`."""
        claim, deaths = self._run("CLAIM", job_id, chunk_no, holder, _ms(lease_s))
        return ClaimedChunk(Claim(claim), int(deaths))

    def extend_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> bool:
        """See `JobLedger.extend_chunk`."""
        return bool(self._run("EXTEND", job_id, chunk_no, holder, _ms(lease_s)))

    def hand_back_chunk(self, job_id: str, chunk_no: int, holder: str, now: datetime) -> None:
        """See `JobLedger.hand_back_chunk`."""
        self._run("HAND_BACK", job_id, chunk_no, holder, now.isoformat())

    def is_stopped(self, job_id: str) -> bool:
        """See `JobLedger.is_stopped`."""
        with _translated():
            fields = cast(
                list[str | None],
                self._redis.hmget(_job(job_id), ["source", "paused", "cancelled"]),
            )
        return fields[0] is None or "1" in fields[1:]

    def mark_item(self, job_id: str, item_no: int) -> int:
        """See `JobLedger.mark_item`."""
        return int(self._run("MARK", job_id, item_no))

    def clear_mark(self, job_id: str, item_no: int) -> None:
        """See `JobLedger.clear_mark`."""
        with _translated():
            self._redis.hdel(_part(job_id, "marks"), str(item_no))

    def account_chunk(
        self, job_id: str, chunk_no: int, counts: Mapping[ItemStatus, int], now: datetime
    ) -> bool:
        """See `JobLedger.account_chunk`."""
        pairs = [word for status, count in counts.items() for word in (status.value, count)]
        problems = counts.get(ItemStatus.REFUSED, 0) + counts.get(ItemStatus.FAILED, 0)
        return bool(self._run("ACCOUNT", job_id, now.isoformat(), chunk_no, problems, *pairs))

    def overdue_chunks(self, job_id: str, long_wait_s: float) -> OverdueChunks:
        """See `JobLedger.overdue_chunks`."""
        lost, unclaimed = self._run("OVERDUE", job_id, _ms(long_wait_s))
        return OverdueChunks(tuple(map(int, lost)), tuple(map(int, unclaimed)))

    def requeue_chunk(self, job_id: str, chunk_no: int, patience_s: float, now: datetime) -> bool:
        """See `JobLedger.requeue_chunk`."""
        return bool(self._run("REQUEUE", job_id, chunk_no, _ms(patience_s), now.isoformat()))

    def end_leases(self, job_id: str) -> None:
        """See `JobLedger.end_leases`."""
        self._run("END_LEASES", job_id)

    def chunk_size(self, job_id: str, chunk_no: int) -> int:
        """See `JobLedger.chunk_size`."""
        with _translated():
            found = self._redis.hget(_part(job_id, "chunks"), str(chunk_no))
        return int(cast(str | None, found) or 0)

    def problem_chunks(self, job_id: str) -> list[int]:
        """See `JobLedger.problem_chunks`."""
        with _translated():
            found = cast(set[str], self._redis.smembers(_part(job_id, "problems")))
        return sorted(map(int, found))

    def begin_enumeration(
        self, job_id: str, holder: str, lease_s: float, most_open: int
    ) -> Enumeration | None:
        """See `JobLedger.begin_enumeration`."""
        found = self._run("READ", job_id, holder, _ms(lease_s), most_open)
        if found is None:
            return None
        spec, cursor, chunk_no, item_no = found
        return Enumeration(spec, cursor or None, ChunkSlot(int(chunk_no), int(item_no)))

    def extend_enumeration(self, job_id: str, holder: str, lease_s: float) -> bool:
        """See `JobLedger.extend_enumeration`."""
        return bool(self._run("EXTEND_READING", job_id, holder, _ms(lease_s)))

    def end_enumeration(self, job_id: str, holder: str) -> None:
        """See `JobLedger.end_enumeration`."""
        self._run("END_READING", job_id, holder)

    def wants_enumeration(self, job_id: str, most_open: int) -> bool:
        """See `JobLedger.wants_enumeration`."""
        with _translated(), self._redis.pipeline() as pipe:
            pipe.hmget(_job(job_id), ["spec", "sealed", "paused", "cancelled"])
            pipe.llen(_part(job_id, "pending"))
            pipe.zcard(_part(job_id, "queued"))
            pipe.exists(_part(job_id, "reading"))
            (spec, *flags), pending, queued, is_read = pipe.execute()
        return bool(spec) and "1" not in flags and pending + queued < most_open and not is_read

    def has_room(self, job_id: str, most_open: int) -> bool:
        """See `JobLedger.has_room`."""
        with _translated(), self._redis.pipeline() as pipe:
            pipe.llen(_part(job_id, "pending"))
            pipe.zcard(_part(job_id, "queued"))
            return sum(cast(list[int], pipe.execute())) < most_open

    def pause(self, job_id: str) -> None:
        """See `JobLedger.pause`."""
        self._control(job_id, "pause")

    def resume(self, job_id: str) -> None:
        """See `JobLedger.resume`."""
        self._control(job_id, "resume")

    def cancel(self, job_id: str, now: datetime) -> None:
        """See `JobLedger.cancel`."""
        self._control(job_id, "cancel", now.isoformat())

    def reserve_retry(self, job_id: str) -> int:
        """See `JobLedger.reserve_retry`."""
        chunk_no = int(self._run("RESERVE_RETRY", job_id))
        self._check(job_id, chunk_no, "takes no retry")
        return chunk_no

    def reopen(self, job_id: str, chunk_sizes: Mapping[int, int]) -> None:
        """See `JobLedger.reopen`."""
        pairs = [number for pair in chunk_sizes.items() for number in pair]
        obstacle = "is not final, or was retried meanwhile"
        self._check(job_id, self._run("REOPEN", job_id, *pairs), obstacle)

    def delete(self, job_id: str) -> None:
        """See `JobLedger.delete`."""
        with _translated(), self._redis.pipeline() as pipe:
            pipe.delete(_job(job_id), *(_part(job_id, name) for name in _PARTS))
            pipe.zrem(_JOBS, job_id)
            pipe.srem(_ACTIVE, job_id)
            pipe.execute()

    def set_reason(self, job_id: str, reason: str | None) -> None:
        """See `JobLedger.set_reason`."""
        self._run("REASON", job_id, reason or "")

    def is_first(self, what: str, for_s: float) -> bool:
        """See `JobLedger.is_first`."""
        with _translated():
            key = f"{_PREFIX}once:{what}"
            return bool(self._redis.set(key, "1", nx=True, px=_ms(for_s)))

    def claim_answer(self, name: str, digest: str, for_s: float) -> KeptAnswer | None:
        """See `JobLedger.claim_answer`."""
        with _translated():
            if self._redis.set(_answer(name), digest, nx=True, px=_ms(for_s)):
                return None
            found = cast(str | None, self._redis.get(_answer(name)))
        if found is None:  # its time ended between the two
            return self.claim_answer(name, digest, for_s)
        kept, _, answer = found.partition("\n")
        return KeptAnswer(kept, answer or None)

    def keep_answer(self, name: str, digest: str, answer: str, for_s: float) -> None:
        """See `JobLedger.keep_answer`."""
        with _translated():
            self._redis.set(_answer(name), f"{digest}\n{answer}", px=_ms(for_s))

    def drop_answer(self, name: str) -> None:
        """See `JobLedger.drop_answer`."""
        with _translated():
            self._redis.delete(_answer(name))

    def ping(self) -> None:
        """See `JobLedger.ping`."""
        with _translated():
            self._redis.ping()

    def _run(self, script: str, job_id: str, *arguments: str | int) -> Any:
        with _translated():
            return self._scripts[script](keys=[_job(job_id), _ACTIVE], args=list(arguments))

    def _control(self, job_id: str, what: str, now: str = "") -> None:
        self._check(job_id, self._run("CONTROL", job_id, what, now), "has ended")

    def _check(self, job_id: str, answer: int, obstacle: str) -> None:
        if answer == -1:
            raise NotFound(f"There is no job {job_id!r}.")
        if answer == -2:
            raise Conflict(f"The job {job_id!r} {obstacle}.")

    def _read(self, ids: Sequence[str]) -> list[Job]:
        with _translated(), self._redis.pipeline() as pipe:
            for job_id in ids:
                pipe.hgetall(_job(job_id))
                pipe.lrange(_part(job_id, "samples"), 0, -1)
            found = pipe.execute()
        return [
            _to_job(job_id, fields, samples)
            for job_id, fields, samples in zip(ids, found[::2], found[1::2], strict=True)
            # Earlier versions could leave a few fields of a deleted job behind.
            if "source" in fields
        ]


def _job(job_id: str) -> str:
    return f"{_PREFIX}job:{job_id}"


def _part(job_id: str, name: str) -> str:
    return f"{_job(job_id)}:{name}"


def _answer(name: str) -> str:
    return f"{_PREFIX}answer:{name}"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _to_job(job_id: str, fields: Mapping[str, str], samples: Sequence[str]) -> Job:
    finished_at, expected = fields.get("finished_at"), fields.get("expected")
    return Job(
        job_id=job_id,
        source=fields["source"],
        created_at=datetime.fromisoformat(fields["created_at"]),
        sealed=fields["sealed"] == "1",
        total=int(fields["total"]),
        counts={status: int(fields.get(f"count:{status.value}", 0)) for status in ItemStatus},
        finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
        reason=fields.get("failure") or fields.get("reason"),
        expected=int(expected) if expected else None,
        queue=QueueName(fields["queue"]),
        on_duplicate=OnDuplicate(fields["on_duplicate"]),
        paused=fields.get("paused") == "1",
        cancelled=fields.get("cancelled") == "1",
        source_failed="failure" in fields,
        rate_per_s=None if finished_at else _rate(samples),
        version=int(fields.get("version", 0)),
        first_retry=int(fields["first_retry"]) if "first_retry" in fields else None,
        # Jobs of earlier versions say no kind.
        kind=JobKind(fields.get("kind", JobKind.INGEST)),
    )


def _rate(samples: Sequence[str]) -> float | None:
    """Items per second from `ms:done` samples, the newest first; None if nothing moves."""
    points = [(int(ms) / 1000, int(done)) for ms, _, done in (s.partition(":") for s in samples)]
    recent = [point for point in points if point[0] > time.time() - _RATE_WINDOW_S]
    if len(recent) < 2 or recent[0][0] <= recent[-1][0]:
        return None
    (newest_s, newest), (oldest_s, oldest) = recent[0], recent[-1]
    return round((newest - oldest) / (newest_s - oldest_s), 3)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError) as error:
        raise StorageFull(f"The job ledger cannot write: {error}") from error
    except redis.RedisError as error:
        if "MISCONF" in str(error):
            raise StorageFull("The disk of the job ledger is full; free some space.") from error
        raise Unavailable(f"The job ledger (Redis) does not answer: {error}") from error
