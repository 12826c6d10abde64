"""What Redis raises, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from petsearch.domain.errors import StorageFull, Unavailable


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise `Unavailable` or `StorageFull` for what Redis raises; `what` begins the sentence."""
    try:
        yield
    except (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError) as error:
        raise StorageFull(f"{what} cannot be written: {error}") from error
    except redis.RedisError as error:
        if "MISCONF" in str(error):
            raise StorageFull("The disk of Redis is full; free some space.") from error
        raise Unavailable(f"{what} cannot be reached, Redis does not answer: {error}") from error
