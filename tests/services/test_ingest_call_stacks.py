"""How many frames of ours are on the stack when a worker's chunk reaches the Qdrant client."""

import warnings
from pathlib import Path
from typing import Any

from qdrant_client import QdrantClient

from petsearch.adapters.qdrant.index import QdrantIndex
from petsearch.adapters.redis.celery_queue import INGEST_CHUNK
from petsearch.app.services import build_services
from petsearch.domain import ImageMetadata
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.jobs import Upload
from services.worker.main import create_app
from services.worker.runtime import build_runtime
from tests import pictures
from tests.call_stacks import own_frames
from tests.contract.tiny_clip import TinyClip
from tests.decoding import decoders
from tests.services.house import settings_in

MAX_FRAMES = 8


class RecordingClient(QdrantClient):
    """A client in memory that records the frames that call its upsert."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.frames: list[str] = []

    def upsert(self, *arguments: Any, **options: Any) -> Any:
        """See `QdrantClient.upsert`."""
        self.frames = own_frames()
        return super().upsert(*arguments, **options)


def test_a_chunk_reaches_the_upsert_in_few_frames(tmp_path: Path) -> None:
    # The client's local mode has no payload indexes, and warns about it.
    warnings.filterwarnings("ignore", message="Payload indexes have no effect")
    client = RecordingClient()
    settings = settings_in(tmp_path, allow_no_keys=True)
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    services = build_services(
        settings, embedder=embedder, decoders=decoders(), index=QdrantIndex(client)
    )
    try:
        app = create_app(services, build_runtime(services))
        job = services.jobs.open("test")
        upload = Upload(pictures.jpeg(1), ImageMetadata(filename="1.jpg"))
        services.jobs.add_photos(job.job_id, [upload], 1)
        app.tasks[INGEST_CHUNK].apply(args=(job.job_id, 0))
        assert services.jobs.get(job.job_id).done == 1
    finally:
        services.close()
    print(*client.frames, sep="\n")  # noqa: T201  # the figure that the test is about
    assert 0 < len(client.frames) <= MAX_FRAMES
