"""The `KeyStore` port over Redis: a hash per key, a sorted set of them, and a key per session."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import redis

from petsearch.adapters.redis.client import redis_errors
from petsearch.domain.api_keys import ApiKey, Scope
from petsearch.domain.errors import NotFound
from petsearch.ports import KeyStore

_PREFIX = "petsearch:"
_KEYS = f"{_PREFIX}keys"
_WHAT = "API keys"
_FORMAT = "format"
"""Absent: from before there was the scope places."""
# Only fields of a key that is there: neither may bring a key into being.
_SET_IF_KNOWN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if ARGV[3] == '1' then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
return 1
"""


class RedisKeys(KeyStore):
    """API keys and sessions over a Redis client that decodes responses."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._set_if_known = client.register_script(_SET_IF_KNOWN)

    @redis_errors(_WHAT)
    def add(self, key: ApiKey) -> None:
        with self._redis.pipeline() as pipe:
            pipe.hset(_key(key.key_id), mapping=cast(Mapping[Any, Any], _to_fields(key)))
            pipe.zadd(_KEYS, {key.key_id: key.created_at.timestamp()})
            pipe.execute()

    @redis_errors(_WHAT)
    def all(self) -> list[ApiKey]:
        ids = cast(list[str], self._redis.zrange(_KEYS, 0, -1))
        with self._redis.pipeline(transaction=False) as pipe:
            for key_id in ids:
                pipe.hgetall(_key(key_id))
            return [_to_key(fields) for fields in pipe.execute()]

    def revoke(self, key_id: str, now: datetime) -> None:
        if not self._set(key_id, "revoked_at", now, only_once=True):
            raise NotFound(f"There is no key {key_id!r}.")

    def note_use(self, key_id: str, at: datetime) -> None:
        self._set(key_id, "last_used_at", at, only_once=False)

    @redis_errors(_WHAT)
    def open_session(self, token_hash: str, key_id: str, for_s: float) -> None:
        self._redis.set(_session(token_hash), key_id, px=max(1, int(for_s * 1000)))

    @redis_errors(_WHAT)
    def session_key_id(self, token_hash: str) -> str | None:
        return cast(str | None, self._redis.get(_session(token_hash)))

    @redis_errors(_WHAT)
    def close_session(self, token_hash: str) -> None:
        self._redis.delete(_session(token_hash))

    @redis_errors(_WHAT)
    def _set(self, key_id: str, field: str, at: datetime, *, only_once: bool) -> bool:
        arguments = (field, at.isoformat(), int(only_once))
        return bool(self._set_if_known(keys=[_key(key_id)], args=arguments))


def _key(key_id: str) -> str:
    return f"{_PREFIX}key:{key_id}"


def _session(token_hash: str) -> str:
    return f"{_PREFIX}session:{token_hash}"


def _to_fields(key: ApiKey) -> dict[str, str]:
    times = {
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
    return {
        "id": key.key_id,
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        _FORMAT: "2",
        "secret_hash": key.secret_hash,
        "origins": " ".join(key.origins),
        **{name: at.isoformat() for name, at in times.items() if at is not None},
    }


def _to_key(fields: Mapping[str, str]) -> ApiKey:
    return ApiKey(
        key_id=fields["id"],
        name=fields["name"],
        scopes=_scopes(fields),
        created_at=datetime.fromisoformat(fields["created_at"]),
        secret_hash=fields["secret_hash"],
        expires_at=_time(fields, "expires_at"),
        last_used_at=_time(fields, "last_used_at"),
        revoked_at=_time(fields, "revoked_at"),
        origins=tuple(fields.get("origins", "").split()),
    )


def _scopes(fields: Mapping[str, str]) -> frozenset[Scope]:
    """Older keys with the scope search, made before the scope places, still see exact places."""
    scopes = frozenset(Scope(name) for name in fields["scopes"].split())
    saw_places = _FORMAT not in fields and Scope.SEARCH in scopes
    return scopes | {Scope.PLACES} if saw_places else scopes


def _time(fields: Mapping[str, str], name: str) -> datetime | None:
    return datetime.fromisoformat(fields[name]) if name in fields else None
