"""The services and a worker as the composition root builds them, over real parts.

Qdrant Edge, files, a database of the tests' Redis and tiny CLIPs. The queue alone is ours, so that
a test delivers what is queued when and as often as it likes.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.adapters.redis import RedisLedger
from petsearch.app.services import Services, build_services, utc_now
from petsearch.domain import (
    Filters,
    ImageMetadata,
    ImageRecord,
    ItemStatus,
    Job,
    JobOptions,
    Outcome,
    QueueName,
    image_id_of,
    sha256_of,
)
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.jobs import Dispatcher, Enumerator, Jobs, Upload
from petsearch.models import Catalogue, Registry, collection_of
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.ports import Embedder, ObjectStore, TaskQueue
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import FanOutIndex, ModelChanges, WriteSet
from petsearch.settings import Settings
from petsearch.sources import SourceContext
from services.worker.chunk_worker import ChunkWorker
from services.worker.runtime import WorkerRuntime, build_runtime
from tests import pictures
from tests.contract.tiny_clip import OtherClip, TinyClip
from tests.decoding import decoders
from tests.redis_server import new_database
from tests.waiting import wait_until

OLD, NEW = TinyClip().info.model_id, OtherClip().info.model_id
A, B = collection_of(OLD), collection_of(NEW)
LEASE_S = 2.0
"""Short, for tests that wait for its end; a busy machine extends it late."""
SHORT = 0.002
"""Of the pauses that workers take after a failure, for tests."""


class RecordingQueue(TaskQueue):
    """Keeps what is queued."""

    def __init__(self) -> None:
        self.chunks: list[tuple[str, int]] = []
        self.discards: list[str] = []
        self.readings: list[str] = []
        self.names: list[QueueName] = []

    def enqueue_chunk(self, job_id: str, chunk_no: int, queue: QueueName) -> None:
        self.chunks.append((job_id, chunk_no))
        self.names.append(queue)

    def enqueue_enumeration(self, job_id: str) -> None:
        self.readings.append(job_id)

    def enqueue_discard(self, job_id: str) -> None:
        self.discards.append(job_id)

    def depth(self, queue: QueueName) -> int:
        """A lost message is not in it."""
        return 0 if queue in self.names else -1


class Cut(BaseException):
    """The process ended here: nobody catches this."""


class WatchedIndex:
    """An index that tells of its calls, and ends the process at one of them."""

    def __init__(self, index: RawIndex) -> None:
        self._index = index
        self.calls = 0
        self.trip_at = -1
        self.on_call: Callable[[str, str], None] = lambda *_: None
        """Told of each call (its name, its collection) before it is done."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._index, name)
        if name in ("current", "recent", "close", "ping"):
            return found

        def call(collection: str, *arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.trip_at:
                raise Cut
            self.on_call(name, collection)
            return found(collection, *arguments, **options)

        return call


def settings_in(folder: Path, **more: Any) -> Settings:
    """Settings of services that keep everything in `folder` and in an empty database of Redis.

    The embedder is given to `build_services`, unless `more` names its address.
    """
    return Settings(
        **{
            "embedder_url": "http://given.below",
            "index_url": f"edge:{folder / 'index'}",
            "store_url": f"file:{folder / 'objects'}",
            "redis_url": new_database(),
            # Tests that are not about time share the processors with others.
            "request_deadline_s": 30.0,
            **more,
        }
    )


@dataclass(frozen=True)
class House:
    """What a test works with."""

    services: Services
    runtime: WorkerRuntime
    changes: ModelChanges
    queue: RecordingQueue
    index: WatchedIndex
    clip: TinyClip
    other_clip: OtherClip

    @property
    def jobs(self) -> Jobs:
        return self.services.jobs

    @property
    def store(self) -> ObjectStore:
        return self.services.storage.store

    @property
    def ledger(self) -> RedisLedger:
        return self.services.storage.ledger

    @property
    def redis(self) -> redis.Redis:
        return self.services.storage.redis

    @property
    def dispatcher(self) -> Dispatcher:
        return self.services.storage.dispatcher

    @property
    def write_set(self) -> WriteSet:
        return self.services.storage.write_set

    @property
    def writer(self) -> FanOutIndex:
        return self.services.parts.writer

    @property
    def catalogue(self) -> Catalogue:
        return self.services.parts.catalogue

    @property
    def embedder(self) -> Embedder:
        return self.services.parts.embedder

    @property
    def worker(self) -> ChunkWorker:
        return self.runtime.chunks

    @property
    def enumerator(self) -> Enumerator:
        return self.runtime.enumerator

    def open_job(self, *uploads: Upload, **options: Any) -> str:
        """A sealed job of one chunk, with `JobOptions`."""
        job_id = self.jobs.open("test", JobOptions(**options)).job_id
        self.jobs.add_photos(job_id, uploads, len(uploads))
        self.jobs.seal(job_id)
        return job_id

    def ingest(self, *uploads: Upload) -> list[str]:
        """Bring photos in; their ids."""
        self.open_job(*uploads)
        self.run()
        return [image_id_of(sha256_of(upload.data)) for upload in uploads]

    def poison(self, seed: int, clip: TinyClip | None = None) -> None:
        """Let the embedder fail with the photo of this seed, by the current model or by `clip`."""
        clip = clip or self.clip
        picture = decode.decode(pictures.jpeg(seed), ImageLimits()).picture
        clip.poison = preprocessing.to_pixels(picture, clip.info.pixel_spec)

    def kill_workers(self, job_id: str, item_no: int, times: int) -> None:
        """Leave what workers leave that are killed while they work on an item of chunk 0."""
        for _ in range(times):
            self.ledger.claim_chunk(job_id, 0, "dead", 0.001)
            self.ledger.mark_item(job_id, item_no)
            wait_until(
                lambda: any(work.lost for work in self.ledger.overdue_work([job_id], 60, 60))
            )
            self.ledger.requeue_chunk(job_id, 0, LEASE_S, utc_now())

    def deliver(self) -> None:
        """Give every queued chunk to the worker, once more if it was given before."""
        for chunk in list(self.queue.chunks):
            self.worker.work(*chunk)

    def run(self) -> None:
        """Read sources and work on chunks until nothing more is queued."""
        while self.queue.readings or self.queue.chunks:
            readings, self.queue.readings = self.queue.readings, []
            found, self.queue.chunks = self.queue.chunks, []
            for reading in readings:
                self.enumerator.work(reading)
            for chunk in found:
                self.worker.work(*chunk)

    def reindex(self) -> Job:
        """Build the collection of the other model; the ended job."""
        job = self.changes.reindex(NEW)
        self.run()
        return self.ledger.get(job.job_id)

    def counts(self, job_id: str) -> dict[str, int]:
        """The job's counters that are not 0."""
        return {s.value: n for s, n in self.jobs.get(job_id).counts.items() if n}

    def outcomes(self, job_id: str, status: ItemStatus | None = None) -> list[Outcome]:
        """What became of every item, page by page."""
        found: list[Outcome] = []
        cursor = None
        while True:
            page = self.jobs.outcomes(job_id, status, cursor=cursor, limit=2)
            found += page.outcomes
            cursor = page.next_cursor
            if cursor is None:
                return found

    def record(self, data: bytes) -> ImageRecord:
        """The indexed record of a photo."""
        return self.all_of(self.catalogue.collection())[image_id_of(sha256_of(data))]

    def all_of(self, collection: str) -> dict[str, ImageRecord]:
        """Every record of a collection."""
        ids = self.index.list_ids(collection, after=None, limit=1000)
        found: dict[str, ImageRecord] = self.index.get(collection, ids)
        return found

    def count(self, collection: str | None = None) -> int:
        """Images in a collection, or in the current one."""
        return int(self.index.count(collection or self.catalogue.collection(), Filters()))


@contextmanager
def open_house(
    folder: Path,
    *,
    clip: TinyClip | None = None,
    queue: RecordingQueue | None = None,
    sources: Callable[[SourceContext], SourceContext] = lambda context: context,
    **more: Any,
) -> Iterator[House]:
    """A house over parts that are empty, where another model is published; closed at the end.

    Args:
        clip: the model that is served; the tiny one if not given.
        sources: changes what jobs may read, and with what.
        more: settings.
    """
    clip, other = clip or TinyClip(), OtherClip()
    queue, index = queue or RecordingQueue(), WatchedIndex(QdrantEdgeIndex(folder / "index"))
    embedder = BatchingEmbedder(
        clip, BatchingOptions(), load=lambda spec: other if spec == other.info.spec else clip
    )
    settings = settings_in(
        folder,
        import_dirs=(folder,),
        lease_s=LEASE_S,
        job_chunks=4,
        ingest_batch_size=4,
        decode_threads=2,
        **more,
    )
    services = build_services(
        settings, embedder=embedder, index=index, queue=queue, decoders=decoders()
    )
    read_with = sources(services.parts.sources)
    services = replace(
        services,
        jobs=replace(services.jobs, sources=read_with),
        parts=replace(services.parts, sources=read_with),
    )
    try:
        services.initialise()
        publish(services, folder, metrics=True)
        runtime = build_runtime(services, jitter=lambda: SHORT)
        changes = replace(services.models, rng=random.Random(1))
        yield House(services, runtime, changes, queue, index, clip, other)
    finally:
        services.close()


def publish(services: Services, folder: Path, *, metrics: bool) -> None:
    """Publish the other model, with metrics or without."""
    names = ("weights", "metrics.json") if metrics else ("weights",)
    files = {name: folder / name for name in names}
    for file in files.values():
        file.write_text("{}")
    Registry(services.storage.store).publish(NEW, files, utc_now())


def photo(seed: int, **said: Any) -> Upload:
    """A photo of noise, and what is said of it."""
    return Upload(pictures.jpeg(seed), ImageMetadata(filename=f"{seed}.jpg", **said))
