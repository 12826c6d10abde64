"""docker-compose.yml is whole, safe, and says the same as .env.example, settings and images."""

import importlib.resources
import ipaddress
import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from petsearch.settings import TABLE, Limits, Settings, read_command_line
from tests.infra.compose_files import (
    BASE,
    OURS,
    ROOT,
    VARIABLE,
    builders,
    filled,
    image,
    raw,
    seconds,
)

RAW = raw(BASE)
COMPOSE = filled(RAW)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {name for name, service in SERVICES.items() if service["restart"] == "no"}
LASTING = sorted(set(SERVICES) - ONE_SHOTS)
BUILT = (*OURS, "trainer")
CAPABILITIES = {"web": ["NET_BIND_SERVICE"], "minio-volume": ["CHOWN"]}


def compose_errors(node: dict[str, Any]) -> list[str]:
    """What the compose specification has against a file."""
    jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema to check this")
    pytest.importorskip("check_jsonschema", reason="pip install check-jsonschema to check this")
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor"
    schema = json.loads((vendored / "compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [error.message for error in validator.iter_errors(node)]


def test_compose_file_follows_the_compose_specification() -> None:
    assert compose_errors(COMPOSE) == []
    misspelt = COMPOSE | {"services": {"api": {"image": "api:1", "restrat": "always"}}}
    assert compose_errors(misspelt)


def test_no_variable_is_used_without_a_default() -> None:
    text = VARIABLE.sub("", json.dumps(RAW)).replace("$$", "")
    assert "$" not in text
    assert ":?" not in json.dumps(RAW), "docker compose up works without .env"


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_images_are_pinned_in_one_variable(service: str) -> None:
    reference = RAW["services"][service]["image"]
    if reference.startswith("petsearch-"):
        assert re.fullmatch(r"petsearch-[a-z]+:\$\{PETSEARCH_TAG:-local\}", reference)
        if "build" not in RAW["services"][service]:
            assert RAW["services"][service]["pull_policy"] == "never"
            return
        reference = RAW["services"][service]["build"]["args"]["PYTHON_IMAGE"]
    found = VARIABLE.fullmatch(reference)
    assert found is not None, f"{reference} is no variable with a default"
    assert found["name"].endswith("_IMAGE")
    assert re.fullmatch(r"[a-z0-9./-]+:[A-Za-z0-9._-]*\d[A-Za-z0-9._-]*", found["default"])
    assert "latest" not in reference
    assert "." not in found["default"].split("/")[0].split(":")[0], "no registry is named"


def test_each_image_is_built_by_one_service() -> None:
    """Two exports of one tag at a time can fail."""
    assert builders(SERVICES) == {f"petsearch-{name}:local": [name] for name in BUILT}


def test_proxies_of_the_docker_client_do_not_get_what_web_asks_the_api() -> None:
    environment = SERVICES["web"]["environment"]
    assert (environment["HTTP_PROXY"], environment["http_proxy"]) == ("", "")
    assert set(SERVICES) & {"embedder", "minio", "qdrant", "redis"} <= set(
        environment["NO_PROXY"].split(",")
    )


@pytest.mark.parametrize("name", ["api", "worker"])
def test_large_files_pass_through_a_disk(name: str) -> None:
    spool = f"{name}-spool:/var/spool/petsearch"
    assert spool in SERVICES[name]["volumes"]
    lines = [" ".join(words) for words in image(name)]
    assert any("TMPDIR=/var/spool/petsearch" in line for line in lines)
    made = "install --directory --owner 10001 --group 10001 /var/spool/petsearch"
    assert any(made in line for line in lines), "a new volume belongs to whom the folder does"


def test_only_the_page_and_on_request_the_dashboards_are_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert {name: SERVICES[name].get("profiles") for name in published} == {
        "web": None,
        "grafana": ["obs"],
    }
    for port in [*published["web"], *published["grafana"]]:
        address, _, _ = port.rsplit(":", 2)
        assert ipaddress.ip_address(address).is_loopback
    assert all(service.get("network_mode", "none") == "none" for service in SERVICES.values())


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_containers_are_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("cap_add", []) == CAPABILITIES.get(name, [])
    assert not service.get("privileged", False)
    assert (service["user"].split(":")[0] == "0") == (name == "minio-volume")
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


def test_any_service_can_be_scaled() -> None:
    for name, service in SERVICES.items():
        assert "container_name" not in service, name
        assert "hostname" not in service, name
        assert "ports" not in service or name in ("web", "grafana")


def test_services_wait_for_others_to_be_healthy() -> None:
    waits = [
        (target, how["condition"])
        for service in SERVICES.values()
        for target, how in service.get("depends_on", {}).items()
    ]
    for target, condition in waits:
        if target in ONE_SHOTS:
            assert condition == "service_completed_successfully"
        else:
            assert condition == "service_healthy"
            assert "healthcheck" in SERVICES[target]
    ends = {"web", "worker", "embedder", "seed", "trainer", "grafana"}
    assert {target for target, _ in waits} == set(SERVICES) - ends


def test_what_a_plain_start_runs_waits_for_nothing_of_a_profile() -> None:
    for name, service in SERVICES.items():
        for target in service.get("depends_on", {}):
            assert set(SERVICES[target].get("profiles", [])) <= set(service.get("profiles", []))
        assert service.get("profiles") in (None, ["demo"], ["obs"], ["train"]), name
    assert SERVICES["seed"]["profiles"] == ["demo"], "a first start seeds nothing"


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


def test_training_writes_to_a_volume_and_finds_recipes_base_weights_store_and_api(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = SERVICES["trainer"]
    assert (trainer["profiles"], trainer["restart"]) == (["train"], "no")
    assert {"./training/configs:/configs:ro,z", "models:/models", "runs:/runs"} == set(
        trainer["volumes"]
    )
    assert "models:/models" in SERVICES["embedder"]["volumes"], "weights are fetched once"
    for variable, value in trainer["environment"].items():
        monkeypatch.setenv(variable, value)
    store = Settings.from_environment().store_url
    assert store == SERVICES["api"]["environment"]["PETSEARCH_STORE_URL"]
    host = urlsplit(read_command_line().api).hostname
    assert host in SERVICES
    assert host in json.loads(SERVICES["api"]["environment"]["PETSEARCH_ALLOWED_HOSTS"])


def test_stores_have_no_way_out() -> None:
    assert COMPOSE["networks"]["data"]["internal"] is True
    for name in ("qdrant", "redis", "minio"):
        assert SERVICES[name]["networks"] == ["data"]
    used = {network for service in SERVICES.values() for network in service.get("networks", [])}
    assert used == set(COMPOSE["networks"])


def test_services_share_a_network_with_what_they_talk_to() -> None:
    talks = {
        "web": ["api"],
        "api": ["embedder", "qdrant", "redis", "minio"],
        "worker": ["embedder", "qdrant", "redis", "minio"],
        "seed": ["api"],
        "trainer": ["api", "minio"],
        "prometheus": ["api", "worker", "embedder", "qdrant", "minio"],
        "grafana": ["prometheus"],
    }
    for name, others in talks.items():
        for other in others:
            assert set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"]), (name, other)


# --- settings --------------------------------------------------------------------------------

KNOWN = {name for name, variable in TABLE.items() if variable.section.reader == "server"}
NOT_OFFERED = {
    # Set by docker-compose.prod.yml or the cluster's alone.
    "PETSEARCH_ANONYMOUS_SEARCH",
    "PETSEARCH_CORS_ORIGINS",
    "PETSEARCH_FRAME_ANCESTORS",
    "PETSEARCH_QDRANT_API_KEY",
    "PETSEARCH_QDRANT_GRPC",
    "PETSEARCH_TRUSTED_PROXIES",
    # A folder must be mounted first.
    "PETSEARCH_IMPORT_DIRS",
    # Not for long: it hides what is misspelt.
    "PETSEARCH_IGNORE_UNKNOWN_SETTINGS",
    # Tuning that nobody needed yet.
    "PETSEARCH_DRAIN_S",
    "PETSEARCH_CACHED_QUERY_TEXTS",
    "PETSEARCH_JOB_CHUNKS",
    "PETSEARCH_LEASE_S",
    "PETSEARCH_LIMIT_PHOTOS_PER_REQUEST",
    "PETSEARCH_LIMIT_QUERY_CHARACTERS",
}


def test_every_setting_exists_and_reaches_a_container_or_is_left_out_on_purpose() -> None:
    given: set[str] = set()
    for name in OURS:
        own = {key for key in SERVICES[name]["environment"] if key.startswith("PETSEARCH_")}
        assert own <= KNOWN, name
        given |= own
    assert given == KNOWN - NOT_OFFERED


@pytest.mark.parametrize("name", OURS)
def test_containers_start_with_settings_that_can_be_read(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = filled(RAW["services"][name]["environment"], PUBLIC_HOST="pets.example")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment()
    if name == "embedder":
        settings.require("model")
        assert settings.model == "hub:ViT-B-32/laion2b_s34b_b79k"
    else:
        settings.require("embedder_url", "index_url", "store_url", "redis_url")
    if name == "api":
        assert settings.allow_no_keys
        assert {"localhost", "127.0.0.1", "api", "pets.example"} <= set(settings.allowed_hosts)


def test_limits_are_the_defaults_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment()
    defaults = Limits()
    assert settings.limits == defaults
    assert SERVICES["web"]["environment"]["MAX_BODY_BYTES"] == str(defaults.request_bytes)


def test_object_store_and_its_clients_have_the_same_credentials() -> None:
    store, client = SERVICES["minio"]["environment"], SERVICES["api"]["environment"]
    assert store["MINIO_ROOT_USER"] == client["PETSEARCH_S3_ACCESS_KEY"]
    assert store["MINIO_ROOT_PASSWORD"] == client["PETSEARCH_S3_SECRET_KEY"]
    assert len(store["MINIO_ROOT_PASSWORD"]) >= 8, "the server refuses shorter ones"
