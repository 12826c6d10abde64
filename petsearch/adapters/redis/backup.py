"""What petsearch keeps in Redis as JSON, readable by any version of Redis.

What expires is left out: sessions, rate limits, answers, leases. So is the queue, which workers
fill again from the ledger, and the write set: a reindex that was running is begun again.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any, cast

import redis

from petsearch.adapters.redis.client import redis_errors
from petsearch.domain import JsonDict
from petsearch.domain.errors import InvalidInput
from petsearch.ports import LedgerCopy

_PREFIX = "petsearch:"
_JOBS, _KEYS = f"{_PREFIX}jobs", f"{_PREFIX}keys"
_SHARED = frozenset({_JOBS, f"{_PREFIX}jobs:active", _KEYS})
"""Names of many jobs or keys: what is there already stays."""
_LEFT_OUT = (f"{_PREFIX}write-set",)
_WHAT = "job ledger"
_READ: dict[str, Callable[[Any, str], object]] = {
    "hash": lambda pipe, name: pipe.hgetall(name),
    "list": lambda pipe, name: pipe.lrange(name, 0, -1),
    "set": lambda pipe, name: pipe.smembers(name),
    "zset": lambda pipe, name: pipe.zrange(name, 0, -1, withscores=True),
    "string": lambda pipe, name: pipe.get(name),
}
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

    def counts(self) -> tuple[int, int]:
        with redis_errors(_WHAT):
            return self._redis.zcard(_JOBS), self._redis.zcard(_KEYS)

    def export(self) -> Iterator[JsonDict]:
        with redis_errors(_WHAT):
            names = sorted(set(cast(Iterable[str], self._redis.scan_iter(f"{_PREFIX}*", 1000))))
        for _, group in groupby(names, _owner):
            yield from self._read([name for name in group if not name.startswith(_LEFT_OUT)])

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

    def _read(self, names: list[str]) -> list[JsonDict]:
        with redis_errors(_WHAT), self._redis.pipeline() as pipe:
            for name in names:
                pipe.type(name)
                pipe.pttl(name)
            found = pipe.execute()
            kept = [
                (name, kind)
                for name, kind, ttl_ms in zip(names, found[::2], found[1::2], strict=True)
                if ttl_ms == -1 and kind != "none"
            ]
            for name, kind in kept:
                _READ[kind](pipe, name)
            values = pipe.execute()
        return [
            {"name": name, "type": kind, "value": _as_json(kind, value)}
            for (name, kind), value in zip(kept, values, strict=True)
            if value
        ]


def _owner(name: str) -> str:
    """What is read at one moment: a job with all its parts."""
    return ":".join(name.split(":")[:3])


def _as_json(kind: str, value: Any) -> Any:
    if kind == "set":
        return sorted(value)
    return [list(pair) for pair in value] if kind == "zset" else value
