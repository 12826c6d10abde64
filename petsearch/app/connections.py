"""Opens what the addresses of the settings name: each kind of address has its adapter."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from petsearch.adapters import embedder_http
from petsearch.adapters.clip import ModelSource, published_source, resolve_model
from petsearch.adapters.objects import FilesystemStore
from petsearch.adapters.web import UrlFetcher
from petsearch.disk_room import DiskRoom
from petsearch.domain.addresses import without_password
from petsearch.domain.errors import ConfigurationError, NotFound, PetsearchError
from petsearch.embedding import BatchingEmbedder, BatchingOptions, BatchObserver
from petsearch.maintenance import Place
from petsearch.models import (
    CatalogueCalibrations,
    Registry,
    ServedModel,
    model_id_of,
    read_serving,
)
from petsearch.models.registry import SPEC_KIND
from petsearch.observability import get_logger
from petsearch.photos import Decoders, ImageLimits
from petsearch.ports import ClipModel, Collections, Embedder, ObjectStore, Snapshots
from petsearch.ports.raw_index import RawIndex
from petsearch.process_tuning import tune_process, usable_cores
from petsearch.settings import Settings
from petsearch.sources import Readers, SourceContext

if TYPE_CHECKING:  # the embedder has none
    import redis

log = get_logger(__name__)

QUERY_PROCESSES = 2
"""Photos of searches that are decoded at a time."""
_MOST_WAITING_QUERIES = 8
"""Each waits in a thread, of which 40 serve all requests."""
MOST_QUERY_PHOTOS = QUERY_PROCESSES + _MOST_WAITING_QUERIES
"""Searches by photo of which the decoders refuse none."""
MOST_PROCESSES = 8
"""By default: as many as fit the memory of a worker's container, however many cores it sees."""


def image_limits(settings: Settings) -> ImageLimits:
    """What is refused before a pixel is decoded."""
    limits = settings.limits
    return ImageLimits(
        limits.image_bytes, limits.image_megapixels, limits.decode_bytes, limits.decode_s
    )


def decode_threads(settings: Settings) -> int:
    """Return how many photos are decoded at a time, each in a process of its own.

    One more than cores: while one process waits for its next photo, another uses the core.
    """
    return settings.decode_threads or min(MOST_PROCESSES, 1 + usable_cores())


def open_decoders(settings: Settings, before_each: Callable[[], None] = lambda: None) -> Decoders:
    """What decodes photos; its processes start when they are needed.

    Args:
        before_each: see `Decoders`.
    """
    processes = decode_threads(settings)
    return Decoders(image_limits(settings), processes=processes, before_each=before_each)


def open_query_decoders(settings: Settings) -> Decoders:
    """What decodes the photos of searches, which do not wait for those of ingest."""
    return Decoders(
        image_limits(settings),
        processes=QUERY_PROCESSES,
        most_waiting=_MOST_WAITING_QUERIES,
        niceness=0,
    )


def source_context(settings: Settings, store: ObjectStore) -> SourceContext:
    """What sources of jobs are read with: what the settings allow, and nothing else.

    Raises:
        ConfigurationError: the S3 server's address or one of its keys is missing or wrong.
    """
    s3 = None
    if settings.store_url.startswith(("s3+http:", "s3+https:")):
        settings.require("s3_access_key", "s3_secret_key")
        with _extra("storage"):
            from petsearch.adapters.objects import s3_reader
        s3 = s3_reader.open_reader(
            settings.store_url,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
        )
    return SourceContext(
        store=store,
        import_dirs=settings.import_dirs,
        import_buckets=settings.import_buckets,
        s3=s3,
        urls=UrlFetcher() if settings.url_ingest else None,
        max_bytes=settings.limits.image_bytes,
        readers=Readers(most=settings.worker_threads + 1),
    )


def load_embedder(
    settings: Settings, store: ObjectStore | None, observer: BatchObserver | None = None
) -> BatchingEmbedder:
    """The model that embedders are to serve now, loaded and warm, behind a batcher.

    It is the one of the settings where nobody has said yet, or nobody can be asked.

    Args:
        store: where it is said; None if nowhere.
        observer: is told of every batch.

    Raises:
        ConfigurationError: no model is named, or it cannot be had.
    """
    try:
        serving = None if store is None else read_serving(store)
        if serving is not None and serving.models:
            return _load_embedder(settings, serving.models[0], observer)
    except PetsearchError as error:
        log.warning("the model to serve cannot be had; PETSEARCH_MODEL is", reason=error.detail)
    settings.require("model")
    return _load_embedder(settings, ServedModel(model_id="", spec=settings.model), observer)


def load_served(settings: Settings, wanted: ServedModel) -> ClipModel:
    """A model in its precision, in that of the settings if none is fixed.

    Raises:
        ConfigurationError: it cannot be had.
    """
    # A wrong address is said before the libraries below are loaded, which takes seconds.
    source = _resolve(settings, wanted.spec)
    with _extra("embedder"):
        from petsearch.adapters.clip.model import load_model

    precision = wanted.precision
    if precision is None and settings.precision != "auto":
        precision = settings.precision
    # In a thread that ends: each thread that runs torch keeps OpenMP threads of its own, and with
    # more of them than cores all wait by sleeping: a query took 20 ms instead of 13.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as passing:
        model = passing.submit(load_model, source, precision=precision).result()
    _calibrate_as_kept(settings, model)
    return model


def _calibrate_as_kept(settings: Settings, model: ClipModel) -> None:
    """Use what was fitted on the catalogue's photos, before the model makes a prediction."""
    if not settings.store_url:
        return
    try:
        found = CatalogueCalibrations(open_store(settings)).newer(model.info)
    except PetsearchError as error:  # it serves without
        log.warning("a calibration cannot be read", reason=error.detail)
        return
    if found is not None:
        model.info = replace(model.info, calibration=found)


def open_store(settings: Settings) -> ObjectStore:
    url = settings.store_url
    kind, _, rest = url.partition(":")
    if kind == "file" and rest:
        return FilesystemStore(Path(rest))
    if kind in ("s3+http", "s3+https"):
        settings.require("s3_access_key", "s3_secret_key")
        with _extra("storage"):
            from petsearch.adapters.objects import minio
        return minio.open_bucket(
            url,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
        )
    raise _unknown_address("STORE_URL", url, "s3+http://<host>:<port>/<bucket>, file:<dir>")


def open_room(settings: Settings) -> DiskRoom | None:
    """The room on this machine's disk, beside an index in this process; None for servers."""
    kind, _, rest = settings.index_url.partition(":")
    return DiskRoom(Path(rest).parent) if kind == "edge" and rest else None


def open_index(settings: Settings, room: DiskRoom | None = None) -> RawIndex:
    url = settings.index_url
    kind, _, rest = url.partition(":")
    if kind == "edge" and rest:
        with _extra("standalone"):
            from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
        return QdrantEdgeIndex(Path(rest), room)
    if kind in ("http", "https"):
        with _extra("storage"):
            from petsearch.adapters.qdrant.collection import CollectionOptions
            from petsearch.adapters.qdrant.index import QdrantIndex, connect
        client = connect(
            url,
            api_key=settings.qdrant_api_key.get_secret_value() or None,
            use_grpc=settings.qdrant_grpc,
        )
        options = CollectionOptions(
            shards=settings.qdrant_shards,
            replicas=settings.qdrant_replicas,
            quantization=settings.qdrant_quantization,
        )
        return QdrantIndex(client, options)
    raise _unknown_address(
        "INDEX_URL", url, "http://<host>:<port>, several of these with commas, edge:<dir>"
    )


def open_snapshots(settings: Settings, opened: ExitStack) -> Snapshots | None:
    """What makes snapshots of the index; None in this process, where nothing does."""
    if not settings.index_url.startswith(("http://", "https://")):
        return None
    with _extra("storage"):
        from petsearch.adapters.qdrant.snapshots import QdrantSnapshots
    snapshots = QdrantSnapshots(
        settings.index_url, api_key=settings.qdrant_api_key.get_secret_value() or None
    )
    opened.callback(snapshots.close)
    return snapshots


def open_place(settings: Settings, address: str) -> Place:
    """Where a backup lies: a folder, or `s3+http://<host>:<port>/<bucket>/<prefix>` with our keys.

    Raises:
        ConfigurationError: the address names no bucket, or a key is missing.
    """
    if not address.startswith(("s3+http://", "s3+https://")):
        return Place(FilesystemStore(Path(address)))
    scheme, _, rest = address.partition("://")
    host, _, path = rest.partition("/")
    bucket, _, prefix = path.strip("/").partition("/")
    store = open_store(settings.model_copy(update={"store_url": f"{scheme}://{host}/{bucket}"}))
    return Place(store, f"{prefix}/" if prefix else "")


def open_redis(url: str, opened: ExitStack) -> "tuple[str, redis.Redis]":
    """The broker's address and a client for the ledger."""
    with _extra("queue"):
        from petsearch.adapters.redis import client as redis_client
        from petsearch.adapters.redis.private_server import PrivateRedis
    kind, _, rest = url.partition(":")
    if kind == "local" and rest:
        server = PrivateRedis(Path(rest))
        opened.callback(server.close)
        broker_url = f"redis+socket://{server.socket_path}"
        client = redis_client.connect(f"unix://{server.socket_path}")
    elif kind in ("redis", "rediss"):
        broker_url = url
        client = redis_client.connect(url)
    else:
        raise _unknown_address("REDIS_URL", url, "redis://<host>:<port>/<db>, local:<dir>")
    opened.callback(client.close)
    return broker_url, client


def open_embedder(settings: Settings, index: Collections, store: ObjectStore) -> Embedder:
    url = settings.embedder_url
    if url.startswith(("http://", "https://")):
        return embedder_http.connect(url)
    if url != "local:":
        raise _unknown_address("EMBEDDER_URL", url, "http://<host>:<port>, local:")
    settings.require("model")
    spec = _model_to_serve(settings.model, index, Registry(store))
    return _load_embedder(settings, ServedModel(model_id="", spec=spec))


def _resolve(settings: Settings, spec: str) -> ModelSource:
    """See `resolve_model`; `s3:<model_id>` is a published model, which is in the object store."""
    kind, _, model_id = spec.partition(":")
    if kind != SPEC_KIND or not model_id:
        return resolve_model(spec)
    settings.require("store_url")
    cache = settings.model_cache.expanduser()
    return published_source(Registry(open_store(settings)).fetch(model_id, cache), model_id)


def _load_embedder(
    settings: Settings, wanted: ServedModel, observer: BatchObserver | None = None
) -> BatchingEmbedder:
    tune_process()
    model = load_served(settings, wanted)
    return BatchingEmbedder(
        model,
        BatchingOptions.of_device(model.info.device),
        load=lambda spec: load_served(settings, ServedModel(model_id="", spec=spec)),
        observer=observer,
    )


def _model_to_serve(wanted: str, index: Collections, registry: Registry) -> str:
    """The model the photos are indexed with; `wanted` only decides the first one."""
    if (collection := index.current()) is None:
        return wanted
    try:
        serving = registry.spec_of(model_id_of(collection))
    except NotFound:
        return wanted
    if _same_model(wanted, serving):
        return serving
    log.warning(
        "this data was indexed with another model, which goes on serving; to use the wanted one: "
        "petsearch publish, petsearch reindex --model, petsearch promote",
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
        f"PETSEARCH_{variable} is {without_password(given)!r}, which is no known kind of address. "
        f"Accepted: {accepted}."
    )


@contextmanager
def _extra(name: Literal["standalone", "embedder", "storage", "queue"]) -> Iterator[None]:
    """Turn a missing library into an error that names the extra to install."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            f"The library {error.name!r} is not installed. "
            f"Install it with: pip install 'petsearch[{name}]'"
        ) from error
