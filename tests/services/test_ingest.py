"""Ingest of a chunk over real parts: Qdrant Edge, files, Redis and a tiny CLIP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from petsearch import object_keys
from petsearch.adapters.celery_queue import make_celery
from petsearch.adapters.filesystem_store import FilesystemStore
from petsearch.adapters.private_redis import PrivateRedis
from petsearch.adapters.qdrant_edge_index import QdrantEdgeIndex
from petsearch.adapters.redis_ledger import RedisLedger
from petsearch.batching import BatchingOptions
from petsearch.batching_embedder import BatchingEmbedder
from petsearch.catalogue import Catalogue
from petsearch.errors import Conflict, NotFound, Unavailable
from petsearch.images import ImageLimits
from petsearch.ingest import IngestOptions, Ingestor
from petsearch.jobs import Jobs, KnownImage, Upload
from petsearch.model import (
    Filters,
    ImageMetadata,
    ImageRecord,
    ItemStatus,
    JobState,
    image_id_of,
    sha256_of,
)
from petsearch.ports import JobLedger
from services.worker.tasks import register_tasks
from tests import pictures
from tests.contract.tiny_clip import TinyClip

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class RecordingQueue:
    """Keeps what is queued, so that a test delivers it when and as often as it likes."""

    def __init__(self) -> None:
        self.chunks: list[tuple[str, int]] = []

    def enqueue_chunk(self, job_id: str, chunk_no: int) -> None:
        """See `TaskQueue.enqueue_chunk`."""
        self.chunks.append((job_id, chunk_no))


class LedgerThatDoesNotCount:
    """The real ledger, until a chunk is to be counted."""

    def __init__(self, ledger: RedisLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> object:
        return getattr(self._ledger, name)

    def account_chunk(self, *_: object) -> bool:
        """See `JobLedger.account_chunk`."""
        raise Unavailable("cut off")


@dataclass
class House:
    """Everything that ingest touches."""

    jobs: Jobs
    ingestor: Ingestor
    make_ingestor: Callable[[JobLedger], Ingestor]
    queue: RecordingQueue
    index: QdrantEdgeIndex
    store: FilesystemStore
    ledger: RedisLedger
    catalogue: Catalogue
    clip: TinyClip

    def open_job(self, *uploads: Upload) -> str:
        """A sealed job of one chunk."""
        job_id = self.jobs.open("test").job_id
        self.jobs.add_photos(job_id, uploads, len(uploads))
        self.jobs.seal(job_id)
        return job_id

    def deliver(self) -> None:
        """Give every queued chunk to the worker, once more if it was given before."""
        for chunk in self.queue.chunks:
            self.ingestor.ingest_chunk(*chunk)

    def counts(self, job_id: str) -> dict[str, int]:
        """The job's counters that are not 0."""
        return {s.value: n for s, n in self.jobs.get(job_id).counts.items() if n}

    def record(self, data: bytes) -> ImageRecord:
        """The indexed record of a photo."""
        image_id = image_id_of(sha256_of(data))
        return self.index.get(self.catalogue.current().collection, [image_id])[image_id]

    def images(self) -> int:
        """How many photos are indexed."""
        return self.index.count(self.catalogue.current().collection, Filters())


@pytest.fixture(scope="module")
def private_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    server = PrivateRedis(tmp_path_factory.mktemp("redis"))
    client = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
    yield client
    client.close()
    server.close()


@pytest.fixture
def house(tmp_path: Path, private_redis: redis.Redis) -> Iterator[House]:
    private_redis.flushall()
    clip, queue = TinyClip(), RecordingQueue()
    store, index = FilesystemStore(tmp_path / "objects"), QdrantEdgeIndex(tmp_path / "index")
    embedder, ledger = BatchingEmbedder(clip, BatchingOptions()), RedisLedger(private_redis)
    catalogue = Catalogue(index, embedder)
    catalogue.initialise()

    def make_ingestor(counting: JobLedger) -> Ingestor:
        return Ingestor(
            embedder=embedder,
            index=index,
            store=store,
            ledger=counting,
            catalogue=catalogue,
            options=IngestOptions(4, 2, 120.0, ImageLimits()),
            clock=lambda: NOW,
        )

    ingestor = make_ingestor(ledger)
    jobs = Jobs(
        store=store,
        ledger=ledger,
        queue=queue,
        index=index,
        catalogue=catalogue,
        clock=lambda: NOW,
    )
    yield House(jobs, ingestor, make_ingestor, queue, index, store, ledger, catalogue, clip)
    ingestor.close()
    embedder.close()
    index.close()


def photo(seed: int, **said: str) -> Upload:
    return Upload(pictures.jpeg(seed), ImageMetadata(filename=f"{seed}.jpg", **said))


def test_every_photo_of_a_chunk_is_stored_and_indexed(house: House) -> None:
    job_id = house.open_job(*(photo(seed) for seed in range(10)))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 10}
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED
    assert house.images() == 10
    image_id = house.record(pictures.jpeg(3)).image_id
    assert house.store.get(object_keys.original(image_id)) == pictures.jpeg(3)
    for key in (object_keys.display(image_id), object_keys.thumbnail(image_id)):
        assert house.store.get(key).startswith(b"\xff\xd8")
    assert list(house.store.list_keys("staging/")) == []


def test_a_redelivered_chunk_is_counted_once_and_embeds_nothing(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.deliver()
    calls = len(house.clip.calls)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}
    assert len(house.clip.calls) == calls


def test_a_chunk_cut_off_before_it_was_counted_counts_its_photos_as_ingested(
    house: House,
) -> None:
    job_id = house.open_job(photo(1), photo(2))
    # What a crash leaves after the upsert: everything is there but the accounting.
    (chunk,) = house.queue.chunks
    cut_off = house.make_ingestor(LedgerThatDoesNotCount(house.ledger))
    with pytest.raises(Unavailable):
        cut_off.ingest_chunk(*chunk)
    cut_off.close()
    assert house.images() == 2
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_the_same_photo_twice_in_a_chunk_and_once_more_later(house: House) -> None:
    job_id = house.open_job(photo(1), photo(1), photo(2))
    later = house.open_job(photo(1, animal_id="A-17"), photo(1, breed="Maine_Coon"))
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2, "duplicate": 1}
    assert house.counts(later) == {"duplicate": 2}
    assert house.images() == 2
    record = house.record(pictures.jpeg(1))
    assert record.metadata.animal_id == "A-17", "a repeat fills what was not said before"
    assert (record.breed, record.species) == ("maine coon", "cat")
    assert len(record.sources) == 3, "an item that says nothing new is not remembered"
    assert record.first_seen.job_id == job_id


def test_a_repeat_does_not_change_what_was_said(house: House) -> None:
    house.open_job(photo(1, breed="birman"))
    house.open_job(photo(1, breed="pug"))
    house.deliver()
    assert house.record(pictures.jpeg(1)).breed == "birman"


def test_bad_files_are_refused_with_a_reason_and_the_rest_goes_in(house: House) -> None:
    broken = pictures.jpeg(5)[:-200]
    job_id = house.open_job(
        photo(1),
        Upload(b"", ImageMetadata(filename="empty.jpg")),
        Upload(pictures.HTML, ImageMetadata(filename="page.jpg")),
        Upload(broken, ImageMetadata(filename="broken.jpg")),
        Upload(broken, ImageMetadata(filename="broken again.jpg")),
        Upload(b"", ImageMetadata(filename="huge.jpg"), refusal="The file has 60 MB."),
        photo(2),
    )
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2, "refused": 5}
    assert house.jobs.get(job_id).state is JobState.PARTLY_FAILED
    reasons = {o.filename: o.reason or "" for o in house.jobs.outcomes(job_id, ItemStatus.REFUSED)}
    assert "empty" in reasons["empty.jpg"]
    assert "not a picture" in reasons["page.jpg"]
    assert "truncated" in reasons["broken.jpg"]
    assert "same file" in reasons["broken again.jpg"]
    assert reasons["huge.jpg"] == "The file has 60 MB."
    assert list(house.store.list_keys("staging/")) == []


def test_what_is_known_is_accounted_without_its_bytes(house: House) -> None:
    house.open_job(photo(1))
    house.deliver()
    job_id = house.jobs.open("test").job_id
    wanted = [
        KnownImage(sha256_of(pictures.jpeg(seed)), ImageMetadata(filename=f"{seed}.jpg"))
        for seed in (1, 2)
    ]
    assert house.jobs.add_known(job_id, wanted) == [1]
    house.jobs.seal(job_id)
    house.deliver()
    assert house.counts(job_id) == {"duplicate": 1}


def test_a_repeated_call_counts_its_photos_once(house: House) -> None:
    house.open_job(photo(1))
    house.deliver()
    job_id = house.jobs.open("test").job_id
    wanted = [KnownImage(sha256_of(pictures.jpeg(n)), ImageMetadata()) for n in (1, 2, 3)]
    assert house.jobs.add_known(job_id, wanted, key="known") == [1, 2]
    for _ in range(2):
        house.jobs.add_photos(job_id, [photo(2), photo(3)], 2, key="photos")
    house.deliver()
    assert house.jobs.add_known(job_id, wanted, key="known") == [1, 2], "as it was then"
    house.jobs.seal(job_id)
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2, "duplicate": 1}
    assert house.jobs.get(job_id).total == 3
    assert list(house.store.list_keys("staging/")) == []


def test_an_embedder_that_fails_leaves_the_chunk_to_be_run_again(house: House) -> None:
    job_id = house.open_job(photo(1), photo(2))
    house.clip.failure = RuntimeError("out of tuna")
    with pytest.raises(Unavailable):
        house.deliver()
    assert house.counts(job_id) == {}
    house.clip.failure = None
    house.deliver()
    assert house.counts(job_id) == {"ingested": 2}


def test_photos_without_labels_get_a_prediction(house: House) -> None:
    house.open_job(photo(1), photo(2, breed="pug"))
    house.deliver()
    guessed, told = house.record(pictures.jpeg(1)), house.record(pictures.jpeg(2))
    assert guessed.breed_source == "predicted"
    assert guessed.prediction is not None
    assert 0.5 <= guessed.prediction.confidence <= 1.0
    assert (told.breed, told.species, told.breed_source) == ("pug", "dog", "label")


def test_what_was_never_accounted_is_queued_again(house: House) -> None:
    first, second = house.open_job(photo(1)), house.open_job(photo(2))
    house.ingestor.ingest_chunk(first, 0)
    house.queue.chunks.clear()
    assert house.jobs.requeue_unfinished() == 1
    assert house.queue.chunks == [(second, 0)]


def test_a_task_waits_for_a_dependency_and_the_job_says_why(house: House) -> None:
    app = make_celery("memory://")
    register_tasks(app, house.ingestor, house.ledger)
    job_id = house.open_job(photo(1))
    house.clip.failure = RuntimeError("out of tuna")
    with pytest.raises(Unavailable):
        app.tasks["petsearch.ingest_chunk.v1"](job_id, 0)
    job = house.jobs.get(job_id)
    assert job.state is JobState.PAUSED
    assert "out of tuna" in (job.reason or "")
    house.clip.failure = None
    app.tasks["petsearch.ingest_chunk.v1"](job_id, 0)
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED
    app.close()


def test_a_model_that_is_not_loaded_is_waited_for(house: House) -> None:
    app = make_celery("memory://")
    register_tasks(app, house.ingestor, house.ledger)
    job_id = house.open_job(photo(1))
    loaded = house.catalogue.current().collection
    house.index.create_collection("pets-another", 4)
    house.index.point_alias_to("pets-another")
    with pytest.raises(Conflict):
        app.tasks["petsearch.ingest_chunk.v1"](job_id, 0)
    assert house.jobs.get(job_id).state is JobState.PAUSED
    assert "another" in (house.jobs.get(job_id).reason or "")
    house.index.point_alias_to(loaded)
    app.tasks["petsearch.ingest_chunk.v1"](job_id, 0)
    assert house.counts(job_id) == {"ingested": 1}
    app.close()


def test_a_job_that_is_gone_ends_its_task(house: House) -> None:
    with pytest.raises(NotFound):
        house.ingestor.ingest_chunk("no-such-job", 0)
