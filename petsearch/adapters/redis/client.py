"""What the Redis adapters share: a client with short timeouts, and the translation of errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from petsearch.domain.errors import StorageFull, Unavailable

_NOT_WRITABLE = ("used memory > 'maxmemory'", "read only replica")


def without_retries(client: redis.Redis, timeout_s: float) -> redis.Redis:
    """A client of the same server with connections of its own, for what every request waits for.

    Args:
        timeout_s: of each call, which is not repeated.
    """
    pool = client.connection_pool
    limits = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
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
    return Unavailable(f"The {what} cannot be reached: Redis does not answer ({message}).")
