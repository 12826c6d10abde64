"""The distributed shape on this machine: every service and server as a process of its own.

Real redis-server, embedder, API and workers; S3 is moto's server and Qdrant is our stand-in, both
over HTTP. S3 and Qdrant are reached through proxies that can cut them off.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import redis

from devstack import parts
from devstack.addresses import free_port
from tests.processes import UNHURRIED, Process, Processes
from tests.tcp_proxy import TcpProxy


class Stack:
    """The services with the bundled model, up when this is entered. Everything lies in `folder`.

    Args:
        workers: how many worker processes.
        env: settings of every service.
    """

    def __init__(
        self, folder: Path, *, workers: int = 2, env: Mapping[str, str] | None = None
    ) -> None:
        self.processes = Processes(folder / "logs")
        s3_port, self.redis_port, qdrant_port = free_port(), free_port(), free_port()
        embedder_port, api_port = free_port(), free_port()
        self.s3_proxy, self.qdrant_proxy = TcpProxy(s3_port), TcpProxy(qdrant_port)
        self.env = {
            "PETSEARCH_EMBEDDER_URL": f"http://127.0.0.1:{embedder_port}",
            "PETSEARCH_INDEX_URL": f"http://127.0.0.1:{self.qdrant_proxy.port}",
            "PETSEARCH_QDRANT_GRPC": "0",
            "PETSEARCH_STORE_URL": f"s3+http://127.0.0.1:{self.s3_proxy.port}/petsearch",
            "PETSEARCH_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "PETSEARCH_S3_ACCESS_KEY": "testing",
            "PETSEARCH_S3_SECRET_KEY": "testing-secret",
            "PETSEARCH_MODEL": "sample",
            "PETSEARCH_ALLOW_NO_KEYS": "1",
            **UNHURRIED,
            **(env or {}),
        }
        self.api_url = f"http://127.0.0.1:{api_port}"
        self.s3 = self.processes.prepare(parts.s3_server(s3_port))
        self.redis = self.processes.prepare(parts.redis_server(folder / "redis", self.redis_port))
        self.qdrant = self.processes.prepare(parts.qdrant_server(qdrant_port))
        service = parts.http_service
        self.embedder = self.processes.prepare(
            service("embedder", "embedder", embedder_port, self.env)
        )
        self.api = self.processes.prepare(service("api", "api", api_port, self.env))
        self.workers = [
            self.processes.prepare(parts.worker(f"worker-{number}", self.env))
            for number in range(workers)
        ]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def servers(self) -> list[Process]:
        """What the services need."""
        return [self.s3, self.redis, self.qdrant, self.embedder]

    def start(self) -> None:
        """Start everything and wait until it is up; services wait for what they need."""
        # Ready when a worker has made the first collection.
        everything = [*self.servers, self.api, *self.workers]
        for process in everything:
            process.start()
        for process in everything:
            process.wait_until_up()

    def end(self) -> None:
        """End every process."""
        self.processes.end()
        self.s3_proxy.close()
        self.qdrant_proxy.close()

    def redis_client(self) -> redis.Redis:
        """A client of the stack's Redis."""
        return redis.Redis(port=self.redis_port, decode_responses=True)
