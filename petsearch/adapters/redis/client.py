"""What the Redis adapters share: a client with short timeouts, and the translation of errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from petsearch.domain.errors import StorageFull, Unavailable


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
    except (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError) as error:
        raise StorageFull(f"The {what} cannot be written: {error}") from error
    except redis.RedisError as error:
        if "MISCONF" in str(error):
            raise StorageFull("The disk of Redis is full; free some space.") from error
        raise Unavailable(
            f"The {what} cannot be reached: Redis does not answer ({error})."
        ) from error
