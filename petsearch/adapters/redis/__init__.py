"""Redis and Celery: the job ledger, API keys, rate limits, shared searches, the write set, the
queue and its transport, and a private redis-server for the single process.
"""

from petsearch.adapters.redis.celery_queue import CeleryQueue, make_celery
from petsearch.adapters.redis.keys import RedisKeys
from petsearch.adapters.redis.ledger import RedisLedger
from petsearch.adapters.redis.limits import RedisLimiter
from petsearch.adapters.redis.shares import RedisShares
from petsearch.adapters.redis.write_set import RedisWriteSet

__all__ = [
    "CeleryQueue",
    "RedisKeys",
    "RedisLedger",
    "RedisLimiter",
    "RedisShares",
    "RedisWriteSet",
    "make_celery",
]
