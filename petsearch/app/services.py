"""The composition root: settings in, running services out. The addresses choose the adapters."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import celery
import redis

from petsearch.access import KeyRing
from petsearch.adapters.redis import (
    CeleryQueue,
    RedisKeys,
    RedisLedger,
    RedisLimiter,
    RedisWriteSet,
    make_celery,
)
from petsearch.adapters.redis.backup import RedisCopy
from petsearch.adapters.redis.client import without_retries
from petsearch.app.connections import (
    image_limits,
    load_resize,
    open_embedder,
    open_index,
    open_redis,
    open_snapshots,
    open_store,
    source_context,
)
from petsearch.catalogue import Duplicates
from petsearch.domain import object_keys
from petsearch.domain.errors import PetsearchError
from petsearch.embedding import CachingEmbedder
from petsearch.jobs import Dispatcher, DispatchOptions, JobControl, Jobs
from petsearch.maintenance import Kept
from petsearch.models import Catalogue, Registry, Target, model_id_of
from petsearch.observability import get_logger
from petsearch.photos import ImageLimits, Resize, StoredPixels, resize_with_pillow
from petsearch.ports import ChunkLedger, Embedder, ObjectStore, TaskQueue
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import FanOutIndex, ModelChanges, PointMaker, WriteSet
from petsearch.search import Searcher
from petsearch.settings import Settings
from petsearch.sources import SourceContext

log = get_logger(__name__)

_KEYS_TIMEOUT_S = 2.0
_LIMITS_TIMEOUT_S = 0.5
"""Without an answer a request goes on uncounted, so this is what an outage costs one request."""


@dataclass(frozen=True)
class Services:
    """Everything a process needs, built once. Close it when the process ends."""

    settings: Settings
    embedder: Embedder
    index: FanOutIndex
    own_index: RawIndex
    store: ObjectStore
    ledger: RedisLedger
    queue: TaskQueue
    celery_app: celery.Celery
    catalogue: Catalogue
    dispatcher: Dispatcher
    jobs: Jobs
    job_control: JobControl
    query_cache: CachingEmbedder
    searcher: Searcher
    duplicates: Duplicates
    write_set: WriteSet
    points: PointMaker
    model_changes: ModelChanges
    sources: SourceContext
    """What jobs may read by themselves, and with what."""
    image_limits: ImageLimits
    resize: Resize
    keys: KeyRing
    limiter: RedisLimiter
    clock: Callable[[], datetime]
    _closing: ExitStack

    def close_with(self, close: Callable[[], None]) -> None:
        """Call `close` when the services are closed, before anything they hold."""
        self._closing.callback(close)

    def probe(self) -> None:
        """Ask every dependency; raises an error of ours if one does not answer."""
        self.ledger.ping()
        self.store.ping()
        self.own_index.ping()
        self.embedder.models()

    def initialise(self) -> Target:
        """Create the first collection if there is none, and remember where its model came from."""
        target = self.catalogue.initialise()
        try:
            self.model_changes.load_all()
        except PetsearchError as error:  # the current one serves; the chore tries again
            log.warning("a model of the write set is not loaded", reason=error.detail)
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
    index: RawIndex
    writer: FanOutIndex
    store: ObjectStore
    ledger: RedisLedger
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    kept: Kept
    """All of it as it is backed up."""


@contextmanager
def open_keys(settings: Settings) -> Iterator[KeyRing]:
    """Open the API keys alone, for work without a server.

    Raises:
        ConfigurationError: the address of Redis is missing or cannot be used.
    """
    settings.require("redis_url")
    with ExitStack() as opened:
        _, client = open_redis(settings.redis_url, opened)
        yield _open_ring(client, opened)


@contextmanager
def open_storage(settings: Settings) -> Iterator[Storage]:
    """Open what the addresses of index, store and Redis name.

    Raises:
        ConfigurationError: an address is missing or cannot be used.
        Unavailable: a server does not answer.
    """
    settings.require("index_url", "store_url", "redis_url")
    with ExitStack() as opened:
        store = open_store(settings)
        index = open_index(settings)
        opened.callback(index.close)
        broker_url, client = open_redis(settings.redis_url, opened)
        celery_app = make_celery(broker_url)
        opened.callback(celery_app.close)
        ledger = RedisLedger(client)
        dispatcher = _make_dispatcher(settings, ledger, CeleryQueue(celery_app))
        kept = Kept(index, store, RedisCopy(client), open_snapshots(settings, opened))
        through = FanOutIndex(index, WriteSet(RedisWriteSet(client)))
        yield Storage(settings, index, through, store, ledger, dispatcher, _now, kept)


def build_services(
    settings: Settings, *, embedder: Embedder | None = None, index: RawIndex | None = None
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
        store = open_store(settings)
        index = index or open_index(settings)
        opened.callback(index.close)
        has_model_here = embedder is None and settings.embedder_url == "local:"
        embedder = embedder or open_embedder(settings, index, store)
        opened.callback(embedder.close)
        resize = load_resize() if has_model_here else resize_with_pillow
        broker_url, client = open_redis(settings.redis_url, opened)
        ledger, limiter = RedisLedger(client), _open_limiter(client, opened)
        celery_app = make_celery(broker_url)
        opened.callback(celery_app.close)
        registry = Registry(store)
        catalogue = Catalogue(index, embedder, spec_of=registry.spec_of)
        limits = image_limits(settings)
        write_set_store = RedisWriteSet(client)
        write_set = WriteSet(write_set_store, index.current)
        pixels = StoredPixels(store, limits, threads=decode_threads(settings), resize=resize)
        opened.callback(pixels.close)
        points = PointMaker(embedder, pixels)
        through = FanOutIndex(
            index,
            write_set,
            points=points,
            model_of=lambda collection: catalogue.model(model_id_of(collection)),
        )
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
            index=through,
            own_index=index,
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
            query_cache=asked_before,
            searcher=Searcher(
                embedder=asked_before,
                index=index,
                catalogue=Catalogue(index, asked_before, spec_of=registry.spec_of),
                image_limits=limits,
                max_query_characters=settings.limits.query_characters,
            ),
            duplicates=Duplicates(index=index, catalogue=catalogue),
            write_set=write_set,
            points=points,
            model_changes=ModelChanges(
                index=index,
                embedder=embedder,
                catalogue=catalogue,
                registry=registry,
                write_set_store=write_set_store,
                ledger=ledger,
                dispatcher=dispatcher,
                clock=_now,
            ),
            sources=sources,
            image_limits=limits,
            resize=resize,
            keys=_open_ring(client, opened),
            limiter=limiter,
            clock=_now,
            _closing=opened.pop_all(),
        )


def decode_threads(settings: Settings) -> int:
    """How many photos are decoded at a time."""
    return settings.decode_threads or os.cpu_count() or 1


def _open_ring(client: redis.Redis, opened: ExitStack) -> KeyRing:
    own = without_retries(client, _KEYS_TIMEOUT_S)
    opened.callback(own.close)
    return KeyRing(RedisKeys(own), _now)


def _open_limiter(client: redis.Redis, opened: ExitStack) -> RedisLimiter:
    own = without_retries(client, _LIMITS_TIMEOUT_S)
    opened.callback(own.close)
    return RedisLimiter(own)


def _make_dispatcher(settings: Settings, ledger: ChunkLedger, queue: TaskQueue) -> Dispatcher:
    return Dispatcher(ledger, queue, DispatchOptions(settings.job_chunks, settings.lease_s), _now)


def _now() -> datetime:
    return datetime.now(UTC)
