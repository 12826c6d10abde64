"""petsearch on three hosts: real Qdrant nodes, several of each service, one Redis, one store."""

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from devstack import parts
from devstack.addresses import answers_http
from devstack.parts import Part
from petsearch.adapters.objects import minio
from petsearch.adapters.qdrant.collection import CollectionOptions
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.adapters.redis.private_server import redis_command
from petsearch.ports import ObjectStore
from tests.cluster.network import Network
from tests.processes import Process, Processes

HOSTS = ("host-1", "host-2", "host-3")
MACHINES = {
    "host-1": ("qdrant-1", "embedder-1", "api-1", "worker-1"),
    "host-2": ("qdrant-2", "embedder-2", "api-2", "worker-2"),
    "host-3": ("qdrant-3", "redis", "s3", "embedder-3", "embedder-4"),
}
_BEHIND = 9001
"""The port of the object store's stand-in, whose data is gone when it ends. What is killed is the
proxy before it: its callers see the same."""
_KEYS = {"PETSEARCH_S3_ACCESS_KEY": "testing", "PETSEARCH_S3_SECRET_KEY": "testing-secret"}


class Cluster:
    """Everything is up when this is entered, but for the third and the fourth embedder.

    Args:
        folder: of logs and data.
        qdrant: the program of Qdrant's server.
        env: settings of every service.
    """

    def __init__(self, folder: Path, qdrant: Path, *, env: Mapping[str, str] | None = None) -> None:
        self._folder, self._qdrant = folder, qdrant
        self.network = Network()
        self.addresses: dict[str, str] = {}
        for host in HOSTS:
            self.network.add_host(host)
            self.addresses |= {name: self.network.add(name, host) for name in MACHINES[host]}
        self._processes = Processes(folder / "logs")
        self.index_url = ",".join(self.url(f"qdrant-{n}", 6333) for n in (1, 2, 3))
        self._store_url = f"s3+{self.url('s3', 9000)}/petsearch"
        self.env = self._settings() | dict(env or {})
        self.parts: dict[str, Process] = {}
        self._behind = self._prepare(self._s3())
        for name in self.addresses:
            self.parts[name] = self._prepare(self._part(name))

    def __enter__(self) -> Self:
        first = [name for name in self.parts if name not in ("embedder-3", "embedder-4")]
        self._behind.start()
        self.name_embedders("embedder-1", "embedder-2")
        try:
            for name in first:
                self.parts[name].start()
                if name == "qdrant-1":  # the others join it
                    self.parts[name].wait_until_up()
            for name in first:
                self.parts[name].wait_until_up()
        except BaseException:
            self._processes.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.end()

    @property
    def api_urls(self) -> list[str]:
        """Of all APIs."""
        return [self.url(name, 8000) for name in ("api-1", "api-2")]

    def url(self, name: str, port: int) -> str:
        """Where a machine answers HTTP."""
        return f"http://{self.addresses[name]}:{port}"

    def name_embedders(self, *names: str) -> None:
        """Have the one name of the embedders stand for these."""
        self.network.name({"embedder": [self.addresses[name] for name in names]})

    def open_index(self) -> QdrantIndex:
        """The index over all nodes, as the services see it."""
        client = connect(self.index_url, use_grpc=False)
        return QdrantIndex(client, CollectionOptions(replicas=3))

    def open_store(self) -> ObjectStore:
        """The object store."""
        access_key, secret_key = _KEYS.values()
        return minio.open_bucket(self._store_url, access_key=access_key, secret_key=secret_key)

    def machines_of(self, name: str) -> list[str]:
        """The machines of a host that run; a machine is its own only one."""
        return [one for one in MACHINES.get(name, (name,)) if self.parts[one].is_alive]

    def replace_node(self, name: str, other: str) -> None:
        """Start a node without its volume; it joins by another one."""
        shutil.rmtree(self._folder / name)
        part = self._node(name, self.url(other, 6335))
        self.parts[name] = self._prepare(part)
        self.parts[name].start()
        self.parts[name].wait_until_up()

    def _settings(self) -> dict[str, str]:
        return _KEYS | {
            "PETSEARCH_EMBEDDER_URL": "http://embedder:8100",
            "PETSEARCH_INDEX_URL": self.index_url,
            "PETSEARCH_QDRANT_SHARDS": "1",  # what is lost are its replicas
            "PETSEARCH_QDRANT_REPLICAS": "3",
            "PETSEARCH_STORE_URL": self._store_url,
            "PETSEARCH_REDIS_URL": f"redis://{self.addresses['redis']}:6379/0",
            "PETSEARCH_MODEL": "sample",
            "PETSEARCH_ALLOW_NO_KEYS": "1",
            "PETSEARCH_ANONYMOUS_REQUESTS_PER_MINUTE": "0",
            "PETSEARCH_ALLOWED_HOSTS": '["*"]',
            "OMP_NUM_THREADS": "1",
        }

    def _prepare(self, part: Part) -> Process:
        inside = self.network.inside(part.name.removesuffix("-behind"))
        return self._processes.prepare(
            Part(part.name, (*inside, *part.command), part.answers, part.env)
        )

    def _part(self, name: str) -> Part:
        kind = name.partition("-")[0]
        makers: dict[str, Callable[[str], Part]] = {
            "qdrant": lambda name: self._node(
                name, None if name == "qdrant-1" else self.url("qdrant-1", 6335)
            ),
            "embedder": lambda name: self._service("embedder", name, 8100),
            "api": lambda name: self._service("api", name, 8000),
            "worker": lambda name: parts.worker(name, self.env),
            "redis": self._redis,
            "s3": self._proxy,
        }
        return makers[kind](name)

    def _service(self, kind: str, name: str, port: int) -> Part:
        return parts.http_service(kind, name, port, self.env, host=self.addresses[name])

    def _node(self, name: str, joins: str | None) -> Part:
        folder = self._folder / name
        folder.mkdir(parents=True)
        env = {
            "QDRANT__SERVICE__HOST": self.addresses[name],
            "QDRANT__CLUSTER__ENABLED": "true",
            "QDRANT__TELEMETRY_DISABLED": "true",
            "QDRANT__STORAGE__STORAGE_PATH": str(folder / "storage"),
            "QDRANT__STORAGE__SNAPSHOTS_PATH": str(folder / "snapshots"),
            "QDRANT_INIT_FILE_PATH": str(folder / "initialized"),
        }
        joining = ("--bootstrap", joins) if joins else ()
        command = (str(self._qdrant), "--uri", self.url(name, 6335), *joining)
        return Part(name, command, answers_http(f"{self.url(name, 6333)}/readyz"), env)

    def _redis(self, name: str) -> Part:
        address, folder = self.addresses[name], self._folder / name
        folder.mkdir(parents=True)
        options = {"port": "6379", "bind": address, "protected-mode": "no", "appendfsync": "always"}
        return Part(name, redis_command(folder, options), parts.pings(6379, host=address))

    def _s3(self) -> Part:
        command = (sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "-p", str(_BEHIND))
        return Part("s3-behind", command, lambda: True)

    def _proxy(self, name: str) -> Part:
        address = self.addresses[name]
        command = (sys.executable, "-m", "tests.tcp_proxy", address, "9000", str(_BEHIND))
        return Part(name, command, answers_http(f"http://{address}:9000/moto-api/"))
