"""Any start order, and each dependency away for a while: who says so, how soon, and its end."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from devstack import parts
from devstack.addresses import answers_http, free_port
from petsearch.client import Client
from petsearch.domain import JsonDict
from tests import pictures
from tests.processes import Process
from tests.stack import Stack

SOON_S = 15.0
"""Within this an outage must be told."""
PATIENCE_S = 240.0


@dataclass
class Watched:
    """A stack whose API needs keys, and the address where its worker tells its metrics."""

    stack: Stack
    worker_url: str

    def ready(self) -> tuple[int, JsonDict]:
        """Status code and body of the API's `/readyz`."""
        answer = httpx.get(f"{self.stack.api_url}/readyz", timeout=10)
        return answer.status_code, answer.json()

    def worker_waits(self) -> bool:
        """Whether the worker says that it waits for a dependency."""
        text = httpx.get(f"{self.worker_url}/metrics", timeout=10).text
        return "petsearch_ingest_paused 1.0" in text.splitlines()

    def become(self, code: int, status: str, *, within_s: float = PATIENCE_S) -> JsonDict:
        """Wait until the API is in a state; its checks."""
        deadline = time.monotonic() + within_s
        while True:
            found, body = self.ready()
            if (found, body["status"]) == (code, status):
                checks: JsonDict = body["checks"]
                return checks
            assert time.monotonic() < deadline, (found, body)
            time.sleep(0.2)


def wait_for(condition: Callable[[], bool], *, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """API and worker first, while nothing else runs; then the others, the embedder last."""
    port = free_port()
    env = {"PETSEARCH_METRICS_PORT": str(port), "PETSEARCH_LEASE_S": "4"}
    stack = Stack(tmp_path_factory.mktemp("stack"), workers=1)
    # The port of the metrics is the worker's alone.
    worker = parts.worker("worker-0", {**stack.env, **env})
    stack.workers = [stack.processes.prepare(worker)]
    try:
        for process in (stack.api, *stack.workers):
            process.start()
        watched = Watched(stack, f"http://127.0.0.1:{port}")
        wait_for(lambda: "a dependency is down" in stack.workers[0].log)
        wait_for(answers_http(f"{stack.api_url}/livez"))
        checks = watched.become(503, "unavailable")
        assert all(answer != "ok" for answer in checks.values()), checks
        for process in (stack.qdrant, stack.redis, stack.s3, stack.embedder):
            process.start()
        watched.become(200, "ok")
        yield watched
    finally:
        stack.end()


def test_it_came_up_by_itself_in_an_odd_order(watched: Watched) -> None:
    processes = [watched.stack.api, *watched.stack.workers]
    assert all(process.is_alive for process in processes)
    # No life but the first.
    assert watched.stack.api.log.count("Started server process") == 1
    with Client(watched.stack.api_url) as client:
        assert client.stats()["images"] == 0


Away = tuple[Callable[[Stack], None], Callable[[Stack], None]]


def _stopped(choose: Callable[[Stack], Process]) -> Away:
    """A process that hangs: its port is open, and nothing is answered."""
    return (
        lambda stack: os.kill(choose(stack).pid, signal.SIGSTOP),
        lambda stack: os.kill(choose(stack).pid, signal.SIGCONT),
    )


def _killed(choose: Callable[[Stack], Process]) -> Away:
    return (lambda stack: choose(stack).kill(), lambda stack: choose(stack).start())


CASES: dict[str, tuple[str, int, str, Away]] = {
    "redis killed": ("redis", 503, "unavailable", _killed(lambda stack: stack.redis)),
    "redis hangs": ("redis", 503, "unavailable", _stopped(lambda stack: stack.redis)),
    "index cut off": (
        "index",
        503,
        "unavailable",
        (lambda stack: stack.qdrant_proxy.cut(), lambda stack: stack.qdrant_proxy.restore()),
    ),
    "index hangs": ("index", 503, "unavailable", _stopped(lambda stack: stack.qdrant)),
    "store cut off": (
        "store",
        503,
        "unavailable",
        (lambda stack: stack.s3_proxy.cut(), lambda stack: stack.s3_proxy.restore()),
    ),
    "store hangs": ("store", 503, "unavailable", _stopped(lambda stack: stack.s3)),
    "embedder hangs": ("embedder", 200, "degraded", _stopped(lambda stack: stack.embedder)),
    "embedder killed": ("embedder", 200, "degraded", _killed(lambda stack: stack.embedder)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_dependency_that_is_away_is_named_soon_and_forgiven(watched: Watched, case: str) -> None:
    name, code, status, (take_away, bring_back) = CASES[case]
    watched.become(200, "ok")
    take_away(watched.stack)
    try:
        checks = watched.become(code, status, within_s=SOON_S)
        assert [part for part, answer in checks.items() if answer != "ok"] == [name]
    finally:
        bring_back(watched.stack)
    watched.become(200, "ok")


def test_a_worker_that_meets_an_outage_says_so_and_goes_on(watched: Watched) -> None:
    stack = watched.stack
    with Client(stack.api_url) as client:
        stack.embedder.kill()
        photo = pictures.jpeg(77)
        answer = httpx.post(f"{stack.api_url}/v1/images", files={"photos": ("a.jpg", photo)})
        job_id = answer.json()["job_id"]
        wait_for(watched.worker_waits, seconds=SOON_S)
        assert client.job(job_id)["reason"]
        stack.embedder.start()
        wait_for(lambda: client.job(job_id)["counts"]["ingested"] == 1)
        wait_for(lambda: not watched.worker_waits())


def test_an_api_with_keys_waits_for_redis_and_says_why(tmp_path: Path) -> None:
    """Redis alone can say whether there are keys, so this one asks nothing else before."""
    stack = Stack(tmp_path, workers=0, env={"PETSEARCH_ALLOW_NO_KEYS": "0"})
    try:
        stack.api.start()
        wait_for(lambda: "waiting for a dependency before the start" in stack.api.log)
        stack.redis.start()
        # It goes on, and then says what it always says without a key.
        wait_for(lambda: not stack.api.is_alive)
        assert "petsearch keys create" in stack.api.log
        stack.redis.kill()
        stack.api.start()
        wait_for(lambda: stack.api.log.count("waiting for a dependency before the start") == 2)
        stack.api.stop()
        assert stack.api.exit_code == 0
    finally:
        stack.end()
