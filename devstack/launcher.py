"""Plans and runs a stack: its services, and stand-ins for servers that no address is set for."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from devstack import parts
from devstack.addresses import answers_http, free_port, listens
from devstack.parts import Part
from devstack.supervisor import Supervisor
from petsearch.domain.errors import ConfigurationError, Unavailable
from petsearch.settings import set_values

_POLL_S = 0.3
_START_S = 180.0
_DEFAULTS = {
    "PETSEARCH_MODEL": "sample",
    "PETSEARCH_ALLOW_NO_KEYS": "1",  # all of it listens on loopback alone
    "PETSEARCH_DRAIN_S": "1",
}

Tell = Callable[[str, str], None]
"""A part's name and a line."""


@dataclass(frozen=True)
class Shape:
    """How many processes of a kind there are, and where the first API listens."""

    apis: int = 1
    embedders: int = 1
    workers: int = 1
    port: int = 8000
    """Of the first API, the others follow; 0 takes free ones."""


@dataclass(frozen=True)
class Plan:
    """What runs: servers first, then services, in the order in which they are started."""

    servers: tuple[Part, ...]
    services: tuple[Part, ...]
    api_urls: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    """What is used for each dependency, for people."""


def make_plan(shape: Shape, environment: Mapping[str, str], folder: Path) -> Plan:
    """The parts of a stack; what `environment` names no address of is started here.

    Raises:
        ConfigurationError: a port is taken, an address fits no stack, or redis-server is absent.
    """
    env = {**_DEFAULTS, **environment}
    servers: list[Part] = []
    notes = [_provide(dependency, env, servers, folder) for dependency in _DEPENDENCIES]
    services, note = _embedders(env, shape.embedders)
    notes.append(note)
    ports = _api_ports(shape)
    services += [
        parts.http_service("api", _name("api", number, shape.apis), port, env)
        for number, port in enumerate(ports, start=1)
    ]
    services += [
        parts.worker(_name("worker", number, shape.workers), env)
        for number in range(1, shape.workers + 1)
    ]
    urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
    return Plan(tuple(servers), tuple(services), urls, tuple(notes))


@dataclass(frozen=True)
class _Dependency:
    """A server that every stack needs: an address in the environment, or a process of its own."""

    name: str
    variable: str
    schemes: tuple[str, ...]
    start: Callable[[int, Path], Part]
    env: Callable[[int], dict[str, str]]
    """What the services need to reach the process, by its port."""
    note: str


_DEPENDENCIES = (
    _Dependency(
        "redis",
        "PETSEARCH_REDIS_URL",
        ("redis://", "rediss://"),
        lambda port, folder: parts.redis_server(folder / "redis", port),
        lambda port: {"PETSEARCH_REDIS_URL": f"redis://127.0.0.1:{port}/0"},
        "a redis-server on port {port}",
    ),
    _Dependency(
        "store",
        "PETSEARCH_STORE_URL",
        ("s3+http://", "s3+https://", "file:"),
        lambda port, _: parts.s3_server(port),
        lambda port: {
            "PETSEARCH_STORE_URL": f"s3+http://127.0.0.1:{port}/petsearch",
            "PETSEARCH_S3_ACCESS_KEY": "development",
            "PETSEARCH_S3_SECRET_KEY": "development-only",
        },
        "moto's S3 server on port {port}, in memory",
    ),
    _Dependency(
        "index",
        "PETSEARCH_INDEX_URL",
        ("http://", "https://"),
        lambda port, _: parts.qdrant_server(port),
        lambda port: {
            "PETSEARCH_INDEX_URL": f"http://127.0.0.1:{port}",
            "PETSEARCH_QDRANT_GRPC": "0",
        },
        "no Qdrant: a stand-in on port {port} that answers the same REST calls from "
        "qdrant-client's memory, exactly and slowly",
    ),
)


def _provide(
    dependency: _Dependency, env: dict[str, str], servers: list[Part], folder: Path
) -> tuple[str, str]:
    if _is_given(env, dependency.variable, dependency.schemes):
        return dependency.name, f"from {dependency.variable}"
    port = free_port()
    servers.append(dependency.start(port, folder))
    env |= dependency.env(port)
    return dependency.name, dependency.note.format(port=port)


def _embedders(env: dict[str, str], count: int) -> tuple[list[Part], tuple[str, str]]:
    if _is_given(env, "PETSEARCH_EMBEDDER_URL", ("http://", "https://")):
        return [], ("embedder", "from PETSEARCH_EMBEDDER_URL")
    ports = [free_port() for _ in range(count)]
    env["PETSEARCH_EMBEDDER_URL"] = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    made = [
        parts.http_service("embedder", _name("embedder", number, count), port, env)
        for number, port in enumerate(ports, start=1)
    ]
    return made, ("embedder", f"{count} here, with the model {env['PETSEARCH_MODEL']}")


def _is_given(env: Mapping[str, str], name: str, accepted: tuple[str, ...]) -> bool:
    given = env.get(name, "")
    if given and not given.startswith(accepted):
        raise ConfigurationError(
            f"{name} is {given!r}, which several processes cannot share. "
            f"Unset it, or give it one of: {', '.join(accepted)}…"
        )
    return bool(given)


def _api_ports(shape: Shape) -> list[int]:
    if not shape.port:
        return [free_port() for _ in range(shape.apis)]
    ports = [shape.port + offset for offset in range(shape.apis)]
    for port in ports:
        if listens(port)():
            raise ConfigurationError(f"Port {port} is in use. Choose another: make stack PORT=…")
    return ports


def _name(kind: str, number: int, count: int) -> str:
    return kind if count == 1 else f"{kind}-{number}"


class Launcher:
    """Runs a plan until a signal, or until a part cannot be kept running."""

    def __init__(self, plan: Plan, tell: Tell) -> None:
        self._plan = plan
        self._tell = tell
        self._ending = threading.Event()
        self._lost = ""
        self._servers = [self._supervisor(part) for part in plan.servers]
        self._services = [self._supervisor(part) for part in plan.services]

    def run(self, on_ready: Callable[[], None]) -> None:
        """Start everything, call `on_ready` when the APIs are ready, and stop at the end.

        Raises:
            Unavailable: a part ended for good; its last lines say why.
        """
        try:
            self._start(self._servers)
            self._wait_for([supervisor.part.answers for supervisor in self._servers])
            # In no order: each waits for what it needs.
            self._start(self._services)
            self._wait_for([answers_http(f"{url}/readyz") for url in self._plan.api_urls])
            if not self._ending.is_set():
                on_ready()
                self._ending.wait()
        finally:
            self._stop()
        if self._lost:
            raise Unavailable(f"{self._lost} cannot be kept running; its lines above say why.")

    def end(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Let `run` come to its end; fits a signal handler."""
        self._ending.set()

    def _supervisor(self, part: Part) -> Supervisor:
        return Supervisor(part, lambda line: self._tell(part.name, line), self._give_up)

    def _give_up(self, name: str) -> None:
        self._lost = self._lost or name
        self._ending.set()

    def _start(self, chosen: list[Supervisor]) -> None:
        for supervisor in chosen:
            if not self._ending.is_set():
                supervisor.start()

    def _wait_for(self, checks: list[Callable[[], bool]]) -> None:
        deadline = time.monotonic() + _START_S
        while checks and not self._ending.wait(_POLL_S):
            checks = [check for check in checks if not check()]
            if time.monotonic() > deadline:
                raise Unavailable(f"The stack is not ready after {_START_S:.0f} s.")

    def _stop(self) -> None:
        """APIs and workers first, then embedders, then the servers that all of them need."""
        late = [s for s in self._services if s.part.name.startswith("embedder")]
        early = [s for s in self._services if s not in late]
        for group in (early, late, self._servers):
            for supervisor in group:
                supervisor.terminate()
            for supervisor in group:
                supervisor.wait()


def run_stack(shape: Shape, tell: Tell) -> None:
    """Run a stack over what the environment names until SIGINT, SIGTERM or SIGHUP.

    Raises:
        ConfigurationError: see `make_plan`.
        Unavailable: a part cannot be kept running.
    """
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="petsearch-stack-")))
        plan = make_plan(shape, set_values(os.environ), folder)
        launcher = Launcher(plan, tell)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, launcher.end)
        for name, note in plan.notes:
            tell("stack", f"{name}: {note}")
        if plan.servers:
            tell("stack", "the data of the servers started here is lost when this stops")
        api = ",".join(plan.api_urls)
        launcher.run(lambda: tell("stack", f"ready: {api} (Ctrl-C stops everything)"))
        tell("stack", "everything has stopped")
