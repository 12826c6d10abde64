"""Fixtures that several kinds of test share."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import redis
import structlog
from playwright.sync_api import Browser, expect, sync_playwright

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.sample.catalogue import catalogue
from tests import installed
from tests.browser import BROWSER_WAIT_MS, find_chromium, launch
from tests.redis_server import new_database
from tests.server import ServerProcess

_TESTS = Path(__file__).parent
_ROOT = _TESTS.parent
_MEMORY_DISK = Path("/dev/shm")
_ENOUGH_BYTES = 8 * 1024**3
_TIERS = {
    "compose": "process",
    "e2e": "process",
    "fault": "process",
    "web": "browser",
    "training": "training",
    "services": "service",
    "infra": "process",
    "contract": "service",
    "unit": "unit",
}
"""Which tier the tests of a folder belong to; pyproject.toml describes the tiers.

Folders in the order in which they run: files that take long come first, so that the processes of
a run end at about the same time.
"""


def pytest_configure() -> None:
    """Have every process compute in one thread, and write into memory where there is plenty.

    Several tests run at a time: threads of theirs that wait for each other took twice the processor
    time, and most of the time of tests of the index went into fsync. Tracebacks are plain, as those
    of the services are: structlog's own show all variables, and a single one took seconds.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False),
        ]
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with suppress(OSError, StopIteration):
        told = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in told if line.startswith("MemAvailable:"))
        free = min(int(available.split()[1]) * 1024, shutil.disk_usage(_MEMORY_DISK).free)
        if free > _ENOUGH_BYTES:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY_DISK))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with the tier of its folder, and run slow folders first."""
    for item in items:
        item.add_marker(_TIERS[_folder_of(item)])
    items.sort(key=lambda item: [*_TIERS].index(_folder_of(item)))


def _folder_of(item: pytest.Item) -> str:
    return item.path.relative_to(_TESTS).parts[0]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and of a small real CLIP, kept outside the repository."""
    folder = Path(os.environ.get("PETSEARCH_SHARED", _ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real photos: set PETSEARCH_SHARED to their folder ({folder} is absent)")
    return folder


@pytest.fixture(scope="session")
def real_photos(shared: Path) -> list[Path]:
    """74 unmodified photos at native size, two per breed."""
    return sorted((shared / "data/photos").glob("*.jpg"))


@pytest.fixture
def redis_url() -> str:
    """The address of an empty database of Redis."""
    return new_database()


@pytest.fixture
def private_redis(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the test's database."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """An S3 server over HTTP, in this process; each test has a bucket of its own."""
    from moto.server import ThreadedMotoServer  # takes seconds, which few tests need

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"s3+http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        installed.absent("chromium", "install it, or set PETSEARCH_CHROMIUM to its path")
    expect.set_options(timeout=BROWSER_WAIT_MS)
    with sync_playwright() as playwright:
        opened = launch(playwright, executable)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One standalone server for all tests that only add to it: sample model, 40 drawings."""
    started = ServerProcess(tmp_path_factory.mktemp("server"))
    assert started.address, started.log
    with Client(started.address) as client:
        job = upload(client, PhotoSource(_drawings(40), 40), name="drawings")
    assert job["counts"]["ingested"] == 40, job
    yield started
    started.stop()


@pytest.fixture(scope="session")
def server_url(server: ServerProcess) -> str:
    """Where the server answers."""
    return server.address


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    """The Python client of the server."""
    with Client(server_url) as opened:
        yield opened


@pytest.fixture
def http(server_url: str) -> Iterator[httpx.Client]:
    """Plain HTTP to the server."""
    # Reading the certificates of all authorities takes longer than most of the calls.
    with httpx.Client(base_url=server_url, timeout=30, verify=False) as opened:
        yield opened


def _drawings(count: int) -> Iterator[Photo]:
    for drawing in catalogue(count, seed=7):
        metadata = {"breed": drawing.kind, "species": drawing.species}
        yield Photo(drawing.filename, drawing.to_jpeg(), metadata)
