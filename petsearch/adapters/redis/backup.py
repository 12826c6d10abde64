"""What petsearch keeps in Redis as JSON, readable by any version of Redis.

What expires is left out: sessions, rate limits, answers, leases. So is the queue, which workers
fill again from the ledger, and the write set: a reindex that was running is begun again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import redis

from petsearch.adapters.redis.client import redis_errors
from petsearch.adapters.redis.job_keys import (
    ACTIVE,
    DISCARDS,
    JOB_PREFIX,
    JOBS,
    PREFIX,
    job_key,
    keys_of,
)
from petsearch.domain import JsonDict
from petsearch.domain.errors import InvalidInput
from petsearch.ports import LedgerCopy, OpenChunks

_KEYS = f"{PREFIX}keys"
_SHARED = frozenset({JOBS, ACTIVE, DISCARDS, _KEYS})
"""Names of many jobs or keys: what is there already stays."""
_LEFT_OUT = (f"{PREFIX}write-set", JOB_PREFIX, JOBS)
"""Beginnings of names that are not read by name: jobs are read one by one."""
_WHAT = "job ledger"
# Everything under some names at one moment: names, types and values of what does not expire.
_READ = """
local read = {
  hash = function(name) return redis.call('HGETALL', name) end,
  list = function(name) return redis.call('LRANGE', name, 0, -1) end,
  set = function(name) return redis.call('SMEMBERS', name) end,
  zset = function(name) return redis.call('ZRANGE', name, 0, -1, 'WITHSCORES') end,
  string = function(name) return redis.call('GET', name) end,
}
local found = {}
for _, name in ipairs(KEYS) do
  local kind = redis.call('TYPE', name).ok
  if kind ~= 'none' and redis.call('PTTL', name) == -1 then
    found[#found + 1] = {name, kind, read[kind](name)}
  end
end
return found
"""
_WRITE: dict[str, Callable[[Any, str, Any], object]] = {
    "hash": lambda pipe, name, value: pipe.hset(name, mapping=value),
    "list": lambda pipe, name, value: pipe.rpush(name, *value),
    "set": lambda pipe, name, value: pipe.sadd(name, *value),
    "zset": lambda pipe, name, value: pipe.zadd(name, dict(value)),
    "string": lambda pipe, name, value: pipe.set(name, value),
}


class RedisCopy(LedgerCopy):
    """Reads and writes over a Redis client that decodes responses."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._script = client.register_script(_READ)

    def counts(self) -> tuple[int, int]:
        with redis_errors(_WHAT):
            return self._redis.zcard(JOBS), self._redis.zcard(_KEYS)

    def export(self) -> Iterator[JsonDict]:
        with redis_errors(_WHAT):
            opened = cast(list[tuple[str, float]], self._redis.zrange(JOBS, 0, -1, withscores=True))
        jobs, active = [], []
        for job_id, opened_at in opened:
            parts = self._read(keys_of(job_id))
            fields = parts[0]["value"] if parts and parts[0]["name"] == job_key(job_id) else {}
            if "source" not in fields:  # deleted meanwhile
                continue
            yield from parts
            jobs.append([job_id, opened_at])
            if "finished_at" not in fields:
                active.append(job_id)
        # Of these jobs alone: others may have been opened since.
        yield from _entries([(JOBS, "zset", jobs), (ACTIVE, "set", active)])
        for name in self._names():
            yield from self._read([name])

    def open_chunks(self, entries: Iterable[JsonDict]) -> Mapping[str, OpenChunks]:
        next_chunks, unfinished = dict[str, int](), set[str]()
        waiting, added = defaultdict[str, set[int]](set), defaultdict[str, set[int]](set)
        for entry in entries:
            if not entry["name"].startswith(JOB_PREFIX):
                continue
            job_id, _, part = entry["name"].removeprefix(JOB_PREFIX).partition(":")
            match part:
                case "":
                    next_chunks[job_id] = int(entry["value"].get("next_chunk", 0))
                    if "finished_at" not in entry["value"]:  # else its chunks may be forgotten
                        unfinished.add(job_id)
                case "chunks":
                    added[job_id].update(map(int, entry["value"]))
                case "pending":
                    waiting[job_id].update(map(int, entry["value"]))
                case "queued":
                    waiting[job_id].update(int(chunk_no) for chunk_no, _ in entry["value"])
        return {
            job_id: OpenChunks(
                waiting=frozenset(waiting[job_id]),
                not_added=frozenset({*range(next_chunk)} - added[job_id])
                if job_id in unfinished
                else frozenset(),
                next_chunk=next_chunk,
            )
            for job_id, next_chunk in next_chunks.items()
        }

    def load(self, entries: Iterable[JsonDict]) -> None:
        for entry in entries:
            name, kind, value = entry["name"], entry["type"], entry["value"]
            if kind not in _WRITE:
                raise InvalidInput(f"The ledger of the backup has an entry of the type {kind!r}.")
            with redis_errors(_WHAT), self._redis.pipeline() as pipe:
                if name not in _SHARED:
                    pipe.delete(name)
                _WRITE[kind](pipe, name, value)
                pipe.execute()

    def _names(self) -> list[str]:
        with redis_errors(_WHAT):
            found = cast(Iterable[str], self._redis.scan_iter(f"{PREFIX}*", 1000))
            return sorted({name for name in found if not name.startswith(_LEFT_OUT)})

    @redis_errors(_WHAT)
    def _read(self, names: Sequence[str]) -> list[JsonDict]:
        """What does not expire of these names, as of one moment."""
        found = cast(list[tuple[str, str, Any]], self._script(keys=names))
        return _entries((name, kind, _as_json(kind, value)) for name, kind, value in found)


def _entries(found: Iterable[tuple[str, str, Any]]) -> list[JsonDict]:
    return [{"name": name, "type": kind, "value": value} for name, kind, value in found if value]


def _as_json(kind: str, value: Any) -> Any:
    match kind:
        case "hash":
            return dict(_pairs(value))
        case "zset":
            return [[name, float(score)] for name, score in _pairs(value)]
        case "set":
            return sorted(value)
    return value


def _pairs(flat: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and values, which scripts give in turn."""
    return zip(flat[::2], flat[1::2], strict=True)
