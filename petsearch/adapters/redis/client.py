"""A Redis client for what every request waits for: it gives up soon and does not try again."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def impatient(client: redis.Redis, patience_s: float) -> redis.Redis:
    """A client of the same server with connections of its own; each call waits so long at most."""
    pool = client.connection_pool
    limits = {
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": patience_s,
        "socket_connect_timeout": patience_s,
    }
    own = redis.ConnectionPool(
        connection_class=pool.connection_class, **{**pool.connection_kwargs, **limits}
    )
    return redis.Redis.from_pool(own)
