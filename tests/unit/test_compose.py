"""docker-compose.yml, the Dockerfiles, .env.example and the Caddyfile say the same, and safely."""

import fnmatch
import functools
import http.server
import importlib
import importlib.resources
import ipaddress
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
import yaml
from packaging.requirements import Requirement

from petsearch.settings import Limits, Settings
from services.api.routes import ancestor, image_files, images, jobs, search, status, uploads
from services.http.middleware import _SECURITY_HEADERS

ROOT = Path(__file__).parents[2]
OURS = ("api", "worker", "embedder")
TORCH = {"torch", "torchvision", "open-clip-torch", "timm", "triton"}

VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z0-9_]+):-(?P<default>[^}]*)\}")
RAW: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CADDYFILE = (ROOT / "infra/proxy/Caddyfile").read_text()


def with_defaults(node: Any, **given: str) -> Any:
    """What compose makes of its file: variables replaced, `$$` undoubled."""
    if isinstance(node, dict):
        return {key: with_defaults(value, **given) for key, value in node.items()}
    if isinstance(node, list):
        return [with_defaults(value, **given) for value in node]
    if not isinstance(node, str):
        return node
    filled = VARIABLE.sub(lambda found: given.get(found["name"]) or found["default"], node)
    return filled.replace("$$", "$")


COMPOSE = with_defaults(RAW)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = sorted(set(SERVICES) - ONE_SHOTS)


def seconds(duration: str) -> int:
    """`90s` or `2m` in seconds."""
    number, unit = int(duration[:-1]), duration[-1]
    return number * {"s": 1, "m": 60}[unit]


def dockerfile(service: str) -> list[list[str]]:
    """The instructions of a service's Dockerfile, each as its words."""
    path: str = SERVICES[service]["build"]["dockerfile"]
    lines = (line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#"))
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    return [line.split() for line in text.splitlines() if line.strip()]


def start_command(service: str) -> list[str]:
    """What the image of one of our services runs."""
    (words,) = [words for words in dockerfile(service) if words[0] == "CMD"]
    command: list[str] = json.loads(" ".join(words[1:]))
    return command


# --- the file as compose sees it -------------------------------------------------------------


def test_compose_file_follows_the_compose_specification() -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema to check this")
    pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema to check this")
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor"
    schema = json.loads((vendored / "compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []
    misspelt = COMPOSE | {"services": {"api": {"image": "api:1", "restrat": "always"}}}
    assert not validator.is_valid(misspelt)


def test_every_variable_is_explained_in_env_example_with_its_default() -> None:
    used: dict[str, set[str]] = {}
    for found in VARIABLE.finditer(json.dumps(RAW)):
        used.setdefault(found["name"], set()).add(found["default"])
    lines = (ROOT / ".env.example").read_text().splitlines()
    explained: dict[str, set[str]] = {}
    for before, line in zip(["", *lines], lines, strict=False):
        if line and not line.startswith("#"):
            name, _, default = line.partition("=")
            explained[name] = {default}
            assert before.startswith("# "), f"{name} has no line that says what it does"
    assert used == explained


def test_no_variable_is_used_without_a_default() -> None:
    text = VARIABLE.sub("", json.dumps(RAW)).replace("$$", "")
    assert "$" not in text


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_images_are_pinned_in_one_variable(service: str) -> None:
    raw = RAW["services"][service]
    reference = raw["build"]["args"]["PYTHON_IMAGE"] if "build" in raw else raw["image"]
    found = VARIABLE.fullmatch(reference)
    assert found is not None, f"{reference} is no variable with a default"
    assert found["name"].endswith("_IMAGE")
    assert re.fullmatch(r"[a-z0-9./-]+:[A-Za-z0-9._-]*\d[A-Za-z0-9._-]*", found["default"])


def test_only_the_web_service_is_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"web"}
    for port in published["web"]:
        address, host_port, container_port = port.rsplit(":", 2)
        assert ipaddress.ip_address(address).is_loopback
        assert host_port == container_port == "8080"
    assert all(service.get("network_mode", "none") == "none" for service in SERVICES.values())


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_containers_are_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == {
        "web": ["NET_BIND_SERVICE"],
        "minio-volume": ["CHOWN"],
    }.get(name, [])
    assert not service.get("privileged", False)
    assert (service["user"].split(":")[0] == "0") == (name in ONE_SHOTS)
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    limits = service["deploy"]["resources"]["limits"]
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert limits["pids"] > 0


@pytest.mark.parametrize("name", LASTING)
def test_services_come_back_are_probed_and_may_finish(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    probe = service["healthcheck"]
    assert probe["test"][0] in ("CMD", "CMD-SHELL")
    assert seconds(probe["timeout"]) <= seconds(probe["interval"])
    assert probe["retries"] <= 3
    assert seconds(probe["start_period"]) > 0
    assert seconds(service["stop_grace_period"]) > 10


def test_services_wait_for_others_to_be_healthy() -> None:
    waits = [
        (target, how["condition"])
        for service in SERVICES.values()
        for target, how in service.get("depends_on", {}).items()
    ]
    assert {target for target, _ in waits} == set(SERVICES) - {"web", "worker"}
    for target, condition in waits:
        if target in ONE_SHOTS:
            assert condition == "service_completed_successfully"
        else:
            assert condition == "service_healthy"
            assert "healthcheck" in SERVICES[target]


def test_volumes_are_named_and_what_is_mounted_from_here_is_read_only() -> None:
    named = set()
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, _, *options = volume.split(":")
            if source.startswith("./"):
                assert (ROOT / source).exists()
                assert "ro" in options[0].split(",")
            else:
                named.add(source)
    assert named == set(COMPOSE["volumes"])


def test_stores_have_no_way_out() -> None:
    assert COMPOSE["networks"]["data"]["internal"] is True
    for name in ("qdrant", "redis", "minio"):
        assert SERVICES[name]["networks"] == ["data"]
    used = {network for service in SERVICES.values() for network in service.get("networks", [])}
    assert used == set(COMPOSE["networks"])


# --- settings --------------------------------------------------------------------------------


def test_every_setting_given_to_a_container_exists() -> None:
    known = {f"PETSEARCH_{name.upper()}" for name in Settings.model_fields if name != "limits"}
    known |= {f"PETSEARCH_LIMIT_{name.upper()}" for name in Limits.model_fields}
    for name in OURS:
        given = {key for key in SERVICES[name]["environment"] if key.startswith("PETSEARCH_")}
        assert given <= known, name


@pytest.mark.parametrize("name", OURS)
def test_containers_start_with_settings_that_can_be_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = with_defaults(RAW["services"][name]["environment"], PUBLIC_HOST="pets.example")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment()
    if name == "embedder":
        settings.require("model")
    else:
        settings.require("embedder_url", "index_url", "store_url", "redis_url")
    if name == "api":
        assert settings.allow_no_keys
        assert {"localhost", "127.0.0.1", "pets.example"} <= set(settings.allowed_hosts)


def test_object_store_and_its_clients_have_the_same_credentials() -> None:
    store, client = SERVICES["minio"]["environment"], SERVICES["api"]["environment"]
    assert store["MINIO_ROOT_USER"] == client["PETSEARCH_S3_ACCESS_KEY"]
    assert store["MINIO_ROOT_PASSWORD"] == client["PETSEARCH_S3_SECRET_KEY"]
    assert len(store["MINIO_ROOT_PASSWORD"]) >= 8, "the server refuses shorter ones"


# --- images ----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", OURS)
def test_dockerfiles_copy_what_exists_and_is_not_ignored(service: str) -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    copied = {
        source
        for words in dockerfile(service)
        if words[0] == "COPY" and not words[1].startswith("--from=")
        for source in words[1:-1]
    }
    assert copied == kept
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("service", OURS)
def test_dockerfiles_install_their_extra_as_constrained_and_run_unprivileged(service: str) -> None:
    instructions = dockerfile(service)
    text = "\n".join(" ".join(words) for words in instructions)
    final = text[text.rindex("FROM ") :]
    assert f"install --constraint constraints.txt '.[{service}]'" in text
    assert "--constraint" not in final, "the last stage installs nothing"
    assert re.search(r"^USER (\S+)$", final, re.MULTILINE)
    assert [words[1] for words in instructions if words[0] == "USER"] == [SERVICES[service]["user"]]
    assert "PYTHONDONTWRITEBYTECODE=1" in final
    assert "PYTHONUNBUFFERED=1" in final
    assert "://" not in text, "no registry is named"
    base = VARIABLE.fullmatch(RAW["services"][service]["build"]["args"]["PYTHON_IMAGE"])
    assert base is not None
    assert ["ARG", f"PYTHON_IMAGE={base['default']}"] in instructions
    assert {words[1] for words in instructions if words[0] == "FROM"} == {"${PYTHON_IMAGE}"}


def test_api_and_worker_images_hold_no_torch() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not TORCH & distributions(extras, "api")
    assert not TORCH & distributions(extras, "worker")
    assert distributions(extras, "embedder") >= {"torch", "open-clip-torch", "fastapi"}


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
    addresses = json.dumps(SERVICES["worker"]["environment"]) + CADDYFILE
    assert f"{service}:{port}" in addresses


# --- probes ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("name", "port"), [("api", 8000), ("embedder", 8100), ("qdrant", 6333)])
def test_probes_tell_ready_from_unready_and_from_gone(name: str, port: int) -> None:
    probe = SERVICES[name]["healthcheck"]["test"]
    assert probe[0] == "CMD"

    @functools.cache
    def command(at: int) -> list[str]:
        words = [re.sub(rf"\b{port}\b", str(at), word) for word in probe[1:]]
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


# --- the proxy -------------------------------------------------------------------------------


def proxied(path: str) -> bool:
    """Whether the Caddyfile hands this path to the API."""
    (patterns,) = re.findall(r"^\s*@api path (.+)$", CADDYFILE, re.MULTILINE)
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns.split())


def test_proxy_passes_every_route_of_the_api_and_no_file_of_the_page() -> None:
    routers = [
        module.router for module in (ancestor, image_files, images, jobs, search, status, uploads)
    ]
    paths = {route.path for router in routers for route in router.routes}
    assert len(paths) > 10
    assert {path for path in paths if not proxied(path)} == set()
    files = {f"/{file.relative_to(ROOT / 'web')}" for file in (ROOT / "web").rglob("*")}
    assert {file for file in files if proxied(file)} == set()
    assert not proxied("/metrics")


def test_page_has_the_headers_that_the_api_sends() -> None:
    for name, value in _SECURITY_HEADERS.items():
        assert re.search(rf'^\s*{name} "?{re.escape(value)}"?$', CADDYFILE, re.MULTILINE), name


def test_proxy_drains_within_its_grace_period_and_keeps_connections_shorter_than_the_api() -> None:
    def setting(name: str) -> int:
        (value,) = re.findall(rf"^\s*{name} (\d+[sm])$", CADDYFILE, re.MULTILINE)
        return seconds(value)

    assert setting("grace_period") < seconds(SERVICES["web"]["stop_grace_period"])
    command = start_command("api")
    assert setting("keepalive") < int(command[command.index("--timeout-keep-alive") + 1])
