"""Parts that hang, as a paused container does: connections open, and nobody answers on them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from petsearch.client import Client
from tests import pictures
from tests.processes import Process
from tests.stack import Stack

DEADLINE_S = 8.0
"""More than the default, because this machine may be busy with other tests."""
LATEST_S = DEADLINE_S + 6.0
"""Below the time-outs of the adapters, and far above what a busy machine adds."""
CALLERS = 16
NUMBERS = count()
HTTP = httpx.Client(timeout=60, limits=httpx.Limits(max_connections=None))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One worker, and a few photos."""
    env = {
        "PETSEARCH_REQUEST_DEADLINE_S": str(DEADLINE_S),
        "PETSEARCH_ANONYMOUS_REQUESTS_PER_MINUTE": "0",
        "PETSEARCH_LEASE_S": "5",
    }
    with Stack(tmp_path_factory.mktemp("stack"), workers=1, env=env) as stack:
        wait_until(lambda: upload(stack.api_url, pictures.jpeg(1)).status_code == 202)
        wait_until(lambda: images(stack.api_url) == 1)
        assert search(stack.api_url).status_code == 200
        yield stack


def wait_until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Ask again until it holds."""
    latest = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.1)


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    """Stop the process, which keeps its sockets, and let it go on afterwards."""
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def images(url: str) -> int:
    """How many photos there are."""
    return int(HTTP.get(f"{url}/v1/stats").json()["images"])


def upload(url: str, data: bytes) -> httpx.Response:
    """Upload one photo."""
    return HTTP.post(f"{url}/v1/images", files={"photos": ("a.jpg", data)})


def search(url: str) -> httpx.Response:
    """Search for something that nobody has asked for."""
    params = {"q": f"a dog with {next(NUMBERS)} spots"}
    return HTTP.get(f"{url}/v1/search", params=params)


def search_by_photo(url: str) -> httpx.Response:
    """Search by a photo that nobody has searched by."""
    photo = ("a.jpg", pictures.jpeg(next(NUMBERS)))
    return HTTP.post(f"{url}/v1/search/image", files={"photo": photo})


def list_images(url: str) -> httpx.Response:
    """The newest photos."""
    return HTTP.get(f"{url}/v1/images")


@dataclass(frozen=True)
class Waited:
    """What a call got, and after how long."""

    what: str
    seconds: float
    answer: httpx.Response


def called(call: Callable[[str], httpx.Response], url: str) -> Waited:
    """Time a call."""
    began = time.monotonic()
    answer = call(url)
    return Waited(call.__name__, time.monotonic() - began, answer)


def all_at_once(url: str, upload_one: Callable[[str], httpx.Response]) -> list[Waited]:
    """16 callers who do different things at the same time."""
    calls = [search, search_by_photo, list_images, upload_one] * (CALLERS // 4)
    with ThreadPoolExecutor(CALLERS) as threads:
        return list(threads.map(lambda call: called(call, url), calls))


@contextmanager
def readiness_of(url: str) -> Iterator[list[Waited]]:
    """Ask for readiness all the time until the block ends."""
    asked: list[Waited] = []
    done = threading.Event()

    def ready(url: str) -> httpx.Response:
        return HTTP.get(f"{url}/readyz")

    def ask() -> None:
        while not done.is_set():
            asked.append(called(ready, url))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        thread.join()


PARTS = {
    # Which part, what its absence is called, and what is answered without it.
    "embedder": ("embedder", {"list_images", "upload_one"}),
    "qdrant": ("Qdrant", set()),
    "redis": ("Redis", {"search", "search_by_photo", "list_images"}),
    "s3": ("object store", {"search", "search_by_photo", "list_images"}),
}


@pytest.mark.parametrize("part", PARTS)
def test_nobody_waits_longer_than_the_deadline_for_a_part_that_hangs(
    stack: Stack, part: str
) -> None:
    name, answered = PARTS[part]
    data = pictures.jpeg(next(NUMBERS) + 1000)

    def upload_one(url: str) -> httpx.Response:
        return upload(url, data)

    before = images(stack.api_url)
    with frozen(getattr(stack, part)), readiness_of(stack.api_url) as ready:
        waited = all_at_once(stack.api_url, upload_one) + all_at_once(stack.api_url, upload_one)
    longest = {
        what: max(one.seconds for one in waited if one.what == what)
        for what in {one.what for one in waited}
    }
    assert max(longest.values()) < LATEST_S, longest
    assert max(one.seconds for one in ready) < LATEST_S
    for one in waited:
        if one.what in answered:
            assert one.answer.is_success, (one.what, one.answer.text)
        elif one.answer.status_code == 503:
            assert int(one.answer.headers["retry-after"]) > 0
            detail = one.answer.json()["detail"]
            assert name in detail or detail.startswith("No answer within"), detail
        else:
            # Uploads do not need the index.
            assert (part, one.what) == ("qdrant", "upload_one"), (one.what, one.answer.text)
    wait_until(lambda: search(stack.api_url).status_code == 200)
    # What got 503 is sent again: one photo, whatever became of the calls before.
    wait_until(lambda: upload(stack.api_url, data).status_code == 202)
    with Client(stack.api_url) as client:
        job = upload(stack.api_url, data).json()
        wait_until(lambda: client.job(job["job_id"])["state"] == "succeeded")
    assert images(stack.api_url) == before + 1
