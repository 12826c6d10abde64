"""Everything that a change of the model touches over real parts, with two tiny CLIPs."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from petsearch.adapters.objects import FilesystemStore
from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.adapters.redis import RedisLedger, RedisWriteSet
from petsearch.catalogue import Images
from petsearch.domain import (
    Filters,
    ImageRecord,
    Job,
    JobKind,
    image_id_of,
    sha256_of,
)
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.ingest import IngestOptions, Ingestor
from petsearch.jobs import (
    CircuitBreaker,
    Dispatcher,
    DispatchOptions,
    Enumerator,
    Jobs,
    LeaseKeeper,
    Upload,
)
from petsearch.jobs.chunk_runner import ChunkRunner
from petsearch.models import Catalogue, Registry, collection_of, model_id_of
from petsearch.photos import ImageLimits, StoredPixels, resize_with_pillow
from petsearch.ports import IngestObserver
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import Copier, FanOutIndex, ModelChanges, PointMaker, Reindexer, WriteSet
from petsearch.reindex.source import open_reindex
from petsearch.sources import SourceContext
from services.worker.chunk_worker import ChunkWorker
from tests.contract.tiny_clip import OtherClip, TinyClip
from tests.services.ingest_house import LEASE_S, SHORT, RecordingQueue

OLD, NEW = "tiny-000000000000", "tiny-111111111111"
A, B = collection_of(OLD), collection_of(NEW)


class Cut(BaseException):
    """The process ended here: nobody catches this."""


class Tripwire:
    """An index that fails once, at one of its calls, before or after it was done."""

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


@dataclass
class ReindexHouse:
    """What a test works with."""

    jobs: Jobs
    images: Images
    worker: ChunkWorker
    enumerator: Enumerator
    dispatcher: Dispatcher
    changes: ModelChanges
    queue: RecordingQueue
    index: FanOutIndex
    own_index: Tripwire
    store: FilesystemStore
    ledger: RedisLedger
    embedder: BatchingEmbedder
    pixels: StoredPixels
    catalogue: Catalogue
    registry: Registry
    write_set: WriteSet
    write_set_store: RedisWriteSet
    clips: tuple[TinyClip, OtherClip]

    def ingest(self, *uploads: Upload) -> list[str]:
        """Bring photos in; their ids."""
        job_id = self.jobs.open("test").job_id
        self.jobs.add_photos(job_id, uploads, len(uploads))
        self.jobs.seal(job_id)
        self.run()
        return [image_id_of(sha256_of(upload.data)) for upload in uploads]

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
        """Build the new collection; the ended job."""
        job = self.changes.reindex(NEW)
        self.run()
        return self.ledger.get(job.job_id)

    def all_of(self, collection: str) -> dict[str, ImageRecord]:
        """Every record of a collection."""
        ids = self.own_index.list_ids(collection, after=None, limit=1000)
        found: dict[str, ImageRecord] = self.own_index.get(collection, ids)
        return found

    def count(self, collection: str) -> int:
        """Images in a collection."""
        return int(self.own_index.count(collection, Filters()))


@contextmanager
def reindex_house(folder: Path, client: redis.Redis) -> Iterator[ReindexHouse]:
    """A house over an empty Redis, with the new model published; all is closed at the end."""
    client.flushall()
    clips, queue, stopping = (TinyClip(), OtherClip()), RecordingQueue(), threading.Event()
    store, ledger = FilesystemStore(folder / "objects"), RedisLedger(client)
    own_index = Tripwire(QdrantEdgeIndex(folder / "index"))
    embedder = BatchingEmbedder(
        clips[0], BatchingOptions(), load=lambda spec: clips[spec == clips[1].info.spec]
    )
    registry, limits = Registry(store), ImageLimits()
    catalogue = Catalogue(own_index, embedder, spec_of=registry.spec_of)
    catalogue.initialise()
    publish(registry, folder, metrics=True)
    write_set_store = RedisWriteSet(client)
    write_set, pixels = (
        WriteSet(write_set_store, own_index.current),
        StoredPixels(store, limits, threads=2, resize=resize_with_pillow),
    )
    points = PointMaker(embedder, pixels)
    index = FanOutIndex(
        own_index,
        write_set,
        points=points,
        model_of=lambda collection: catalogue.model(model_id_of(collection)),
    )
    sources = SourceContext(store)
    ingestor = Ingestor(
        embedder=embedder,
        index=index,
        store=store,
        ledger=ledger,
        catalogue=catalogue,
        options=IngestOptions(4, 2, limits),
        clock=now,
        fetcher=sources,
        observer=IngestObserver(),
    )
    reindexer = Reindexer(
        index=own_index,
        store=store,
        ledger=ledger,
        catalogue=catalogue,
        write_set=write_set,
        copier=Copier(index=own_index, store=store, points=points),
        batch_size=4,
    )
    leases = LeaseKeeper(LEASE_S)
    dispatcher = Dispatcher(ledger, queue, DispatchOptions(4, LEASE_S), now)
    breaker = CircuitBreaker(
        catalogue.current,  # type: ignore[arg-type]  # what it answers is not looked at
        stopping=stopping,
        observer=IngestObserver(),
        jitter=lambda: SHORT,
    )
    parts = {"ledger": ledger, "dispatcher": dispatcher, "breaker": breaker, "leases": leases}
    parts |= {"stopping": stopping, "clock": now}
    runner = ChunkRunner(
        processors={JobKind.INGEST: ingestor, JobKind.REINDEX: reindexer},
        store=store,
        ledger=ledger,
        observer=IngestObserver(),
        clock=now,
    )
    worker = ChunkWorker(runner=runner, **parts)  # type: ignore[arg-type]
    enumerator = Enumerator(
        open_source=lambda spec: open_reindex(  # type: ignore[arg-type, return-value]
            spec, index=own_index, write_set=write_set, current=catalogue.collection
        ),
        store=store,
        **parts,  # type: ignore[arg-type]
    )
    jobs = Jobs(
        store=store,
        ledger=ledger,
        queue=queue,
        dispatcher=dispatcher,
        index=own_index,
        catalogue=catalogue,
        sources=sources,
        clock=now,
    )
    images = Images(index=own_index, writer=index, store=store, catalogue=catalogue, clock=now)
    changes = ModelChanges(
        index=own_index,
        embedder=embedder,
        catalogue=catalogue,
        registry=registry,
        write_set=write_set,
        ledger=ledger,
        dispatcher=dispatcher,
        clock=now,
        rng=random.Random(1),
    )
    yield ReindexHouse(
        jobs,
        images,
        worker,
        enumerator,
        dispatcher,
        changes,
        queue,
        index,
        own_index,
        store,
        ledger,
        embedder,
        pixels,
        catalogue,
        registry,
        write_set,
        write_set_store,
        clips,
    )
    for part in (ingestor, pixels, leases, embedder, own_index):
        part.close()


def publish(registry: Registry, folder: Path, *, metrics: bool) -> None:
    """Publish the new model, with metrics or without."""
    names: Sequence[str] = ("weights", "metrics.json") if metrics else ("weights",)
    files = {name: folder / name for name in names}
    for file in files.values():
        file.write_text("{}")
    registry.publish(NEW, files, now())


def now() -> datetime:
    """The time, with a zone."""
    return datetime.now(UTC)
