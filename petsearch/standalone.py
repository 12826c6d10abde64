"""The single-process shape: API, worker, embedder and index in one process, and a private Redis."""

import errno
import fcntl
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from petsearch.app.services import Services, build_services, has_admin_key
from petsearch.app.watchdog import watched
from petsearch.disk_room import NEW_INDEX_BYTES, ROOM_BYTES, DiskRoom
from petsearch.domain.addresses import is_loopback
from petsearch.domain.errors import ConfigurationError, StorageFull
from petsearch.embedding import BatchingEmbedder
from petsearch.file_access import check_data_folder
from petsearch.observability import get_logger
from petsearch.ports.work_in_hand import Moves
from petsearch.process_tuning import allow_open_files, startup_without_gc, trimmed_memory
from petsearch.settings import Settings
from services.api.app import build_app
from services.api.metrics import ApiMetrics
from services.api.page import web_dir
from services.http.metrics_route import add_metrics_route
from services.http.protocol import BoundedProtocol
from services.http.startup import exit_process
from services.worker.main import WorkerThread, create_app
from services.worker.metrics import WorkerMetrics
from services.worker.runtime import WorkerRuntime, build_runtime

log = get_logger(__name__)

_DATA_VERSION = "1"
"""Of the data folder's contents; one that older programs cannot read has another."""
_TEND_S = 2.0
_OBJECTS = "objects"


@dataclass(frozen=True)
class StandaloneOptions:
    """What `petsearch serve` takes."""

    data_dir: Path
    model: str
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free port."""


def standalone_settings(options: StandaloneOptions) -> Settings:
    """The environment's settings, with the four addresses under the data folder."""
    root = options.data_dir.resolve()
    settings = Settings.from_environment()
    hosts = settings.allowed_hosts
    if not is_loopback(options.host) and options.host not in ("0.0.0.0", "::"):
        hosts = (*hosts, options.host)
    return settings.model_copy(
        update={
            "embedder_url": "local:",
            "index_url": f"edge:{root / 'index'}",
            "store_url": f"file:{root / _OBJECTS}",
            "redis_url": f"local:{root / 'redis'}",
            "model": options.model or settings.model,
            "allowed_hosts": hosts,
        }
    )


def serve(
    options: StandaloneOptions, *, on_ready: Callable[[Services, str], None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        on_ready: called once, when the address answers, with the services and that address.

    Raises:
        ConfigurationError: the data folder is in use, the port is taken, the bind is not allowed.
    """
    # uvicorn raises the signal again when it has shut down; both must unwind what is open here.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, exit_process)
    settings = standalone_settings(options)
    allow_open_files()
    with ExitStack() as opened:
        listener = opened.enter_context(_bound_socket(options.host, options.port))
        opened.enter_context(locked(options.data_dir))
        _check_bind(options.host, settings)
        with startup_without_gc():
            services = build_services(settings)
        opened.callback(services.close)
        services.parts.decoders.start()
        services.query_decoders.start()
        opened.enter_context(trimmed_memory())
        api_metrics, worker_metrics = ApiMetrics(), WorkerMetrics()
        api_metrics.watch(services.query_cache)
        worker_metrics.watch(services.storage.queue)
        work = build_runtime(services, worker_metrics)
        opened.enter_context(watched(settings.stalled_s, lambda: _moves(services, work)))

        def start_work() -> None:
            worker = WorkerThread(create_app(services, work), work, threads=settings.worker_threads)
            # Nobody else works here: what the last process left is taken up from the ledger.
            services.storage.celery_app.control.purge()
            services.storage.dispatcher.recover()
            worker.start()
            opened.callback(worker.stop)

        opened.enter_context(_with_room(services.storage.room, start_work))
        address = _address(options.host, listener)
        app = build_app(
            services,
            web_dir=web_dir(),
            metrics=api_metrics,
            is_on_loopback=is_loopback(options.host),
            compress=True,
        )
        add_metrics_route(app, api_metrics, worker_metrics)
        server = _Server(_uvicorn_config(app), lambda: _tell(on_ready, services, address))
        server.run(sockets=[listener])


def _moves(services: Services, work: WorkerRuntime) -> Moves:
    embedder = services.parts.embedder
    if not isinstance(embedder, BatchingEmbedder):
        raise TypeError("the model of a single process is in that process")
    return {**embedder.batcher.in_hand.moves(), **work.chunks.in_hand.moves()}


class _Server(uvicorn.Server):
    """A uvicorn server that says when it answers."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        # In a thread of its own: what it does may take minutes, and requests are answered now.
        threading.Thread(target=self._on_started, name="on-ready", daemon=True).start()


def _tell(
    on_ready: Callable[[Services, str], None] | None, services: Services, address: str
) -> None:
    log.info("ready", address=address)
    if on_ready is not None:
        on_ready(services, address)


def _uvicorn_config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        proxy_headers=False,  # services/http/forwarded.py believes those that are named
        log_config=None,
        access_log=False,
        # Longer than clients keep a connection, or theirs is closed just as they ask again.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


def _check_bind(host: str, settings: Settings) -> None:
    """Before the model is loaded, which takes a while."""
    if is_loopback(host) or settings.allow_no_keys or has_admin_key(settings):
        return
    raise ConfigurationError(
        f"--host {host} opens this server to the network, and it has no key of the scope admin. "
        "Make one with: petsearch keys create --name me --scope admin --data-dir … "
        "Or bind to 127.0.0.1, or set PETSEARCH_ALLOW_NO_KEYS=1 if the network is yours alone."
    )


@contextmanager
def _with_room(room: DiskRoom | None, start_work: Callable[[], None]) -> Iterator[None]:
    """Start the work, which writes, once the disk has room, and keep the reserve meanwhile."""
    if room is None:
        raise TypeError("the index of a single process is in that process")
    if room.lacking_bytes():
        log.warning("the disk is full: photos are found and deleted, and nothing else is changed")
        room.call_when_free(start_work)
    else:
        start_work()
    stopping = threading.Event()

    def tend() -> None:
        while not stopping.wait(_TEND_S):
            try:
                room.tend()
            except Exception:  # a thread's edge
                log.exception("the disk's room is not tended")

    thread = threading.Thread(target=tend, name="disk-room", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@contextmanager
def _bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigurationError(
                    f"Port {port} is in use. Stop what uses it, or choose another with --port."
                ) from error
            raise ConfigurationError(f"Cannot bind to {host}:{port}: {error.strerror}.") from error
        yield listener


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the data folder for this process; the lock ends with the process, however it ends.

    Photos, keys' hashes and jobs are nobody else's, so what the process writes is its user's alone.
    """
    try:
        os.umask(0o077)
        data_dir.mkdir(parents=True, exist_ok=True)
        # Also where an earlier version made it.
        with suppress(PermissionError):  # of another owner, who decides
            data_dir.chmod(stat.S_IRWXU)
        lock = (data_dir / "lock").open("a+")
    except PermissionError as error:
        check_data_folder(data_dir, data_dir / _OBJECTS)
        raise ConfigurationError(f"Cannot use {data_dir}: {error.strerror}.") from error
    except OSError as error:
        raise ConfigurationError(f"Cannot use {data_dir}: {error.strerror}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise ConfigurationError(
                f"The data folder {data_dir} is in use by process {lock.read().strip()}. "
                "Stop it, or choose another with --data-dir."
            ) from error
        check_data_folder(data_dir, data_dir / _OBJECTS)
        _check_version(data_dir)
        _make_room(data_dir)
        with suppress(OSError):  # on a full disk: only a message says it
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield


def _check_version(data_dir: Path) -> None:
    stated = data_dir / "version"
    found = stated.read_text().strip() if stated.exists() else ""
    if found and found != _DATA_VERSION:
        raise ConfigurationError(
            f"{data_dir} has data of version {found[:20]}; this program knows version "
            f"{_DATA_VERSION}. Start the newer petsearch, or restore a backup of before."
        )
    if not found:
        with suppress(OSError):  # on a full disk the next start states it
            stated.write_text(f"{_DATA_VERSION}\n")


def _make_room(data_dir: Path) -> None:
    room = DiskRoom(data_dir)
    if (data_dir / "index" / "current").exists():
        room.make_room(ROOM_BYTES)
    elif (free := room.free_bytes()) < NEW_INDEX_BYTES:
        raise StorageFull(
            f"The disk of {data_dir} has {free / 1e6:.0f} MB left; "
            f"a new data folder takes {NEW_INDEX_BYTES / 1e6:.0f} MB."
        )
    room.keep_reserve()


def _address(host: str, listener: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{listener.getsockname()[1]}"
