"""Servers of both shapes as processes of their own, which ask for a key, for load tests."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from bench.process_usage import address_spaces, pss_bytes
from devstack.launcher import Shape, make_plan
from devstack.parts import Part

_START_S = 180.0
_STOP_S = 20.0
_POLL_S = 0.2
_READY = re.compile(r"petsearch is ready: http://[^:]+:(\d+)\b")
_SETTINGS = {
    "PETSEARCH_LOG_LEVEL": "INFO",
    "PETSEARCH_LOG_JSON": "1",
    # Requests are counted, as they are for visitors, and nobody is refused for their number.
    "PETSEARCH_KEY_REQUESTS_PER_MINUTE": "100000000",
    "PETSEARCH_ALLOW_NO_KEYS": "0",
    "PETSEARCH_DRAIN_S": "0",
    # Measuring which precision is fastest takes a minute on processors without bf16.
    "PETSEARCH_PRECISION": "fp32",
}


class ShapeName(StrEnum):
    """How a server is run."""

    DISTRIBUTED = "distributed"
    STANDALONE = "standalone"


@dataclass(frozen=True)
class Served:
    """A running server of one shape."""

    port: int
    key: str
    services: tuple[int, ...]
    """Process ids of what is ours: API, embedder and worker, or the single process."""
    folder: Path

    def memory_mb(self) -> float:
        """What the services and their children hold, shared pages counted once (PSS), in 10^6 B.

        Neither Redis nor other servers: they keep what was uploaded.
        """
        pids = address_spaces(self.services)
        return sum(pss_bytes(pid) for pid in pids if not _is_redis(pid)) / 1e6

    def unfinished_jobs(self) -> int:
        """How many of the newest jobs have not ended."""
        answer = httpx.get(
            f"http://127.0.0.1:{self.port}/v1/jobs?limit=100",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
        )
        ended = ("succeeded", "partly_failed", "failed", "cancelled")
        return sum(job["state"] not in ended for job in answer.json()["items"])

    def stop_redis(self) -> None:
        """Suspend redis-server: its socket is open, and nothing is answered."""
        os.kill(self._redis(), signal.SIGSTOP)

    def continue_redis(self) -> None:
        """Let it run again."""
        os.kill(self._redis(), signal.SIGCONT)

    def _redis(self) -> int:
        return int(next(self.folder.rglob("redis*.pid")).read_text())


@contextmanager
def served(shape: ShapeName, folder: Path, model: str, *, workers: int = 1) -> Iterator[Served]:
    """A server with everything in `folder`, until the block ends.

    Args:
        workers: worker processes, in the distributed shape.
    """
    folder.mkdir(parents=True)
    start = _distributed if shape is ShapeName.DISTRIBUTED else _standalone
    with ExitStack() as opened:
        yield start(folder, model, workers, opened)


def _distributed(folder: Path, model: str, workers: int, opened: ExitStack) -> Served:
    settings = {"PETSEARCH_MODEL": model, **_SETTINGS}
    plan = make_plan(Shape(port=0, workers=workers), settings, folder)
    servers = [_started(part, folder, opened) for part in plan.servers]
    _wait(zip(plan.servers, servers, strict=True), folder)
    env = dict(plan.services[0].env)
    key = _new_key(env)
    # Without its address an API that asks for keys is not seen to be ready: it takes none here.
    services = [_started(part, folder, opened) for part in plan.services]
    _wait(zip(plan.services, services, strict=True), folder)
    redis = next(p for part, p in zip(plan.servers, servers, strict=True) if part.name == "redis")
    (folder / "redis.pid").write_text(str(redis.pid))
    port = int(plan.api_urls[0].rpartition(":")[2])
    return Served(port, key, tuple(process.pid for process in services), folder)


def _standalone(folder: Path, model: str, _workers: int, opened: ExitStack) -> Served:
    data = folder / "data"
    data.mkdir()
    key = _new_key({}, "--data-dir", str(data))
    command = (sys.executable, "-m", "petsearch", "serve", "--data-dir", str(data))
    part = Part("serve", (*command, "--model", model, "--port", "0"), lambda: True, _SETTINGS)
    process = _started(part, folder, opened)
    log = folder / "serve.log"
    _wait_until(lambda: _READY.search(log.read_text()) is not None, process, log)
    ready = _READY.search(log.read_text())
    assert ready is not None
    return Served(int(ready[1]), key, (process.pid,), folder)


def _new_key(env: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "petsearch", "keys", "create", "--name", "load"]
    made = subprocess.run(
        [*command, "--scope", "admin", "--json", *arguments],
        env={**os.environ, **env},
        check=True,
        capture_output=True,
    )
    return str(json.loads(made.stdout)["secret"])


def _started(part: Part, folder: Path, opened: ExitStack) -> subprocess.Popen[bytes]:
    with (folder / f"{part.name}.log").open("ab") as log:
        process = subprocess.Popen(
            part.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **part.env},
            start_new_session=True,
        )
    opened.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):  # what it started
        os.killpg(process.pid, signal.SIGKILL)


def _wait(started: Iterator[tuple[Part, subprocess.Popen[bytes]]], folder: Path) -> None:
    for part, process in started:
        _wait_until(part.answers, process, folder / f"{part.name}.log")


def _wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + _START_S
    while not answers():
        if process.poll() is not None or time.monotonic() > ends_at:
            raise RuntimeError(f"a server does not start:\n{log.read_text()[-2000:]}")
        time.sleep(_POLL_S)


def _is_redis(pid: int) -> bool:
    try:
        return "redis-server" in Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return False
