"""Builds what a process needs from its settings. The addresses choose the adapters."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import celery
import redis

from petsearch.access import KeyRing
from petsearch.adapters.redis import (
    CeleryQueue,
    RedisKeys,
    RedisLedger,
    RedisLimiter,
    RedisShares,
    RedisWriteSet,
    make_celery,
)
from petsearch.adapters.redis.backup import RedisCopy
from petsearch.adapters.redis.client import without_retries
from petsearch.app.connections import (
    decode_threads,
    open_decoders,
    open_embedder,
    open_index,
    open_query_decoders,
    open_redis,
    open_room,
    open_snapshots,
    open_store,
    source_context,
)
from petsearch.app.giving_way import GivingWay
from petsearch.catalogue import Images
from petsearch.disk_room import DiskRoom
from petsearch.domain import SureFrom
from petsearch.domain.errors import PetsearchError
from petsearch.embedding import CachingEmbedder
from petsearch.file_access import check_temporary_folder
from petsearch.jobs import Dispatcher, DispatchOptions, Jobs
from petsearch.maintenance import Kept
from petsearch.models import Catalogue, Descriptions, Registry, Target, model_id_of
from petsearch.observability import get_logger
from petsearch.photos import Decoders, StoredPixels
from petsearch.ports import Embedder, ObjectStore, TaskQueue
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import FanOutIndex, ModelChanges, PointMaker, WriteSet
from petsearch.search import Searcher, SharedSearches
from petsearch.settings import Settings
from petsearch.sources import SourceContext

log = get_logger(__name__)

Clock = Callable[[], datetime]

_KEYS_TIMEOUT_S = 2.0
_SHARES_TIMEOUT_S = 2.0
_LIMITS_TIMEOUT_S = 0.5
"""Without an answer a request goes on uncounted, so this is what an outage costs one request."""


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Storage:
    """Everything that is kept, without a model: the index, the objects, and what is in Redis."""

    settings: Settings
    clock: Clock
    index: RawIndex
    store: ObjectStore
    redis: redis.Redis
    ledger: RedisLedger
    queue: TaskQueue
    celery_app: celery.Celery
    room: DiskRoom | None
    """On the disk of an index in this process."""
    _opened: ExitStack

    @cached_property
    def write_set(self) -> WriteSet:
        """The collections that are written."""
        return WriteSet(RedisWriteSet(self.redis), self.index.current)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """What hands chunks to the queue."""
        settings = self.settings
        keep_jobs_s = settings.keep_jobs_days * 24 * 3600
        options = DispatchOptions(settings.job_chunks, settings.lease_s, keep_jobs_s)
        return Dispatcher(self.ledger, self.queue, options, self.clock)

    @cached_property
    def kept(self) -> Kept:
        """All of it as it is backed up and restored."""
        snapshots = open_snapshots(self.settings, self._opened)
        return Kept(self.index, self.store, RedisCopy(self.redis), snapshots)


@dataclass(frozen=True)
class WorkerParts:
    """What workers run chunks with, beside the storage."""

    embedder: Embedder
    catalogue: Catalogue
    writer: FanOutIndex
    points: PointMaker
    sources: SourceContext
    """What jobs may read, and with what."""
    decoders: Decoders
    """Of everything but searches."""


@dataclass(frozen=True)
class Services:
    """Everything a process needs, built once. Close it when the process ends.

    Routes call `search`, `shared`, `images`, `jobs`, `models` and `keys`; `storage` and `parts` are
    for the worker, the command line and the checks of health.
    """

    settings: Settings
    clock: Clock
    search: Searcher
    shared: SharedSearches
    images: Images
    jobs: Jobs
    models: ModelChanges
    keys: KeyRing
    limiter: RedisLimiter
    query_cache: CachingEmbedder
    query_decoders: Decoders
    giving_way: GivingWay
    storage: Storage
    parts: WorkerParts
    _opened: ExitStack

    def close_with(self, close: Callable[[], None]) -> None:
        """Call `close` when the services are closed, before anything they hold."""
        self._opened.callback(close)

    def probe(self) -> None:
        """Ask every dependency; raises a `PetsearchError` if one does not answer."""
        self.storage.ledger.ping()
        self.storage.store.ping()
        self.storage.index.ping()
        self.parts.embedder.models()

    def initialise(self) -> Target:
        """Create the first collection if there is none, and remember where its model came from."""
        target = self.parts.catalogue.initialise()
        try:
            self.models.load_all()
        except PetsearchError as error:  # the current one serves; the chore tries again
            log.warning("a model of the write set is not loaded", reason=error.detail)
        return target

    def close(self) -> None:
        """Release everything, the last opened first."""
        self._opened.close()


@contextmanager
def open_keys(settings: Settings) -> Iterator[KeyRing]:
    """Open the API keys alone, for work without a server.

    Raises:
        ConfigurationError: the address of Redis is missing or cannot be used.
    """
    settings.require("redis_url")
    with ExitStack() as opened:
        _, client = open_redis(settings.redis_url, opened)
        yield KeyRing(RedisKeys(_own_client(client, _KEYS_TIMEOUT_S, opened)), utc_now)


def has_admin_key(settings: Settings) -> bool:
    """Whether there is a valid key of the scope admin. Raises as `open_keys` does."""
    with open_keys(settings) as keys:
        return keys.read().can_administer(utc_now())


@contextmanager
def open_storage(settings: Settings) -> Iterator[Storage]:
    """Open what the addresses of index, store and Redis name.

    Raises:
        ConfigurationError: an address is missing or cannot be used.
        Unavailable: a server does not answer.
    """
    with ExitStack() as opened:
        yield _open_storage(settings, opened)


def build_services(
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    index: RawIndex | None = None,
    queue: TaskQueue | None = None,
    decoders: Decoders | None = None,
    clock: Clock = utc_now,
) -> Services:
    """Open what the addresses name. What is given replaces it, and is closed with the services.

    Args:
        decoders: for everything, searches included; they stay open.

    Raises:
        ConfigurationError: an address is missing or cannot be used.
        Unavailable: a server does not answer.
    """
    settings.require("embedder_url")
    check_temporary_folder()
    with ExitStack() as until_built:
        opened = until_built.enter_context(ExitStack())
        storage = _open_storage(settings, opened, index=index, queue=queue, clock=clock)
        registry = Registry(storage.store)
        giving_way = GivingWay()
        bulk_decoders = decoders or opened.enter_context(
            closing(open_decoders(settings, giving_way.before_photo))
        )
        parts = _open_worker_parts(storage, registry, opened, embedder, bulk_decoders)
        query_decoders = decoders or opened.enter_context(closing(open_query_decoders(settings)))
        services = _build_facades(storage, registry, parts, query_decoders, giving_way, opened)
        until_built.pop_all()
        return services


def _open_storage(
    settings: Settings,
    opened: ExitStack,
    *,
    index: RawIndex | None = None,
    queue: TaskQueue | None = None,
    clock: Clock = utc_now,
) -> Storage:
    settings.require("index_url", "store_url", "redis_url")
    store = open_store(settings)
    store.check_access()
    room = open_room(settings)
    index = index or open_index(settings, room)
    opened.callback(index.close)
    broker_url, client = open_redis(settings.redis_url, opened)
    celery_app = make_celery(broker_url)
    opened.callback(celery_app.close)
    ledger, queue = RedisLedger(client), queue or CeleryQueue(celery_app)
    return Storage(settings, clock, index, store, client, ledger, queue, celery_app, room, opened)


def _open_worker_parts(
    storage: Storage,
    registry: Registry,
    opened: ExitStack,
    embedder: Embedder | None,
    decoders: Decoders,
) -> WorkerParts:
    settings, index, store = storage.settings, storage.index, storage.store
    embedder = embedder or open_embedder(settings, index, store)
    opened.callback(embedder.close)
    pixels = StoredPixels(store, decoders, threads=decode_threads(settings))
    opened.callback(pixels.close)
    catalogue = Catalogue(
        index, embedder, spec_of=registry.spec_of, remember=registry.remember_source
    )
    points = PointMaker(embedder, pixels)
    writer = FanOutIndex(
        index,
        storage.write_set,
        points=points,
        model_of=lambda collection: catalogue.model(model_id_of(collection)),
    )
    sources = source_context(settings, store)
    return WorkerParts(embedder, catalogue, writer, points, sources, decoders)


def _build_facades(
    storage: Storage,
    registry: Registry,
    parts: WorkerParts,
    query_decoders: Decoders,
    giving_way: GivingWay,
    opened: ExitStack,
) -> Services:
    settings, clock, index, store = storage.settings, storage.clock, storage.index, storage.store
    cache = CachingEmbedder(parts.embedder, most_texts=settings.cached_query_texts)
    sure_from = SureFrom(settings.species_threshold, settings.breed_threshold)
    # Its model is known for a while after the embedder went away.
    cached_catalogue = Catalogue(
        index, cache, spec_of=registry.spec_of, remember=registry.remember_source
    )
    return Services(
        settings=settings,
        clock=clock,
        search=Searcher(
            embedder=cache,
            index=index,
            catalogue=cached_catalogue,
            decoders=query_decoders,
            max_query_characters=settings.limits.query_characters,
            sure_from=sure_from,
            zone=settings.zone,
        ),
        shared=_shared_searches(storage, parts, query_decoders, opened),
        images=Images(
            index=index,
            writer=parts.writer,
            store=store,
            catalogue=cached_catalogue,
            sure_from=sure_from,
            clock=clock,
            zone=settings.zone,
        ),
        jobs=Jobs(
            store=store,
            ledger=storage.ledger,
            queue=storage.queue,
            dispatcher=storage.dispatcher,
            index=index,
            catalogue=parts.catalogue,
            sources=parts.sources,
            clock=clock,
        ),
        models=_model_changes(storage, registry, parts),
        keys=KeyRing(RedisKeys(_own_client(storage.redis, _KEYS_TIMEOUT_S, opened)), clock),
        limiter=RedisLimiter(_own_client(storage.redis, _LIMITS_TIMEOUT_S, opened)),
        query_cache=cache,
        query_decoders=query_decoders,
        giving_way=giving_way,
        storage=storage,
        parts=parts,
        _opened=opened,
    )


def _shared_searches(
    storage: Storage, parts: WorkerParts, query_decoders: Decoders, opened: ExitStack
) -> SharedSearches:
    client = _own_client(storage.redis, _SHARES_TIMEOUT_S, opened, decode_responses=False)
    return SharedSearches(
        embedder=parts.embedder,
        catalogue=parts.catalogue,
        decoders=query_decoders,
        store=RedisShares(client),
        clock=storage.clock,
    )


def _model_changes(storage: Storage, registry: Registry, parts: WorkerParts) -> ModelChanges:
    return ModelChanges(
        index=storage.index,
        embedder=parts.embedder,
        catalogue=parts.catalogue,
        registry=registry,
        descriptions=Descriptions(registry),
        write_set=storage.write_set,
        ledger=storage.ledger,
        dispatcher=storage.dispatcher,
        clock=storage.clock,
    )


def _own_client(
    client: redis.Redis, timeout_s: float, opened: ExitStack, *, decode_responses: bool = True
) -> redis.Redis:
    own = without_retries(client, timeout_s, decode_responses=decode_responses)
    opened.callback(own.close)
    return own
