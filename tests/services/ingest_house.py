"""Everything that ingest touches over real parts: Qdrant Edge, files, Redis and a tiny CLIP."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from petsearch.adapters.objects import FilesystemStore
from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.adapters.redis import RedisLedger, RedisWriteSet
from petsearch.domain import (
    Filters,
    ImageMetadata,
    ImageRecord,
    ItemStatus,
    JobKind,
    JobState,
    Outcome,
    QueueName,
    image_id_of,
    sha256_of,
)
from petsearch.domain.errors import Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.ingest import IngestOptions, Ingestor
from petsearch.jobs import (
    CircuitBreaker,
    Dispatcher,
    DispatchOptions,
    Enumerator,
    JobOptions,
    Jobs,
    LeaseKeeper,
    Upload,
)
from petsearch.jobs.chunk_runner import ChunkRunner
from petsearch.jobs.enumeration import OpenSource
from petsearch.models import Catalogue
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.ports import ChunkLedger, IngestObserver, JobLedger
from petsearch.reindex import FanOutIndex, WriteSet
from petsearch.sources import SourceContext, open_source, parse_spec
from services.worker.chunk_worker import ChunkWorker
from tests import pictures
from tests.contract.tiny_clip import TinyClip

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LEASE_S = 0.3
SHORT = 0.05
"""Of the pauses that people would take, for tests."""


class RecordingQueue:
    """Keeps what is queued, so that a test delivers it when and as often as it likes."""

    def __init__(self) -> None:
        self.chunks: list[tuple[str, int]] = []
        self.discards: list[str] = []
        self.readings: list[str] = []
        self.names: list[QueueName] = []

    def enqueue_chunk(self, job_id: str, chunk_no: int, queue: QueueName) -> None:
        """See `TaskQueue.enqueue_chunk`."""
        self.chunks.append((job_id, chunk_no))
        self.names.append(queue)

    def enqueue_enumeration(self, job_id: str) -> None:
        """See `TaskQueue.enqueue_enumeration`."""
        self.readings.append(job_id)

    def enqueue_discard(self, job_id: str) -> None:
        """See `TaskQueue.enqueue_discard`."""
        self.discards.append(job_id)

    def depth(self, queue: QueueName) -> int:
        """See `TaskQueue.depth`: a lost message is not in it."""
        return 0 if queue in self.names else -1


class LedgerThatDoesNotCount(RedisLedger):
    """The real ledger, until a chunk is to be counted."""

    def account_chunk(self, *_: Any, **__: Any) -> bool:
        """See `JobLedger.account_chunk`."""
        raise Unavailable("cut off")


class LedgerWhereAnotherIsFirst(RedisLedger):
    """The real ledger, where somebody else does something just before a retry is reserved."""

    def __init__(self, client: redis.Redis, first: Callable[[], object]) -> None:
        super().__init__(client)
        self._first = first

    def reserve_retry(self, job_id: str) -> int:
        """See `JobLedger.reserve_retry`."""
        self._first()
        return super().reserve_retry(job_id)


@dataclass
class House:
    """Everything that ingest touches."""

    jobs: Jobs
    make_jobs: Callable[[JobLedger], Jobs]
    make_runner: Callable[[ChunkLedger], ChunkRunner]
    runner: ChunkRunner
    worker: ChunkWorker
    enumerator: Enumerator
    make_enumerator: Callable[[OpenSource], Enumerator]
    dispatcher: Dispatcher
    queue: RecordingQueue
    index: QdrantEdgeIndex
    writer: FanOutIndex
    store: FilesystemStore
    ledger: RedisLedger
    catalogue: Catalogue
    clip: TinyClip
    stopping: threading.Event

    def open_job(self, *uploads: Upload, **options: Any) -> str:
        """A sealed job of one chunk, with `JobOptions`."""
        job_id = self.jobs.open("test", JobOptions(**options)).job_id
        self.jobs.add_photos(job_id, uploads, len(uploads))
        self.jobs.seal(job_id)
        return job_id

    def poison(self, seed: int) -> None:
        """Let the embedder fail with the photo of this seed."""
        picture = decode.decode(pictures.jpeg(seed), ImageLimits()).picture
        self.clip.poison = preprocessing.to_pixels(picture, self.clip.info.pixel_spec)

    def deliver(self) -> None:
        """Give every queued chunk to the worker, once more if it was given before."""
        for chunk in list(self.queue.chunks):
            self.worker.work(*chunk)

    def deliver_all(self, job_id: str) -> None:
        """Read the source and ingest its chunks until nothing more is queued."""
        while self.queue.readings or self.queue.chunks:
            readings, self.queue.readings = self.queue.readings, []
            found, self.queue.chunks = self.queue.chunks, []
            for reading in readings:
                self.enumerator.work(reading)
            for chunk in found:
                self.worker.work(*chunk)
            assert self.jobs.get(job_id).state is not JobState.PAUSED

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
        image_id = image_id_of(sha256_of(data))
        return self.index.get(self.catalogue.current().collection, [image_id])[image_id]

    def images(self) -> int:
        """How many photos are indexed."""
        return self.index.count(self.catalogue.current().collection, Filters())


@contextmanager
def ingest_house(folder: Path, client: redis.Redis) -> Iterator[House]:
    """A house over an empty Redis; everything in it is closed at the end."""
    client.flushall()
    clip, queue, stopping = TinyClip(), RecordingQueue(), threading.Event()
    store, index = FilesystemStore(folder / "objects"), QdrantEdgeIndex(folder / "index")
    embedder, ledger = BatchingEmbedder(clip, BatchingOptions()), RedisLedger(client)
    writer = FanOutIndex(index, WriteSet(RedisWriteSet(client)))
    catalogue = Catalogue(index, embedder)
    catalogue.initialise()

    ingestor = Ingestor(
        embedder=embedder,
        index=writer,
        store=store,
        ledger=ledger,
        catalogue=catalogue,
        options=IngestOptions(4, 2, ImageLimits()),
        clock=lambda: NOW,
        fetcher=SourceContext(store, import_dirs=(folder,)),
        observer=IngestObserver(),
    )

    def make_runner(counting: ChunkLedger) -> ChunkRunner:
        return ChunkRunner(
            processors={JobKind.INGEST: ingestor},
            store=store,
            ledger=counting,
            observer=IngestObserver(),
            clock=lambda: NOW,
        )

    def probe() -> None:
        catalogue.current()

    runner, leases = make_runner(ledger), LeaseKeeper(LEASE_S)
    dispatcher = Dispatcher(ledger, queue, DispatchOptions(4, LEASE_S), lambda: NOW)
    breaker = CircuitBreaker(
        probe, stopping=stopping, observer=IngestObserver(), jitter=lambda: SHORT
    )
    worker = ChunkWorker(
        runner=runner,
        ledger=ledger,
        dispatcher=dispatcher,
        breaker=breaker,
        leases=leases,
        stopping=stopping,
        clock=lambda: NOW,
    )
    sources = SourceContext(store, import_dirs=(folder,))

    def make_enumerator(opening: OpenSource) -> Enumerator:
        return Enumerator(
            open_source=opening,
            store=store,
            ledger=ledger,
            dispatcher=dispatcher,
            breaker=breaker,
            leases=leases,
            stopping=stopping,
            clock=lambda: NOW,
        )

    def make_jobs(changed: JobLedger) -> Jobs:
        return Jobs(
            store=store,
            ledger=changed,
            queue=queue,
            dispatcher=dispatcher,
            index=index,
            catalogue=catalogue,
            sources=sources,
            clock=lambda: NOW,
        )

    yield House(
        make_jobs(ledger),
        make_jobs,
        make_runner,
        runner,
        worker,
        make_enumerator(lambda spec: open_source(parse_spec(spec), sources)),
        make_enumerator,
        dispatcher,
        queue,
        index,
        writer,
        store,
        ledger,
        catalogue,
        clip,
        stopping,
    )
    ingestor.close()
    leases.close()
    embedder.close()
    index.close()


def photo(seed: int, **said: Any) -> Upload:
    return Upload(pictures.jpeg(seed), ImageMetadata(filename=f"{seed}.jpg", **said))


def in_thread(call: Callable[[], None]) -> threading.Thread:
    """Run `call` beside the test; it is joined by the test."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask until something holds that another thread brings about."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
