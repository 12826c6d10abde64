"""The job ledger in Redis: a hash per job, sets of chunks; counted exactly once by Lua scripts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

import redis

from petsearch.errors import Conflict, NotFound, StorageFull, Unavailable
from petsearch.model import ItemStatus, Job
from petsearch.ports import ChunkSlot

_PREFIX = "petsearch:"
_JOBS = f"{_PREFIX}jobs"
_ACTIVE = f"{_PREFIX}jobs:active"
_KEEP_CHUNKS_S = 7 * 24 * 3600
"""How long a finished job's chunk numbers are kept: longer than any message can be redelivered."""

# KEYS: job, chunks, slots by the key of their call. ARGV: number of items, key or ''.
_RESERVE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {-1, 0, 0} end
local count, key = ARGV[1], ARGV[2]
local slot = key ~= '' and redis.call('HGET', KEYS[3], key)
if slot then
  local chunk, item, before = string.match(slot, '(%d+):(%d+):(%d+)')
  local added = redis.call('SISMEMBER', KEYS[2], chunk)
  if added == 1 or before == count then return {chunk, item, added} end
end
if redis.call('HGET', KEYS[1], 'sealed') == '1' then return {-2, 0, 0} end
local chunk = redis.call('HINCRBY', KEYS[1], 'next_chunk', 1) - 1
local item = redis.call('HINCRBY', KEYS[1], 'next_item', count) - count
if key ~= '' then redis.call('HSET', KEYS[3], key, chunk .. ':' .. item .. ':' .. count) end
return {chunk, item, 0}
"""
_ADD = """
if redis.call('SADD', KEYS[2], ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'total', ARGV[2])
end
redis.call('SADD', KEYS[3], ARGV[3])
"""
# Ends the job if all is accounted. KEYS: job, chunks, done, active, slots; `now`, `job_id` set.
_FINISH = """
local job = redis.call('HMGET', KEYS[1], 'sealed', 'total', 'done')
if job[1] == '1' and tonumber(job[3]) >= tonumber(job[2]) then
  redis.call('HSET', KEYS[1], 'finished_at', now)
  redis.call('HDEL', KEYS[1], 'reason')
  redis.call('SREM', KEYS[4], job_id)
  redis.call('EXPIRE', KEYS[2], keep_s)
  redis.call('EXPIRE', KEYS[3], keep_s)
  redis.call('EXPIRE', KEYS[5], keep_s)
end
"""
_SEAL = f"""
local now, job_id, keep_s = ARGV[1], ARGV[2], ARGV[3]
redis.call('HSET', KEYS[1], 'sealed', '1')
{_FINISH}
"""
_ACCOUNT = f"""
local now, job_id, keep_s, chunk = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('SADD', KEYS[3], chunk) == 0 then return 0 end
for i = 5, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], 'count:' .. ARGV[i], ARGV[i + 1])
  redis.call('HINCRBY', KEYS[1], 'done', ARGV[i + 1])
end
redis.call('HDEL', KEYS[1], 'reason')
{_FINISH}
return 1
"""


class RedisLedger:
    """The `JobLedger` port over a Redis client that decodes responses."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._reserve = client.register_script(_RESERVE)
        self._add = client.register_script(_ADD)
        self._seal = client.register_script(_SEAL)
        self._account = client.register_script(_ACCOUNT)

    def create(
        self, job_id: str, *, source: str, created_at: datetime, expected: int | None
    ) -> None:
        """See `JobLedger.create`."""
        fields: dict[str, str | int] = {
            "source": source,
            "created_at": created_at.isoformat(),
            "sealed": "0",
            "total": 0,
            "done": 0,
        }
        if expected is not None:
            fields["expected"] = expected
        with _translated(), self._redis.pipeline() as pipe:
            pipe.hset(_job(job_id), mapping=cast(Mapping[Any, Any], fields))
            pipe.zadd(_JOBS, {job_id: created_at.timestamp()})
            pipe.sadd(_ACTIVE, job_id)
            pipe.execute()

    def get(self, job_id: str) -> Job:
        """See `JobLedger.get`."""
        with _translated():
            fields = cast(dict[str, str], self._redis.hgetall(_job(job_id)))
        if not fields:
            raise NotFound(f"There is no job {job_id!r}.")
        return _to_job(job_id, fields)

    def newest(self, limit: int) -> list[Job]:
        """See `JobLedger.newest`."""
        with _translated(), self._redis.pipeline() as pipe:
            ids = cast(list[str], self._redis.zrevrange(_JOBS, 0, limit - 1))
            for job_id in ids:
                pipe.hgetall(_job(job_id))
            found = cast(list[dict[str, str]], pipe.execute())
        return [_to_job(job_id, fields) for job_id, fields in zip(ids, found, strict=True)]

    def reserve_chunk(self, job_id: str, item_count: int, key: str | None = None) -> ChunkSlot:
        """See `JobLedger.reserve_chunk`."""
        with _translated():
            chunk_no, item_no, is_added = map(
                int,
                self._reserve(
                    keys=[_job(job_id), _chunks(job_id), _slots(job_id)],
                    args=[item_count, key or ""],
                ),
            )
        if chunk_no == -1:
            raise NotFound(f"There is no job {job_id!r}.")
        if chunk_no == -2:
            raise Conflict(f"The job {job_id!r} takes no more items; start another one.")
        return ChunkSlot(chunk_no, item_no, is_added=bool(is_added))

    def add_chunk(self, job_id: str, chunk_no: int, item_count: int) -> None:
        """See `JobLedger.add_chunk`."""
        with _translated():
            self._add(
                keys=[_job(job_id), _chunks(job_id), _ACTIVE], args=[chunk_no, item_count, job_id]
            )

    def seal(self, job_id: str, now: datetime) -> None:
        """See `JobLedger.seal`."""
        self.get(job_id)
        with _translated():
            self._seal(keys=_keys(job_id), args=[now.isoformat(), job_id, _KEEP_CHUNKS_S])

    def account_chunk(
        self, job_id: str, chunk_no: int, counts: Mapping[ItemStatus, int], now: datetime
    ) -> bool:
        """See `JobLedger.account_chunk`."""
        pairs = [word for status, count in counts.items() for word in (status.value, count)]
        with _translated():
            counted = self._account(
                keys=_keys(job_id),
                args=[now.isoformat(), job_id, _KEEP_CHUNKS_S, chunk_no, *pairs],
            )
        return bool(counted)

    def is_accounted(self, job_id: str, chunk_no: int) -> bool:
        """See `JobLedger.is_accounted`."""
        with _translated():
            return bool(self._redis.sismember(_done(job_id), str(chunk_no)))

    def set_reason(self, job_id: str, reason: str | None) -> None:
        """See `JobLedger.set_reason`."""
        with _translated():
            if reason is None:
                self._redis.hdel(_job(job_id), "reason")
            else:
                self._redis.hset(_job(job_id), "reason", reason)

    def unfinished_chunks(self) -> list[tuple[str, int]]:
        """See `JobLedger.unfinished_chunks`."""
        with _translated():
            active = sorted(cast(set[str], self._redis.smembers(_ACTIVE)))
            return [
                (job_id, int(chunk))
                for job_id in active
                for chunk in sorted(
                    cast(set[str], self._redis.sdiff([_chunks(job_id), _done(job_id)])), key=int
                )
            ]

    def ping(self) -> None:
        """See `JobLedger.ping`."""
        with _translated():
            self._redis.ping()


def _job(job_id: str) -> str:
    return f"{_PREFIX}job:{job_id}"


def _chunks(job_id: str) -> str:
    return f"{_PREFIX}job:{job_id}:chunks"


def _done(job_id: str) -> str:
    return f"{_PREFIX}job:{job_id}:done"


def _slots(job_id: str) -> str:
    return f"{_PREFIX}job:{job_id}:slots"


def _keys(job_id: str) -> list[str]:
    return [_job(job_id), _chunks(job_id), _done(job_id), _ACTIVE, _slots(job_id)]


def _to_job(job_id: str, fields: Mapping[str, str]) -> Job:
    finished_at, expected = fields.get("finished_at"), fields.get("expected")
    return Job(
        job_id=job_id,
        source=fields["source"],
        created_at=datetime.fromisoformat(fields["created_at"]),
        sealed=fields["sealed"] == "1",
        total=int(fields["total"]),
        counts={status: int(fields.get(f"count:{status.value}", 0)) for status in ItemStatus},
        finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
        reason=fields.get("reason"),
        expected=int(expected) if expected else None,
    )


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
