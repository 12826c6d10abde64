"""The `ShareStore` port over Redis: a hash per shared search, which Redis itself expires.

A set for each caller, and one for all, name what was shared. They count what is still there, so
that nothing but its expiry or its deletion has to happen for one to count no more.
"""

from datetime import datetime
from typing import Any, cast

import numpy as np
import redis

from petsearch.adapters.redis.client import redis_errors
from petsearch.domain.errors import Overloaded
from petsearch.ports import SharedSearch, ShareStore

MOST_OF_CALLER = 20
MOST_OF_ALL = 300
"""A copy of 800 x 800 pixels of noise has 0.7 MB, one of a photo 0.1 MB."""
_PREFIX = "petsearch:shared:"
_ALL, _CALLER = "petsearch:shared-by-all", "petsearch:shared-by:"
_WHAT = "shared searches"
_FLOATS = np.dtype("<f4")
# Answers 0, or how many milliseconds it takes until the first that counts has expired.
_ADD = """
local for_ms, prefix = tonumber(ARGV[1]), ARGV[2]
for n = 2, 3 do
  local count, first_ms = 0, for_ms
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[n])) do
    local left_ms = redis.call('PTTL', prefix .. id)
    if left_ms > 0 then
      count, first_ms = count + 1, math.min(first_ms, left_ms)
    else
      redis.call('SREM', KEYS[n], id)
    end
  end
  if count >= tonumber(ARGV[n + 2]) then return first_ms end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('PEXPIRE', KEYS[1], for_ms)
for n = 2, 3 do
  redis.call('SADD', KEYS[n], ARGV[3])
  redis.call('PEXPIRE', KEYS[n], for_ms)
end
return 0
"""


class RedisShares(ShareStore):
    """Shared searches over a Redis client that does not decode responses: photos are bytes.

    Args:
        of_caller: the most that are kept of one caller.
        of_all: the most that are kept of all callers together.
    """

    def __init__(
        self, client: redis.Redis, *, of_caller: int = MOST_OF_CALLER, of_all: int = MOST_OF_ALL
    ) -> None:
        self._redis = client
        self._limits = (of_caller, of_all)
        self._add = client.register_script(_ADD)

    @redis_errors(_WHAT)
    def add(self, share_id: str, shared: SharedSearch, caller: str, for_s: float) -> None:
        fields = [part for field in _to_fields(shared).items() for part in field]
        wait_ms = self._add(
            keys=[_PREFIX + share_id, _CALLER + caller, _ALL],
            args=[int(for_s * 1000), _PREFIX, share_id, *self._limits, *fields],
        )
        if wait_ms:
            raise Overloaded(
                "Too many searches are shared: at most {} of one caller and {} in all. Delete one "
                "of yours, or wait until one expires.".format(*self._limits),
                retry_after_s=cast(int, wait_ms) / 1000,
            )

    @redis_errors(_WHAT)
    def get(self, share_id: str) -> SharedSearch | None:
        fields = cast(dict[bytes, bytes], self._redis.hgetall(_PREFIX + share_id))
        return _to_shared(fields) if fields else None

    @redis_errors(_WHAT)
    def delete(self, share_id: str) -> bool:
        return bool(self._redis.delete(_PREFIX + share_id))


def _to_fields(shared: SharedSearch) -> dict[str, Any]:
    return {
        "photo": shared.photo,
        "embedding": shared.embedding.astype(_FLOATS).tobytes(),
        "model_id": shared.model_id,
        "expires_at": shared.expires_at.isoformat(),
        "delete_hash": shared.delete_hash,
    }


def _to_shared(fields: dict[bytes, bytes]) -> SharedSearch:
    return SharedSearch(
        photo=fields[b"photo"],
        embedding=np.frombuffer(fields[b"embedding"], _FLOATS).astype(np.float32),
        model_id=fields[b"model_id"].decode(),
        expires_at=datetime.fromisoformat(fields[b"expires_at"].decode()),
        delete_hash=fields[b"delete_hash"].decode(),
    )
