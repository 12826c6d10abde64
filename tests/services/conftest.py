"""The house that ingest is tested in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from petsearch.adapters.private_redis import PrivateRedis
from tests.services.ingest_house import House, ingest_house


@pytest.fixture(scope="session")
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A redis-server of our own; each test empties it."""
    server = PrivateRedis(tmp_path_factory.mktemp("redis"))
    client = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
    yield client
    client.close()
    server.close()


@pytest.fixture
def house(tmp_path: Path, private_redis: redis.Redis) -> Iterator[House]:
    """Everything that ingest touches."""
    with ingest_house(tmp_path, private_redis) as opened:
        yield opened
