"""Projects of Docker Compose, with the images of .env.example or with stand-ins for these."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from itertools import count, takewhile
from pathlib import Path
from typing import Self

import httpx
import pytest

from devstack.addresses import free_port
from petsearch.domain import JsonDict
from tests.infra.compose_files import BASE, ROOT

on_engine = [
    pytest.mark.skipif(
        os.environ.get("PETSEARCH_TEST_COMPOSE") != "1",
        reason="needs a Docker engine and takes minutes: make test-compose runs it",
    ),
    pytest.mark.timeout(2400),
]
"""Marks of every file of this folder."""
STAND_INS = {
    f"{name}_IMAGE": f"petsearch-stand-in-{kind}:local"
    for name, kind in {
        "PYTHON": "base",
        "CADDY": "caddy",
        "REDIS": "valkey",
        "QDRANT": "qdrant",
        "S3": "s3",
    }.items()
}
_FOLDER = Path(__file__).parent
APPS = ("web", "worker", "embedder")
"""What everything else is started for."""
_NUMBERS = count()
_WITHIN_S = 300.0


def run(command: Sequence[str], *, env: Mapping[str, str], folder: Path = ROOT) -> str:
    """Run a program with more variables; what it prints to stdout.

    Raises:
        AssertionError: it ended with another code than 0.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout[-1000:], done.stderr[-3000:])
    return done.stdout


def docker(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run `docker`; what it prints to stdout."""
    return run(["docker", *arguments], env=env or {})


def logs(container: str) -> str:
    """What a container has said, to stdout and stderr."""
    return run(["sh", "-c", f"docker logs {container} 2>&1"], env={})


def objects(said: str) -> list[JsonDict]:
    """The JSON objects that all lines are."""
    lines = said.splitlines()
    for line in lines:
        assert line.startswith("{"), line
    return [json.loads(line) for line in lines]


def free_subnet() -> str:
    """A network that no other one of the engine overlaps."""
    networks = json.loads(docker("network", "inspect", *docker("network", "ls", "-q").split()))
    used = [
        ip_network(config["Subnet"])
        for network in networks
        for config in network["IPAM"]["Config"] or ()
    ]
    candidates = (ip_network(f"10.187.{number}.0/24") for number in range(255, -1, -1))
    return str(next(one for one in candidates if not any(map(one.overlaps, used))))


def _documented(first_line: str) -> str:
    """The block of commands in docs/operations.md that begins so."""
    lines = (ROOT / "docs/operations.md").read_text().splitlines()
    first = lines.index(f"    {first_line}")
    block = takewhile(lambda line: line.startswith("    ") or not line, lines[first:])
    return "\n".join(line.strip() for line in block)


@dataclass(frozen=True)
class Project:
    """A project of Docker Compose, and what is reached at its published port."""

    env: Mapping[str, str]
    """`COMPOSE_FILE` and all other variables."""
    catalogue: "Catalogue"

    def compose(self, *arguments: str, **env: str) -> str:
        """Run `docker compose`, with more variables; what it prints to stdout."""
        return docker("compose", *arguments, env={**self.env, **env})

    def job(self, service: str, *command: str) -> list[JsonDict]:
        """Run a command to its end in a container of its own; what it says, line by line."""
        container = self.compose("run", "--detach", "--no-TTY", service, *command).split()[-1]
        code = docker("wait", container).strip()
        said = logs(container)
        docker("rm", container)
        assert code == "0", said
        return objects(said)

    def follow(
        self, first_line: str, folder: Path = ROOT, replaced: Mapping[str, str] | None = None
    ) -> str:
        """Run a block of commands of docs/operations.md; what they print to stdout.

        Args:
            first_line: how the block begins.
            replaced: what stands for words of it.
        """
        commands = _documented(first_line)
        for what, other in (replaced or {}).items():
            commands = commands.replace(what, other)
        return run(["bash", "-euc", commands], env=self.env, folder=folder)

    def start(self, *options: str) -> None:
        """Build and start everything, and wait until it answers."""
        self.compose("up", "--build", "--detach", "--wait", *options, *APPS)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, also of those that do not run."""
        return self.compose("ps", "--all", "--quiet", service).split()

    def container(self, service: str) -> str:
        """The id of a service's only container."""
        (only,) = self.containers(service)
        return only

    def restarts(self, service: str) -> int:
        """How often the engine has started a service again."""
        found = json.loads(docker("inspect", *self.containers(service)))
        return sum(container["RestartCount"] for container in found)

    def is_healthy(self, service: str) -> bool:
        """Whether all containers of a service are."""
        states = json.loads(docker("inspect", *self.containers(service)))
        return all(one["State"].get("Health", {}).get("Status") == "healthy" for one in states)

    def kill(self, service: str) -> None:
        """SIGKILL to all processes in a service's container but its init, which then ends.

        Docker takes `docker kill` for a wish: it restarts only what dies by itself.
        """
        with suppress(AssertionError):  # the command ends with the container
            self.compose("exec", "--no-TTY", service, "sh", "-c", "kill -9 -1")


def images() -> dict[str, str]:
    """The variables that name images, where stand-ins take the place of the usual ones."""
    if not docker("images", "--quiet", STAND_INS["CADDY_IMAGE"]):
        return {}
    return {name: image for name, image in STAND_INS.items() if name not in os.environ}


def has_real_qdrant() -> bool:
    """Whether Qdrant itself is there, and no stand-in that has its calls alone."""
    image = images().get("QDRANT_IMAGE")
    return image is None or "QDRANT_IS_REAL" in docker("inspect", image)


def files_of(folder: Path, *names: str) -> str:
    """`COMPOSE_FILE` of a checkout, with what tests and stand-ins need besides."""
    more = [_FOLDER / "unhurried.yml"]
    if not has_real_qdrant():
        more.append(_FOLDER / "stand_ins/compose.yml")
    return ":".join(map(str, [*(folder / name for name in (BASE, *names)), *more]))


@contextmanager
def project(name: str, *files: str, **env: str) -> Iterator[Project]:
    """A project of its own, whose containers and volumes are removed before and at the end.

    Args:
        files: besides docker-compose.yml.
    """
    variables = {
        "COMPOSE_FILE": files_of(ROOT, *files),
        "COMPOSE_PROJECT_NAME": f"petsearch-test-{name}",
        "PETSEARCH_MODEL": "sample",
        "PETSEARCH_ANONYMOUS_REQUESTS_PER_MINUTE": "0",
        "PUBLISH_PORT": str(free_port()),
        **images(),
        **env,
    }
    with Catalogue(f"http://127.0.0.1:{variables['PUBLISH_PORT']}") as catalogue:
        opened = Project(variables, catalogue)
        remove(opened)
        try:
            yield opened
        except BaseException:
            _tell(opened)
            raise
        finally:
            remove(opened)


def remove(opened: Project) -> None:
    """Remove containers, networks and volumes."""
    profiles = ("--profile", "train", "--profile", "demo")
    opened.compose(*profiles, "down", "--volumes", "--remove-orphans", "--timeout", "5")


def _tell(opened: Project) -> None:
    with suppress(AssertionError):
        print(opened.compose("ps", "--all"))  # noqa: T201  # pytest shows it with what failed
        print(opened.compose("logs", "--tail", "40"))  # noqa: T201


@dataclass(frozen=True)
class Catalogue:
    """The page and the API of a project, as its users reach them."""

    url: str
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str, **parameters: str | int) -> httpx.Response:
        """Ask for something."""
        return self.http.get(f"{self.url}{path}", params=parameters)

    def search(self) -> httpx.Response:
        """Search by words that no cache knows."""
        return self.get("/v1/search", q=f"a dog with {next(_NUMBERS)} spots")

    def search_by_photo(self, photo: bytes) -> httpx.Response:
        """Search by a photo."""
        return self.http.post(f"{self.url}/v1/search/image", files={"photo": ("a.jpg", photo)})

    def upload(self, *photos: bytes) -> httpx.Response:
        """Add photos as the page does."""
        files = [("photos", (f"{next(_NUMBERS)}.jpg", photo)) for photo in photos]
        return self.http.post(f"{self.url}/v1/images", files=files)

    def count(self) -> int:
        """How many photos are indexed."""
        return int(self.get("/v1/stats").json()["images"])

    def wait_for(self, images: int) -> None:
        """Wait until so many photos are indexed, and no more."""
        wait_until(lambda: self.count() >= images)
        assert self.count() == images

    def wait_until_searched(self) -> None:
        """Wait until a search is answered."""
        wait_until(lambda: self.search().status_code == 200)

    def photos(self) -> dict[str, bytes]:
        """The original of every photo, by its id."""
        listed: JsonDict = self.get("/v1/images", limit=100).json()
        ids = [image["image_id"] for image in listed["items"]]
        return {name: self.get(f"/v1/images/{name}/original").content for name in ids}


@contextmanager
def searching(url: str) -> Iterator[list[int]]:
    """Search all the time; the statuses."""
    statuses: list[int] = []
    stopping = threading.Event()

    def search() -> None:
        with Catalogue(url) as catalogue:
            while not stopping.wait(0.1):
                statuses.append(catalogue.search().status_code)

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield statuses
    finally:
        stopping.set()
        thread.join()


def wait_until(condition: Callable[[], bool], within_s: float = _WITHIN_S) -> float:
    """Ask again until it holds; how long that took.

    What cannot be reached, and an answer that is none, count as no.
    """
    began = time.monotonic()
    while not _holds(condition):
        assert time.monotonic() - began < within_s
        time.sleep(0.2)
    return time.monotonic() - began


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except (httpx.HTTPError, KeyError, ValueError):
        return False


@contextmanager
def paused(container: str) -> Iterator[None]:
    """Freeze a container, and let it go on afterwards."""
    docker("pause", container)
    try:
        yield
    finally:
        docker("unpause", container)
