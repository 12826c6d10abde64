"""While requests are refused, the photos of bulk work in the same process wait."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Scope
from structlog.testing import capture_logs

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.app.giving_way import GivingWay
from petsearch.app.services import Services, build_services
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from services.api.app import build_app
from services.http.admission import Room
from tests import coroutines, pictures
from tests.contract.tiny_clip import TinyClip
from tests.services.house import RecordingQueue, settings_in

_SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": []}


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


def waited_s(giving_way: GivingWay, clock: Clock) -> float:
    """How long one photo waits."""
    began_s = clock.now_s
    giving_way.before_photo()
    return clock.now_s - began_s


def test_photos_wait_for_a_second_each_after_a_refusal() -> None:
    clock = Clock()
    giving_way = GivingWay(clock, clock.wait)
    assert waited_s(giving_way, clock) == 0
    giving_way.requests_refused()
    assert waited_s(giving_way, clock) == 1
    assert waited_s(giving_way, clock) == 1
    assert waited_s(giving_way, clock) == 0


def test_photos_have_their_turn_however_many_requests_are_refused() -> None:
    clock = Clock()
    giving_way = GivingWay(clock, clock.wait)
    for _ in range(5):
        giving_way.requests_refused()
        assert waited_s(giving_way, clock) == 1


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Those of a single process, which decodes photos of its own and of searches."""
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    index = QdrantEdgeIndex(tmp_path / "index")
    settings = settings_in(tmp_path)
    found = build_services(settings, embedder=embedder, index=index, queue=RecordingQueue())
    yield found
    found.close()


def test_bulk_work_waits_where_the_api_refuses_and_searches_do_not(services: Services) -> None:
    full_rooms = build_app(services).state.full_rooms
    full_rooms.room_of = lambda _: Room("some", 0, 0)
    photo = pictures.jpeg()

    async def refuse() -> None:
        assert full_rooms.approach(dict(_SCOPE), [], keeps=True)

    def waits() -> tuple[int, int]:
        """Photos that waited, of bulk work and of searches."""
        counts = []
        for decoders in (services.parts.decoders, services.query_decoders):
            with capture_logs() as lines:
                decoders.copies(photo)
            counts.append(sum(line["event"].startswith("photo waits") for line in lines))
        return counts[0], counts[1]

    assert waits() == (0, 0)
    coroutines.run(refuse())
    assert waits() == (1, 0)
