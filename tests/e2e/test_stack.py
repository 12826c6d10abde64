"""`make stack`: the services as processes, restarted one after the other while people search.

PETSEARCH_TEST_PHOTOS says how many photos are ingested meanwhile.
"""

import itertools
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Self

import httpx
import pytest

from devstack.parts import Part
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain.errors import PetsearchError
from petsearch.sample.catalogue import catalogue
from tests.processes import UNHURRIED, Process, Processes

PHOTOS = int(os.environ.get("PETSEARCH_TEST_PHOTOS", "120"))
PATIENCE_S = 240.0
PAUSE_S = 0.15
"""Between two searches of a person: whoever searches leaves something to those who start."""
ENV = {
    **UNHURRIED,
    "PETSEARCH_ANONYMOUS_REQUESTS_PER_MINUTE": "0",
    "PETSEARCH_LEASE_S": "5",
    **{f"PETSEARCH_{name}_URL": "" for name in ("EMBEDDER", "INDEX", "STORE", "REDIS")},
}


class RunningStack:
    """A launcher with two APIs, two embedders and a worker, ready."""

    def __init__(self, launcher: Process) -> None:
        self.launcher = launcher
        self.wait_for(lambda: "ready: http" in launcher.log or not launcher.is_alive)
        found = re.search(r"ready: (\S+)", launcher.log)
        assert found, launcher.log
        self.api = found[1]
        for address in self.api.split(","):
            # Until the model is loaded it is `degraded`.
            self.wait_for(partial(is_whole, address))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait for what the launcher does."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.launcher.log
            time.sleep(0.1)

    def lines(self, name: str) -> list[str]:
        """What a part said, and what was said of it."""
        lines = (line.partition(" | ") for line in self.launcher.log.splitlines())
        return [said for who, _, said in lines if who.strip() == name]

    def pids(self, name: str) -> list[int]:
        """Of all lives of a part."""
        found = (re.fullmatch(r"started, pid (\d+)", line) for line in self.lines(name))
        return [int(match[1]) for match in found if match]

    def restart(self, name: str) -> None:
        """Tell a part to stop, and wait until it was started again and is up."""
        before = len(self.pids(name))
        ups = self._ups(name)
        os.kill(self.pids(name)[-1], signal.SIGTERM)
        self.wait_for(lambda: len(self.pids(name)) > before and self._ups(name) > ups)

    def _ups(self, name: str) -> int:
        started = ("Application startup complete", "[info     ] ready")
        marks = ("the model is loaded",) if name.startswith("embedder") else started
        return sum(any(mark in line for mark in marks) for line in self.lines(name))


class Searches:
    """Two people who search while this is open, for something new each time."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._ending = threading.Event()
        self._numbers = itertools.count()
        self._pool = ThreadPoolExecutor(2)
        self.done = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._running = [self._pool.submit(self._search) for _ in range(2)]
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._pool.shutdown()
        for running in self._running:
            running.result()

    def are_beyond(self, number: int) -> bool:
        """Whether more searches than that were answered."""
        return self.done > number

    def _search(self) -> None:
        with Client(self._api, timeout_s=60) as client:
            while not self._ending.wait(PAUSE_S):
                try:
                    client.search(f"cat number {next(self._numbers)}", limit=5)
                except PetsearchError as error:
                    self.failures.append(f"{type(error).__name__}: {error}")
                self.done += 1


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    command = (
        *(sys.executable, "-m", "devstack", "--port", "0"),
        *("--apis", "2", "--embedders", "2", "--workers", "1"),
    )
    with Processes(tmp_path_factory.mktemp("stack")) as processes:
        launcher = processes.add_part(Part("launcher", command, lambda: True, ENV))
        try:
            yield RunningStack(launcher)
        finally:
            launcher.stop(PATIENCE_S)  # its parts have sessions of their own: only it can end them


def photos() -> PhotoSource:
    drawings = (Photo(d.filename, d.to_jpeg(), {"breed": d.kind}) for d in catalogue(PHOTOS, 5))
    return PhotoSource(drawings, PHOTOS)


def is_whole(address: str) -> bool:
    """Whether an API has every part that it needs."""
    return str(httpx.get(f"{address}/readyz").json()["status"]) == "ok"


def test_it_says_what_stands_in_for_what(stack: RunningStack) -> None:
    said = " ".join(stack.lines("stack"))
    assert "no Qdrant: a stand-in" in said
    assert "moto" in said
    assert "is lost when this stops" in said


def test_nobody_notices_that_every_service_is_restarted(stack: RunningStack) -> None:
    with (
        Client(stack.api) as client,
        ThreadPoolExecutor(1) as aside,
        Searches(stack.api) as searches,
    ):
        job = aside.submit(upload, client, photos(), name="while restarting")
        for name in ("api-1", "api-2", "embedder-1", "embedder-2", "worker"):
            enough = searches.done + 5
            stack.restart(name)
            stack.wait_for(partial(searches.are_beyond, enough))
        counts = job.result(PATIENCE_S)["counts"]
    assert searches.failures == []
    assert searches.done > 25
    assert counts["ingested"] == PHOTOS
    for name in ("api-1", "api-2", "embedder-1"):
        assert any("draining" in line for line in stack.lines(name)), name
    with Client(stack.api) as client:
        assert client.stats()["images"] == PHOTOS
        assert len(client.search("a cat", limit=10)["items"]) == 10


def test_a_killed_part_is_started_again_and_said_so(stack: RunningStack) -> None:
    before = stack.pids("worker")
    os.kill(before[-1], signal.SIGKILL)
    stack.wait_for(lambda: len(stack.pids("worker")) > len(before))
    assert any("ended with code -9; it is started again" in line for line in stack.lines("worker"))


def test_it_stops_with_all_its_processes(stack: RunningStack) -> None:
    names = ("redis", "s3", "qdrant", "embedder-1", "embedder-2", "api-1", "api-2", "worker")
    pids = [stack.pids(name)[-1] for name in names]
    assert all(is_running(pid) for pid in pids)
    stack.launcher.stop(PATIENCE_S)
    assert stack.launcher.exit_code == 0, stack.launcher.log
    assert stack.lines("stack")[-1] == "everything has stopped"
    assert [name for name, pid in zip(names, pids, strict=True) if is_running(pid)] == []


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
