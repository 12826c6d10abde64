"""What the Redis adapters share: clients with time limits, and the translation of errors."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.connection import AbstractConnection, UnixDomainSocketConnection
from redis.retry import Retry

from petsearch.domain import deadline
from petsearch.domain.errors import StorageFull, Unavailable

_LONGEST_PAUSE_S = 2.0
_NOT_WRITABLE = ("used memory > 'maxmemory'", "read only replica")


T = TypeVar("T")


class _InTime(AbstractConnection):
    """A connection whose time-outs are shortened to what is left until the deadline."""

    @property
    def socket_timeout(self) -> float:
        return deadline.left_s(self._socket_timeout or math.inf)

    @socket_timeout.setter
    def socket_timeout(self, value: float) -> None:
        self._socket_timeout = value

    @property
    def socket_connect_timeout(self) -> float:
        return deadline.left_s(self._socket_connect_timeout or math.inf)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: float) -> None:
        self._socket_connect_timeout = value

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002  # redis-py's
        if self._sock is not None:
            self._sock.settimeout(self.socket_timeout)
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]  # redis-py's


class _TcpInTime(_InTime, redis.Connection):
    pass


class _TlsInTime(_InTime, redis.SSLConnection):
    pass


class _UnixInTime(_InTime, UnixDomainSocketConnection):
    pass


_IN_TIME = {
    redis.Connection: _TcpInTime,
    redis.SSLConnection: _TlsInTime,
    UnixDomainSocketConnection: _UnixInTime,
}


class _RetryInTime(Retry):
    """Repeats what failed, unless the pause before that might last beyond the deadline."""

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Any,
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,  # noqa: FBT001, FBT002  # redis-py's
    ) -> T:
        def is_worthwhile(error: Exception) -> bool:
            is_wanted = is_retryable is None or is_retryable(error)
            return is_wanted and deadline.left_s() > _LONGEST_PAUSE_S

        return super().call_with_retry(do, fail, is_worthwhile, with_failure_count)


def connect(url: str) -> redis.Redis:
    """A client of `redis://…`, `rediss://…` or `unix://<path>`. Sends nothing yet."""
    retry = _RetryInTime(ExponentialWithJitterBackoff(base=0.5, cap=_LONGEST_PAUSE_S), 4)
    pool = redis.ConnectionPool.from_url(
        url, decode_responses=True, socket_timeout=10, socket_connect_timeout=5, retry=retry
    )
    pool.connection_class = _IN_TIME[pool.connection_class]
    return redis.Redis.from_pool(pool)


def without_retries(
    client: redis.Redis, timeout_s: float, *, decode_responses: bool = True
) -> redis.Redis:
    """A client of the same server with connections of its own, for what every request waits for.

    Args:
        timeout_s: of each call, which is not repeated.
        decode_responses: to text; otherwise they are bytes.
    """
    pool = client.connection_pool
    limits = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "decode_responses": decode_responses,
    }
    own = redis.ConnectionPool(
        connection_class=pool.connection_class, **{**pool.connection_kwargs, **limits}
    )
    return redis.Redis.from_pool(own)


@contextmanager
def redis_errors(what: str) -> Iterator[None]:
    """Raise `Unavailable` or `StorageFull` for what Redis raises; `what` is named in the message.

    Also a decorator.
    """
    deadline.check(f"the {what} (Redis)")
    try:
        yield
    except redis.RedisError as error:
        raise unavailable(what, error) from error


def unavailable(what: str, error: Exception) -> Unavailable:
    """`StorageFull` or `Unavailable` for an error of Redis or of what wraps it."""
    message = str(error)
    if "MISCONF" in message:
        return StorageFull("The disk of Redis is full; free some space.")
    # By their words, because a script's errors have no class of their own.
    if any(words in message for words in _NOT_WRITABLE):
        return StorageFull(f"The {what} cannot be written: {message}")
    if isinstance(error, redis.AuthenticationError):
        return Unavailable(
            f"The {what} cannot be reached: Redis rejects the password; check PETSEARCH_REDIS_URL."
        )
    # Its words name the address, and callers from outside see the message.
    return Unavailable(f"The {what} cannot be reached: Redis does not answer.")
