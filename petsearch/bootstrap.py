"""The composition root: settings in, running services out. The addresses choose the adapters."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import celery
import redis

from petsearch import object_keys
from petsearch.adapters import http_embedder
from petsearch.adapters.celery_queue import CeleryQueue, make_celery
from petsearch.adapters.filesystem_store import FilesystemStore
from petsearch.adapters.model_sources import ModelSource, resolve_model
from petsearch.adapters.private_redis import PrivateRedis
from petsearch.adapters.redis_ledger import RedisLedger
from petsearch.adapters.url_fetcher import UrlFetcher
from petsearch.batching import BatchingOptions, BatchObserver
from petsearch.batching_embedder import BatchingEmbedder
from petsearch.catalogue import Catalogue, Target, model_id_of
from petsearch.chunk_worker import ChunkWorker
from petsearch.dependency_gate import DependencyGate
from petsearch.dispatching import Dispatcher, DispatchOptions
from petsearch.duplicates import Duplicates
from petsearch.embedding_cache import CachingEmbedder
from petsearch.enumeration import Enumerator
from petsearch.errors import ConfigurationError, NotFound
from petsearch.images import ImageLimits
from petsearch.ingest import IngestOptions, Ingestor
from petsearch.ingest_stages import IngestObserver, NobodyWatches
from petsearch.job_control import JobControl
from petsearch.jobs import Jobs
from petsearch.leases import LeaseKeeper
from petsearch.observability import get_logger
from petsearch.ports import ClipModel, Embedder, Index, JobLedger, ObjectStore, TaskQueue
from petsearch.process_tuning import tune_process
from petsearch.search import Searcher
from petsearch.settings import Settings
from petsearch.sources.spec import SourceContext, make_fetcher, open_source, parse_spec
from petsearch.working import Work

log = get_logger(__name__)


@dataclass(frozen=True)
class Services:
    """Everything a process needs, built once. Close it when the process ends."""

    settings: Settings
    embedder: Embedder
    index: Index
    store: ObjectStore
    ledger: JobLedger
    queue: TaskQueue
    celery_app: celery.Celery
    catalogue: Catalogue
    dispatcher: Dispatcher
    jobs: Jobs
    job_control: JobControl
    searcher: Searcher
    duplicates: Duplicates
    sources: SourceContext
    """What jobs may read by themselves, and with what."""
    image_limits: ImageLimits
    clock: Callable[[], datetime]
    _closing: ExitStack

    def make_work(self, observer: IngestObserver | None = None) -> Work:
        """What a worker process runs. Closed with the services."""
        observer = observer or NobodyWatches()
        stopping = threading.Event()
        gate = DependencyGate(self.probe, stopping=stopping, observer=observer)
        leases = LeaseKeeper(self.settings.lease_s)
        ingestor = self._make_ingestor(observer)
        work = Work(
            chunks=ChunkWorker(
                ingestor=ingestor,
                ledger=self.ledger,
                dispatcher=self.dispatcher,
                gate=gate,
                leases=leases,
                stopping=stopping,
                clock=self.clock,
            ),
            enumerator=Enumerator(
                open_source=lambda spec: open_source(parse_spec(spec), self.sources),
                store=self.store,
                ledger=self.ledger,
                dispatcher=self.dispatcher,
                gate=gate,
                leases=leases,
                stopping=stopping,
                clock=self.clock,
            ),
            control=self.job_control,
            dispatcher=self.dispatcher,
            ingestor=ingestor,
            leases=leases,
            gate=gate,
            stopping=stopping,
        )
        self._closing.callback(work.close)
        return work

    def probe(self) -> None:
        """Ask every dependency; raises an error of ours if one does not answer."""
        self.ledger.ping()
        self.store.ping()
        self.index.ping()
        self.embedder.models()

    def _make_ingestor(self, observer: IngestObserver) -> Ingestor:
        settings = self.settings
        return Ingestor(
            embedder=self.embedder,
            index=self.index,
            store=self.store,
            ledger=self.ledger,
            catalogue=self.catalogue,
            options=IngestOptions(
                batch_size=settings.ingest_batch_size,
                decode_threads=settings.decode_threads or os.cpu_count() or 1,
                limits=self.image_limits,
            ),
            clock=self.clock,
            fetcher=make_fetcher(self.sources),
            observer=observer,
        )

    def initialise(self) -> Target:
        """Create the first collection if there is none, and remember where its model came from."""
        target = self.catalogue.initialise()
        source = json.dumps({"spec": target.model.spec}).encode()
        self.store.put(object_keys.model_source(target.model.model_id), source)
        return target

    def close(self) -> None:
        """Release everything, the last opened first."""
        self._closing.close()


@dataclass(frozen=True)
class Storage:
    """What is kept, without a model: for work that looks at it as a whole."""

    settings: Settings
    index: Index
    store: ObjectStore
    ledger: JobLedger
    dispatcher: Dispatcher
    clock: Callable[[], datetime]


@contextmanager
def open_storage(settings: Settings) -> Iterator[Storage]:
    """Open what the addresses of index, store and Redis name.

    Raises:
        ConfigurationError: an address is missing or cannot be used.
        Unavailable: a server does not answer.
    """
    settings.require("index_url", "store_url", "redis_url")
    with ExitStack() as opened:
        store = _open_store(settings)
        index = _open_index(settings)
        opened.callback(index.close)
        broker_url, client = _open_redis(settings.redis_url, opened)
        celery_app = make_celery(broker_url)
        opened.callback(celery_app.close)
        ledger = RedisLedger(client)
        dispatcher = _make_dispatcher(settings, ledger, CeleryQueue(celery_app))
        yield Storage(settings, index, store, ledger, dispatcher, _now)


def build_services(
    settings: Settings, *, embedder: Embedder | None = None, index: Index | None = None
) -> Services:
    """Open what the addresses name.

    Args:
        embedder: used instead of the one that the settings name; closed with the services.
        index: likewise.

    Raises:
        ConfigurationError: an address is missing or cannot be used.
        Unavailable: a server does not answer.
    """
    settings.require("embedder_url", "index_url", "store_url", "redis_url")
    with ExitStack() as opened:
        store = _open_store(settings)
        index = index or _open_index(settings)
        opened.callback(index.close)
        embedder = embedder or _open_embedder(settings, index, store)
        opened.callback(embedder.close)
        broker_url, client = _open_redis(settings.redis_url, opened)
        ledger = RedisLedger(client)
        celery_app = make_celery(broker_url)
        opened.callback(celery_app.close)
        catalogue = Catalogue(index, embedder)
        limits = image_limits(settings)
        queue = CeleryQueue(celery_app)
        dispatcher = _make_dispatcher(settings, ledger, queue)
        sources = source_context(settings, store)
        jobs = Jobs(
            store=store,
            ledger=ledger,
            dispatcher=dispatcher,
            index=index,
            catalogue=catalogue,
            sources=sources,
            clock=_now,
        )
        asked_before = CachingEmbedder(embedder, most_texts=settings.cached_query_texts)
        return Services(
            settings=settings,
            embedder=embedder,
            index=index,
            store=store,
            ledger=ledger,
            queue=queue,
            celery_app=celery_app,
            catalogue=catalogue,
            dispatcher=dispatcher,
            jobs=jobs,
            job_control=JobControl(
                jobs=jobs,
                store=store,
                ledger=ledger,
                queue=queue,
                dispatcher=dispatcher,
                clock=_now,
            ),
            searcher=Searcher(
                embedder=asked_before,
                index=index,
                catalogue=Catalogue(index, asked_before),
                image_limits=limits,
                max_query_characters=settings.limits.query_characters,
            ),
            duplicates=Duplicates(index=index, catalogue=catalogue),
            sources=sources,
            image_limits=limits,
            clock=_now,
            _closing=opened.pop_all(),
        )


def _make_dispatcher(settings: Settings, ledger: JobLedger, queue: TaskQueue) -> Dispatcher:
    return Dispatcher(ledger, queue, DispatchOptions(settings.job_chunks, settings.lease_s), _now)


def _now() -> datetime:
    return datetime.now(UTC)


def image_limits(settings: Settings) -> ImageLimits:
    """What is refused before a pixel is decoded."""
    limits = settings.limits
    return ImageLimits(limits.image_bytes, limits.image_megapixels, limits.decode_bytes)


def source_context(settings: Settings, store: ObjectStore) -> SourceContext:
    """What sources of jobs are read with: what the settings allow, and nothing else.

    Raises:
        ConfigurationError: the S3 server's address or one of its keys is missing or wrong.
    """
    s3 = urls = None
    if settings.store_url.startswith(("s3+http:", "s3+https:")):
        settings.require("s3_access_key", "s3_secret_key")
        with _extra("storage"):
            from petsearch.adapters import s3_reader
        s3 = s3_reader.open_reader(
            settings.store_url,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
        )
    if settings.url_ingest:
        urls = UrlFetcher()
    return SourceContext(
        store=store,
        import_dirs=settings.import_dirs,
        import_buckets=settings.import_buckets,
        s3=s3,
        urls=urls,
        max_bytes=settings.limits.image_bytes,
    )


def load_embedder(settings: Settings, observer: BatchObserver | None = None) -> BatchingEmbedder:
    """The model that the settings name, loaded and warm, behind a batcher in this process.

    Args:
        observer: is told of every batch.

    Raises:
        ConfigurationError: no model is named, or it cannot be had.
    """
    settings.require("model")
    return _load_embedder(settings.model, observer)


def _open_store(settings: Settings) -> ObjectStore:
    url = settings.store_url
    kind, _, rest = url.partition(":")
    if kind == "file" and rest:
        return FilesystemStore(Path(rest))
    if kind in ("s3+http", "s3+https"):
        settings.require("s3_access_key", "s3_secret_key")
        with _extra("storage"):
            from petsearch.adapters import minio_store
        return minio_store.open_bucket(
            url,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
        )
    raise _unknown_address("STORE_URL", url, "s3+http://<host>:<port>/<bucket>, file:<dir>")


def _open_index(settings: Settings) -> Index:
    url = settings.index_url
    kind, _, rest = url.partition(":")
    if kind == "edge" and rest:
        with _extra("standalone"):
            from petsearch.adapters.qdrant_edge_index import QdrantEdgeIndex
        return QdrantEdgeIndex(Path(rest))
    if kind in ("http", "https"):
        with _extra("storage"):
            from petsearch.adapters import qdrant_index
            from petsearch.adapters.qdrant_collection import CollectionOptions
        key = settings.qdrant_api_key.get_secret_value()
        client = qdrant_index.connect(url, api_key=key or None, use_grpc=settings.qdrant_grpc)
        options = CollectionOptions(
            shards=settings.qdrant_shards,
            replicas=settings.qdrant_replicas,
            quantization=settings.qdrant_quantization,
        )
        return qdrant_index.QdrantIndex(client, options)
    raise _unknown_address("INDEX_URL", url, "http://<host>:<port>, edge:<dir>")


def _open_redis(url: str, opened: ExitStack) -> tuple[str, redis.Redis]:
    """The broker's address and a client for the ledger."""
    kind, _, rest = url.partition(":")
    if kind == "local" and rest:
        server = PrivateRedis(Path(rest))
        opened.callback(server.close)
        broker_url = f"redis+socket://{server.socket_path}"
        client = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
    elif kind in ("redis", "rediss"):
        broker_url = url
        client = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=10, socket_connect_timeout=5
        )
    else:
        raise _unknown_address("REDIS_URL", url, "redis://<host>:<port>/<db>, local:<dir>")
    opened.callback(client.close)
    return broker_url, client


def _open_embedder(settings: Settings, index: Index, store: ObjectStore) -> Embedder:
    url = settings.embedder_url
    if url.startswith(("http://", "https://")):
        return http_embedder.connect(url)
    if url != "local:":
        raise _unknown_address("EMBEDDER_URL", url, "http://<host>:<port>, local:")
    settings.require("model")
    return _load_embedder(_model_to_serve(settings.model, index, store))


def _load_embedder(spec: str, observer: BatchObserver | None = None) -> BatchingEmbedder:
    tune_process()
    with _extra("embedder"):
        # A wrong address is said before the libraries below are loaded, which takes seconds.
        source = resolve_model(spec)
        from petsearch.adapters.open_clip_model import load_model

    def load_apart(wanted: ModelSource | str) -> ClipModel:
        # In a thread that ends: each thread that runs torch keeps OpenMP threads of its own, and
        # with more of them than cores all wait by sleeping: a query took 20 ms instead of 13.
        with ThreadPoolExecutor(1, thread_name_prefix="load") as passing:
            return passing.submit(load_model, wanted).result()

    model = load_apart(source)
    options = BatchingOptions.of_device(model.info.device)
    return BatchingEmbedder(model, options, load=load_apart, observer=observer)


def _model_to_serve(wanted: str, index: Index, store: ObjectStore) -> str:
    """The model the photos are indexed with; `wanted` only decides the first one."""
    collection = index.current()
    if collection is None:
        return wanted
    try:
        source = store.get(object_keys.model_source(model_id_of(collection)))
    except NotFound:
        return wanted
    serving = str(json.loads(source)["spec"])
    if _same_model(wanted, serving):
        return serving
    log.warning(
        "this data was indexed with another model, which goes on serving; "
        "to use the wanted one, start with a new --data-dir and ingest again",
        serving=serving,
        wanted=wanted,
    )
    return serving


def _same_model(wanted: str, serving: str) -> bool:
    kind, _, rest = wanted.partition(":")
    if kind == "dir" and rest:
        return f"dir:{Path(rest).expanduser().resolve()}" == serving
    return wanted == serving


def _unknown_address(variable: str, given: str, accepted: str) -> ConfigurationError:
    return ConfigurationError(
        f"PETSEARCH_{variable} is {given!r}, which is no known kind of address. "
        f"Accepted: {accepted}."
    )


@contextmanager
def _extra(name: Literal["standalone", "embedder", "storage"]) -> Iterator[None]:
    """Turn a missing library into an error that names the extra to install."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"The library {error.name!r} is not installed. "
            f"Install it with: pip install 'petsearch[{name}]'"
        ) from error
