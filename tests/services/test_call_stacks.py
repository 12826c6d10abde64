"""How many frames of ours are on the stack when a library is called."""

import warnings
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from qdrant_client import QdrantClient

from petsearch.adapters.qdrant.index import QdrantIndex
from petsearch.app.services import build_services
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from services.api.app import build_app
from tests.call_stacks import own_frames
from tests.contract.tiny_clip import TinyClip
from tests.decoding import decoders
from tests.services.house import settings_in

MOST_FRAMES = 6


class RecordingClient(QdrantClient):
    """A client in memory that remembers who called its search."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.frames: list[str] = []

    def query_points(self, *arguments: Any, **options: Any) -> Any:
        """See `QdrantClient.query_points`."""
        self.frames = own_frames()
        return super().query_points(*arguments, **options)


def test_a_text_search_reaches_qdrant_in_few_frames(tmp_path: Path) -> None:
    # It keeps no payload indexes, and says so.
    warnings.filterwarnings("ignore", message="Payload indexes have no effect")
    client = RecordingClient()
    settings = settings_in(tmp_path, allow_no_keys=True)
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    services = build_services(
        settings, embedder=embedder, decoders=decoders(), index=QdrantIndex(client)
    )
    services.initialise()
    with TestClient(build_app(services), base_url="http://127.0.0.1") as api:
        assert api.get("/v1/search", params={"q": "a cat"}).status_code == 200
    services.close()
    print(*client.frames, sep="\n")  # noqa: T201  # the figure that the test is about
    assert 0 < len(client.frames) <= MOST_FRAMES
