"""The house that ingest, reindex and maintenance are tested in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.house import House, open_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The services and a worker, over real parts that are empty."""
    with open_house(tmp_path) as opened:
        yield opened
