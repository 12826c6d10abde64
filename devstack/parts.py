"""How each service, and each server that stands in for a real one, is started as a process."""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis

from devstack.addresses import Answers, answers_http, listens
from petsearch.adapters.redis.private_server import redis_command

GRACE_S = 20
"""How long a service may finish requests after SIGTERM, as in compose."""


@dataclass(frozen=True)
class Part:
    """A program of the stack."""

    name: str
    command: tuple[str, ...]
    answers: Answers
    """Whether it is up."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment."""
    is_server: bool = False
    """A stand-in for a third-party server: its output is printed only when it exits."""
    forgets: bool = False
    """Its data is lost when it exits."""


def redis_server(folder: Path, port: int) -> Part:
    """A redis-server on TCP that keeps its data in `folder`.

    Raises:
        ConfigurationError: no binary was found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = redis_command(folder, {"port": str(port), "bind": "127.0.0.1"})
    return Part("redis", command, pings(port), is_server=True)


def s3_server(port: int) -> Part:
    """moto's S3 server, a development dependency; everything is in its memory."""
    command = (sys.executable, "-m", "devstack.s3_server", "--port", str(port))
    return Part("s3", command, listens(port), is_server=True, forgets=True)


def qdrant_server(port: int) -> Part:
    """The stand-in for Qdrant; everything is in its memory."""
    command = (sys.executable, "-m", "devstack.qdrant_server", "--port", str(port))
    answers = answers_http(f"http://127.0.0.1:{port}/readyz")
    return Part("qdrant", command, answers, is_server=True, forgets=True)


def http_service(
    kind: str, name: str, port: int, env: Mapping[str, str], *, host: str = "127.0.0.1"
) -> Part:
    """The `api` or an `embedder`, under uvicorn as in its image; it listens at `host`."""
    command = (
        *(sys.executable, "-m", "uvicorn", "--factory", f"services.{kind}.main:create_app"),
        *("--host", host, "--port", str(port), "--no-access-log"),
        "--no-proxy-headers",
        *("--http", "services.http.protocol:BoundedProtocol"),
        *("--timeout-keep-alive", "75", "--timeout-graceful-shutdown", str(GRACE_S)),
    )
    own = {"PETSEARCH_ALLOWED_HOSTS": f'["{host}"]'} if kind == "embedder" else {}
    return Part(name, command, answers_http(f"http://{host}:{port}/readyz"), {**env, **own})


def worker(name: str, env: Mapping[str, str]) -> Part:
    """A worker. Whether it works is seen in what becomes of the photos."""
    return Part(name, (sys.executable, "-m", "services.worker.main"), lambda: True, env)


def pings(port: int, *, host: str = "127.0.0.1") -> Answers:
    """A check: whether a Redis server answers."""

    def check() -> bool:
        # It also raises while it reads its append-only file.
        with contextlib.suppress(redis.RedisError), redis.Redis(host, port) as client:
            return bool(client.ping())
        return False

    return check
