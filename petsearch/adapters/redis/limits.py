"""Rate limits over Redis: a bucket per caller that fills evenly, as one script.

The generic cell rate algorithm: a key holds the time at which the bucket is full again, and
nothing is kept of a caller whose bucket is full.
"""

from dataclasses import dataclass
from typing import cast

import redis

from petsearch.adapters.redis.client import redis_errors

# In microseconds, because a limit of many requests has less than a millisecond for each.
_TAKE = """
local time, limit = redis.call('TIME'), tonumber(ARGV[1])
local now = time[1] * 1000000 + time[2]
local each = 60000000 / limit
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local granted = full_at + each <= now + 60000000 + 1
if granted then
  full_at = full_at + each
  local ttl_ms = math.ceil((full_at - now) / 1000)
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', ttl_ms)
end
local remaining = math.floor((now + 60000000 + 1 - full_at) / each)
local wait = math.max(0, full_at + each - now - 60000000)
return {granted and 1 or 0, remaining, math.ceil(wait / 1000), math.ceil((full_at - now) / 1000)}
"""


@dataclass(frozen=True)
class Allowance:
    """The answer of a rate limit to one request."""

    is_granted: bool
    remaining: int
    """Requests that would be granted now."""
    retry_after_s: float
    """How long until the next one is granted; 0 where one would be now."""
    full_after_s: float
    """How long until all of the limit is there again."""


class RedisLimiter:
    """Counts the requests of all processes together, over a Redis client."""

    def __init__(self, client: redis.Redis) -> None:
        self._take = client.register_script(_TAKE)

    @redis_errors("rate limits")
    def take(self, who: str, per_minute: int) -> Allowance:
        """Ask for one request of `who`, who may have a minute's worth at once."""
        answer = self._take(keys=[f"petsearch:rate:{who}"], args=[per_minute])
        granted, remaining, wait_ms, full_ms = cast(list[int], answer)
        return Allowance(bool(granted), remaining, wait_ms / 1000, full_ms / 1000)
