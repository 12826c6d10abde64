"""How many requests a minute a key, or an address without one, may send; and how that is said."""

import math
import time
from dataclasses import dataclass

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from petsearch.adapters.redis.limits import Allowance, RedisLimiter
from petsearch.domain.errors import Unavailable
from petsearch.observability import get_logger
from services.api.callers import Caller

log = get_logger(__name__)

_ASK_AGAIN_S = 5.0
_WINDOW_S = 60


@dataclass(frozen=True)
class Verdict:
    """What the limits say to one request."""

    allowance: Allowance
    per_minute: int

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit fields (draft-ietf-httpapi-ratelimit-headers-10), Retry-After on refusal."""
        left, full_s = self.allowance.remaining, math.ceil(self.allowance.full_after_s)
        headers = {
            "RateLimit-Policy": f'"minute";q={self.per_minute};w={_WINDOW_S}',
            "RateLimit": f'"minute";r={left};t={full_s}',
        }
        if not self.allowance.is_granted:
            headers["Retry-After"] = str(max(1, math.ceil(self.allowance.retry_after_s)))
        return headers


class RateLimits:
    """Counts requests in Redis, by key or by address.

    While Redis is away nothing is counted, and nobody is refused for that: what is left to call
    then are searches, and an outage of the counter must not be one of the search. Redis is asked
    again every few seconds, so that a request does not wait for it each time.
    """

    def __init__(
        self, limiter: RedisLimiter, threads: CapacityLimiter, *, of_key: int, of_address: int
    ) -> None:
        self._limiter = limiter
        self._threads = threads
        self._of_key = of_key
        self._of_address = of_address
        self._not_before = 0.0

    async def take(self, caller: Caller) -> Verdict | None:
        """Count a request; None where there is no limit, or it cannot be counted."""
        per_minute = self._of_key if caller.is_known else self._of_address
        if per_minute == 0 or time.monotonic() < self._not_before:
            return None
        if self._not_before:
            self._not_before = time.monotonic() + _ASK_AGAIN_S  # one asks again, not all at once
        try:
            allowance = await run_sync(
                self._limiter.take, caller.counted_as, per_minute, limiter=self._threads
            )
        except Unavailable:
            if self._not_before == 0.0:
                log.warning("requests cannot be counted; rate limits do not hold")
            self._not_before = time.monotonic() + _ASK_AGAIN_S
            return None
        if self._not_before:
            log.info("requests are counted again")
            self._not_before = 0.0
        return Verdict(allowance, per_minute)
