"""Projects of Docker Compose that several tests share, because each takes long to start."""

from collections.abc import Iterator

import pytest

from tests.compose.projects import Project, project


@pytest.fixture(scope="session")
def plain() -> Iterator[Project]:
    """docker-compose.yml alone, started; photos that tests add stay."""
    with project("plain") as started:
        started.start()
        yield started
