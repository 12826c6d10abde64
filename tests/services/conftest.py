"""The house that ingest is tested in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.services.ingest_house import House, ingest_house


@pytest.fixture
def house(tmp_path: Path, private_redis: redis.Redis) -> Iterator[House]:
    """Everything that ingest touches."""
    with ingest_house(tmp_path, private_redis) as opened:
        yield opened
