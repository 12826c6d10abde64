"""The compose files on a Docker engine, with the images of .env.example or with stand-ins.

`make test-compose`; `make base-images` makes the stand-ins where no registry can be reached.
"""

import json
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from devstack.addresses import free_port
from tests import pictures
from tests.infra.compose_files import ROOT

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("PETSEARCH_TEST_COMPOSE") != "1",
        reason="needs a Docker engine and takes minutes: make test-compose runs it",
    ),
    pytest.mark.timeout(2400),
]
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
SECRETS = {
    "GRAFANA_ADMIN_PASSWORD": "for-grafana",
    "PETSEARCH_QDRANT_API_KEY": "for-qdrant",
    "PETSEARCH_S3_ACCESS_KEY": "keeper",
    "PETSEARCH_S3_SECRET_KEY": "for-the-store",
    "PUBLIC_HOST": "localhost",
    "REDIS_PASSWORD": "forredis",
    "TLS_ADDRESS": "127.0.0.1",
    "TLS_ISSUER": "internal",
}
DEADLINE_S = 5.0
LATEST_S = DEADLINE_S + 6.0
"""Far below what a part that hangs would hold a caller for without a deadline."""
NUMBERS = count()


@dataclass(frozen=True)
class Project:
    """A project of Docker Compose."""

    files: tuple[str, ...]
    env: Mapping[str, str]

    def compose(self, *arguments: str) -> str:
        """Run `docker compose`; what it prints."""
        files = [word for name in self.files for word in ("--file", str(ROOT / name))]
        return _docker(["compose", *files, *arguments], self.env)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "--quiet", service).strip()


def _docker(arguments: list[str], env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        ["docker", *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (arguments, done.stderr[-3000:])
    return done.stdout


@contextmanager
def project(name: str, *files: str, **env: str) -> Iterator[Project]:
    """A project of its own, whose containers and volumes are removed at the end."""
    has_stand_ins = bool(_docker(["images", "--quiet", STAND_INS["CADDY_IMAGE"]]))
    images = {
        variable: image
        for variable, image in STAND_INS.items()
        if has_stand_ins and variable not in os.environ
    }
    own = ("tests/compose/stand_ins/compose.yml",) if "QDRANT_IMAGE" in images else ()
    variables = {"COMPOSE_PROJECT_NAME": f"petsearch-test-{name}", **images, **env}
    opened = Project(("docker-compose.yml", *files, *own), variables)
    try:
        yield opened
    finally:
        opened.compose("down", "--volumes", "--timeout", "5")


def wait_until(condition: Callable[[], bool], within_s: float = 180.0) -> float:
    """Ask again until it holds; how long that took."""
    began = time.monotonic()
    while not _holds(condition):
        assert time.monotonic() - began < within_s
        time.sleep(0.2)
    return time.monotonic() - began


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except httpx.HTTPError:
        return False


@contextmanager
def paused(container: str) -> Iterator[None]:
    """Freeze a container, and let it go on afterwards."""
    _docker(["pause", container])
    try:
        yield
    finally:
        _docker(["unpause", container])


def test_photos_are_found_and_nobody_waits_for_parts_that_hang() -> None:
    port = str(free_port())
    with project("plain", PETSEARCH_MODEL="sample", PUBLISH_PORT=port) as plain:
        plain.compose("up", "--build", "--detach", "--wait", "web", "worker", "embedder")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:

            def search() -> httpx.Response:
                params = {"q": f"a dog with {next(NUMBERS)} spots"}
                return http.get("/v1/search", params=params)

            def upload(number: int) -> httpx.Response:
                return http.post("/v1/images", files={"photos": ("a.jpg", pictures.jpeg(number))})

            def images() -> int:
                return int(http.get("/v1/stats").json()["images"])

            assert upload(1).status_code == 202
            wait_until(lambda: images() == 1)
            assert search().status_code == 200
            for part, name in (("embedder", "embedder"), ("qdrant", "Qdrant")):
                with paused(plain.container(part)):
                    began = time.monotonic()
                    answer = search()
                    assert time.monotonic() - began < LATEST_S
                    assert answer.status_code == 503
                    assert name in answer.json()["detail"]
                wait_until(lambda: search().status_code == 200)
            # Docker takes `docker kill` for a wish: only a process that dies is restarted.
            worker = plain.container("worker")
            with suppress(AssertionError):  # it ends with the container
                plain.compose("exec", "--no-TTY", "worker", "python", "-c", KILL)
            assert upload(2).status_code == 202
            wait_until(lambda: images() == 2)
            assert json.loads(_docker(["inspect", worker]))[0]["RestartCount"] == 1
            plain.compose("down")
            plain.compose("up", "--detach", "--wait", "web", "worker", "embedder")
            wait_until(lambda: search().status_code == 200)
            assert images() == 2


KILL = """
import os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        with open(f"/proc/{name}/cmdline", "rb") as file:
            if b"services.worker.main" in file.read():
                os.kill(int(name), signal.SIGKILL)
"""


def certificate(port: str) -> str:
    """The certificate that is shown at a port, once there is one."""
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with httpx.Client(verify=context) as http:
                assert http.get(f"https://localhost:{port}/").status_code == 200
            shown = ssl.get_server_certificate(("localhost", int(port)))
        except (OSError, httpx.HTTPError):
            return False
        return True

    wait_until(is_shown, 60)
    return shown


def test_production_keeps_its_certificate_through_stops_and_new_containers() -> None:
    ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
    env = {**SECRETS, **ports, "EDGE_SUBNET": "10.187.251.0/24"}
    with project("prod", "docker-compose.prod.yml", **env) as prod:

        def start() -> str:
            for service in ("web-volume", "web"):
                prod.compose("up", "--detach", "--no-deps", service)
            return certificate(ports["HTTPS_PORT"])

        first = start()
        prod.compose("stop", "--timeout", "5")
        assert start() == first
        prod.compose("down", "--timeout", "5")
        assert start() == first


def test_a_model_is_trained_measured_published_and_promoted_in_containers() -> None:
    port = str(free_port())
    with project("train", PETSEARCH_MODEL="sample", PUBLISH_PORT=port) as trained:

        def petsearch(*words: str) -> str:
            return trained.compose("run", "--rm", "--no-TTY", "trainer", "petsearch", *words)

        trained.compose("up", "--build", "--detach", "--wait", "web", "worker", "embedder")
        trained.compose("build", "trainer")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            posted = http.post("/v1/images", files={"photos": ("a.jpg", pictures.jpeg(1))})
            assert posted.status_code == 202
            wait_until(lambda: http.get("/v1/stats").json()["images"] == 1)
            petsearch("finetune", "--config", "/configs/smoke.toml", "--out", "drawn")
            petsearch("evaluate", "--model", "drawn", "--data", "drawings")
            model_id = json.loads(petsearch("publish", "drawn", "--json"))["model_id"]
            petsearch("reindex", "--model", model_id)
            petsearch("promote", model_id, "--accept-worse")
            found = http.get("/v1/search", params={"q": "a grey cat"}).json()
            assert found["model_id"] == model_id


def test_every_combination_of_files_is_valid() -> None:
    assert shutil.which("docker")
    gpu, prod, cluster = (f"docker-compose.{name}.yml" for name in ("gpu", "prod", "cluster"))
    for files in ((), (gpu,), (prod,), (cluster,), (prod, gpu), (cluster, gpu), (cluster, prod)):
        Project(("docker-compose.yml", *files), SECRETS).compose("config", "--quiet")
