"""The distributed shape on this machine: every service and server as a process of its own.

Real redis-server, embedder, API and workers; S3 is moto's server and Qdrant is `qdrant_server`,
both over HTTP. S3 is reached through a proxy that can cut it off.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from petsearch.adapters.private_redis import find_redis_server
from tests.processes import Process, Processes, answers_http, free_port, listens
from tests.tcp_proxy import TcpProxy


class Stack:
    """The services with the bundled model, up when this is made. Everything lies in `folder`.

    Args:
        workers: how many worker processes.
        env: settings of every service.
    """

    def __init__(
        self, folder: Path, *, workers: int = 2, env: Mapping[str, str] | None = None
    ) -> None:
        self.processes = Processes(folder / "logs")
        self._redis_folder = folder / "redis"
        self._redis_folder.mkdir(parents=True)
        s3_port, self._redis_port, qdrant_port = free_port(), free_port(), free_port()
        self._embedder_port, self._api_port = free_port(), free_port()
        self.s3_proxy = TcpProxy(s3_port)
        self.env = {
            "PETSEARCH_EMBEDDER_URL": f"http://127.0.0.1:{self._embedder_port}",
            "PETSEARCH_INDEX_URL": f"http://127.0.0.1:{qdrant_port}",
            "PETSEARCH_QDRANT_GRPC": "0",
            "PETSEARCH_STORE_URL": f"s3+http://127.0.0.1:{self.s3_proxy.port}/petsearch",
            "PETSEARCH_REDIS_URL": f"redis://127.0.0.1:{self._redis_port}/0",
            "PETSEARCH_S3_ACCESS_KEY": "testing",
            "PETSEARCH_S3_SECRET_KEY": "testing-secret",
            "PETSEARCH_MODEL": "sample",
            "PETSEARCH_ALLOW_NO_KEYS": "1",
            **(env or {}),
        }
        self.api_url = f"http://127.0.0.1:{self._api_port}"
        try:
            self._start(s3_port, qdrant_port, workers)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """End every process."""
        self.processes.end()
        self.s3_proxy.close()

    def redis_client(self) -> redis.Redis:
        """A client of the stack's Redis."""
        return redis.Redis(port=self._redis_port, decode_responses=True)

    def _start(self, s3_port: int, qdrant_port: int, workers: int) -> None:
        add, python = self.processes.add, sys.executable
        moto = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(s3_port)]
        self.s3 = add("s3", moto, answers=listens(s3_port))
        self.redis = add("redis", self._redis_command(), answers=self._redis_answers)
        self.qdrant = add(
            "qdrant",
            [python, "-m", "tests.qdrant_server", "--port", str(qdrant_port)],
            answers=answers_http(f"http://127.0.0.1:{qdrant_port}/readyz"),
        )
        self.embedder = self._add_service("embedder", self._embedder_port)
        for process in (self.s3, self.redis, self.qdrant, self.embedder):
            process.wait_until_up()
        self.api = self._add_service("api", self._api_port)
        self.workers = [self._add_worker(number) for number in range(workers)]
        # Ready when a worker has made the first collection.
        for process in (self.api, *self.workers):
            process.wait_until_up()

    def _add_service(self, name: str, port: int) -> Process:
        command = [sys.executable, "-m", "uvicorn", "--factory", f"services.{name}.main:create_app"]
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
        answers = answers_http(f"http://127.0.0.1:{port}/readyz")
        return self.processes.add(name, [*command, *options], answers=answers, env=self.env)

    def _add_worker(self, number: int) -> Process:
        command = [sys.executable, "-m", "services.worker.main"]
        # Whether it works is seen in what becomes of the photos.
        return self.processes.add(f"worker-{number}", command, answers=lambda: True, env=self.env)

    def _redis_command(self) -> list[str]:
        options = {
            "port": str(self._redis_port),
            "bind": "127.0.0.1",
            "dir": str(self._redis_folder.resolve()),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return [find_redis_server(), *words]

    def _redis_answers(self) -> bool:
        client = self.redis_client()
        try:
            return bool(client.ping())
        except redis.RedisError:  # also while it reads its append-only file
            return False
        finally:
            client.close()
