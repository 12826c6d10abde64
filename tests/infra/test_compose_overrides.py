"""The overrides, merged with docker-compose.yml: GPU, production, cluster, accounts."""

import ipaddress
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis

from devstack.addresses import free_port
from petsearch.adapters.redis.private_server import find_redis_server
from petsearch.failover import split_addresses
from petsearch.settings import Settings
from tests.infra.compose_files import (
    BASE,
    OVERRIDES,
    ROOT,
    VARIABLE,
    builders,
    filled,
    merged,
)
from tests.infra.test_compose import CAPABILITIES, compose_errors
from tests.processes import Processes

GPU, PROD, CLUSTER, ACCOUNTS = OVERRIDES
NODES = ("qdrant", "qdrant-1", "qdrant-2")
GIVEN = {
    "GRAFANA_ADMIN_PASSWORD": "for-grafana",
    "PETSEARCH_QDRANT_API_KEY": "for-qdrant",
    "PETSEARCH_S3_ACCESS_KEY": "keeper",
    "PETSEARCH_S3_SECRET_KEY": "for-the-store",
    "PUBLIC_HOST": "pets.example",
    "REDIS_PASSWORD": "forredis",
    "TLS_ISSUER": "someone@pets.example",
}
SECRETS = {
    f"S3_{name.upper()}_SECRET": f"for-{name}-in-the-store"
    for name in ("api", "worker", "embedder", "trainer", "maintenance")
}


def services(*overrides: str) -> dict[str, dict[str, Any]]:
    """The services of docker-compose.yml under these overrides, with everything given."""
    given = GIVEN | SECRETS
    result: dict[str, dict[str, Any]] = filled(merged(BASE, *overrides), **given)["services"]
    return result


@pytest.mark.parametrize("override", OVERRIDES)
def test_overrides_merge_into_what_the_specification_allows(override: str) -> None:
    assert compose_errors(filled(merged(BASE, override), **GIVEN, **SECRETS)) == []


@pytest.mark.parametrize("override", OVERRIDES)
def test_what_overrides_add_is_as_hardened_as_the_rest(override: str) -> None:
    own = {"web-volume": ["CHOWN"]}
    for name, service in services(override).items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (CAPABILITIES | own).get(name, []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}, name
        assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name
        assert "container_name" not in service, name
        is_one_shot = service["restart"] == "no"
        assert is_one_shot or service["restart"] == "unless-stopped", name
        assert is_one_shot or {"healthcheck", "stop_grace_period"} <= set(service), name
        assert (service["user"].split(":")[0] == "0") == name.endswith("-volume"), name


@pytest.mark.parametrize("override", OVERRIDES)
def test_what_overrides_add_is_pinned_in_one_variable(override: str) -> None:
    for name, service in merged(BASE, override)["services"].items():
        if "build" not in service and service.get("pull_policy") != "never":
            found = VARIABLE.fullmatch(service["image"])
            assert found is not None, name
            assert re.fullmatch(r"[a-z0-9./-]+:[A-Za-z0-9._-]*\d[A-Za-z0-9._-]*", found["default"])


@pytest.mark.parametrize("override", OVERRIDES)
def test_every_image_of_ours_is_built_by_one_service(override: str) -> None:
    for image, names in builders(services(override)).items():
        assert len(names) == 1, image


@pytest.mark.parametrize("name", ["embedder", "trainer"])
def test_gpu_override_gives_whoever_computes_one_gpu_and_its_libraries(name: str) -> None:
    service, plain = services(GPU)[name], services()[name]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["0"], "capabilities": ["gpu"]}
    assert service["build"] == plain["build"] | {
        "args": plain["build"]["args"] | {"TORCH_INDEX_URL": ""}
    }
    assert service["image"] != plain["image"]
    assert service["deploy"]["resources"]["limits"] == plain["deploy"]["resources"]["limits"]


# --- production ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_production_does_not_start_without_its_secrets(name: str) -> None:
    given = {key: value for key, value in GIVEN.items() if key != name}
    with pytest.raises(AssertionError, match=f"{name} is wanted"):
        filled(merged(BASE, PROD), **given)


def test_production_has_no_default_secret_left() -> None:
    text = json.dumps(services(PROD))
    assert "on-loopback" not in text
    for name, value in GIVEN.items():
        assert value in text, name


@pytest.mark.parametrize("name", ["api", "worker"])
def test_production_settings_can_be_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in services(PROD)[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment()
    assert settings.qdrant_api_key.get_secret_value() == "for-qdrant"
    assert settings.redis_url == "redis://:forredis@redis:6379/0"
    assert settings.s3_secret_key.get_secret_value() == "for-the-store"
    assert not settings.allow_no_keys
    if name == "api":
        assert settings.allowed_hosts == ("127.0.0.1", "api", "pets.example")
        assert not settings.anonymous_search
        (network,) = settings.trusted_proxies
        edge = filled(merged(BASE, PROD), **GIVEN)["networks"]["edge"]
        assert edge["ipam"]["config"] == [{"subnet": str(network)}]


def test_the_fixed_network_is_none_that_docker_may_have_given_away() -> None:
    edge = filled(merged(BASE, PROD), **GIVEN)["networks"]["edge"]
    subnet = ipaddress.ip_network(edge["ipam"]["config"][0]["subnet"])
    pools = [ipaddress.ip_network(pool) for pool in ("172.16.0.0/12", "192.168.0.0/16")]
    assert not [pool for pool in pools if subnet.overlaps(pool)]


def test_production_publishes_tls_alone_and_seeds_nothing() -> None:
    merged_services = services(PROD)
    ports = [port.split(":")[1:] for port in merged_services["web"]["ports"]]
    assert ports == [["80", "8080"], ["443", "8443"]]
    published = {name for name, service in merged_services.items() if "ports" in service}
    assert published == {"web", "grafana"}
    assert merged_services["grafana"]["ports"] == ["127.0.0.1:3000:3000"]
    assert "seed" not in merged_services
    assert merged_services["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_training_in_production_has_the_stores_keys() -> None:
    trainer = services(PROD)["trainer"]["environment"]
    assert trainer["PETSEARCH_S3_ACCESS_KEY"] == GIVEN["PETSEARCH_S3_ACCESS_KEY"]
    assert trainer["PETSEARCH_S3_SECRET_KEY"] == GIVEN["PETSEARCH_S3_SECRET_KEY"]


def test_the_page_of_production_does_not_wait_for_an_api_that_waits_for_its_first_key() -> None:
    web = services(PROD)["web"]
    assert web["depends_on"]["api"]["condition"] == "service_started"


def test_production_keeps_certificates() -> None:
    web = services(PROD)["web"]
    assert "caddy-data:/data" in web["volumes"]
    assert not [entry for entry in web["tmpfs"] if entry.startswith("/data")]
    config = web["command"][web["command"].index("--config") + 1]
    assert config == "/etc/caddy/Caddyfile.tls"
    assert (ROOT / "infra/proxy" / Path(config).name).exists()


def test_redis_of_production_wants_its_password_and_keeps_its_settings(tmp_path: Path) -> None:
    service = services(PROD)["redis"]
    script = service["command"][-1]
    for option in ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "protected-mode"):
        base = services()["redis"]["command"]
        assert f"--{option} {base[base.index(f'--{option}') + 1]}" in script
    port = free_port()
    here = f"{find_redis_server()} - --port {port} --bind 127.0.0.1 --dir '{tmp_path}'"
    command = ["sh", "-c", script.replace("valkey-server -", here)]
    own, stranger = (
        redis.Redis(port=port, password=password)
        for password in (service["environment"]["REDIS_PASSWORD"], None)
    )

    def is_up() -> bool:
        try:
            return bool(own.ping())
        except redis.ConnectionError:
            return False

    processes = Processes(tmp_path / "logs")
    try:
        env = {"REDIS_PASSWORD": service["environment"]["REDIS_PASSWORD"]}
        server = processes.add("redis", command, answers=is_up, env=env)
        server.wait_until_up()
        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        settings = own.config_get("*")
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["appendfsync"] == "always"
        # Not a shell before the server: it would be the one that is told to stop.
        assert own.info("server")["process_id"] == server.pid
    finally:
        own.close()
        stranger.close()
        processes.end()


# --- cluster ---------------------------------------------------------------------------------


def test_cluster_has_three_nodes_that_join_the_first() -> None:
    nodes = {name: service for name, service in services(CLUSTER).items() if "qdrant" in name}
    assert set(nodes) == set(NODES)
    storages = set()
    for name, node in nodes.items():
        assert node["environment"]["QDRANT__CLUSTER__ENABLED"] == "true"
        assert "exec /qdrant/qdrant" in node["entrypoint"][2]
        assert node["entrypoint"] == nodes["qdrant"]["entrypoint"]
        command = node["command"]
        assert command[command.index("--uri") + 1] == f"http://{name}:6335"
        assert ("--bootstrap" in command) == (name != "qdrant")
        assert node["healthcheck"]["test"] == nodes["qdrant"]["healthcheck"]["test"]
        assert node["networks"] == ["data"]
        storages |= set(node["volumes"])
    assert len(storages) == 6


def test_cluster_spreads_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    spread = services(CLUSTER)
    for name in ("api", "worker"):
        for variable, value in spread[name]["environment"].items():
            monkeypatch.setenv(variable, value)
        settings = Settings.from_environment()
        assert settings.embedder_url == "http://embedder:8100", "the name of all of them"
        nodes = split_addresses(settings.index_url)
        assert nodes == tuple(f"http://{name}:6333" for name in NODES)
        assert settings.qdrant_grpc
        assert (settings.qdrant_shards, settings.qdrant_replicas) == (6, len(NODES))
        assert spread[name]["depends_on"]["qdrant"]["condition"] == "service_healthy"
    replicas = {name: spread[name]["deploy"]["replicas"] for name in ("api", "worker", "embedder")}
    assert replicas == {"api": "2", "worker": "4", "embedder": "2"}
    for name in ("api", "worker"):
        assert {*NODES, "embedder"} <= set(spread[name]["environment"]["NO_PROXY"].split(","))


def test_collections_of_a_cluster_are_made_when_all_nodes_are_there() -> None:
    for name in ("api", "worker"):
        waits = services(CLUSTER)[name]["depends_on"]
        for node in NODES:
            assert waits[node]["condition"] == "service_healthy"


def test_neither_page_nor_api_nor_workers_wait_for_a_model() -> None:
    for overrides in ((), (PROD,), (CLUSTER,)):
        for name in ("web", "api", "worker"):
            assert not {"embedder", "init"} & set(services(*overrides)[name]["depends_on"]), name


def test_shell_commands_of_probes_parse() -> None:
    """`sh -n` of every shell line that a container runs."""
    for override in (PROD, CLUSTER):
        for name, service in services(override).items():
            test = service.get("healthcheck", {}).get("test", [])
            lines = [test[-1]] if test[:1] == ["CMD-SHELL"] or "bash" in test else []
            if service.get("entrypoint") == ["/bin/sh", "-c"] or name == "redis":
                lines.append(service["command"][-1])
            for line in lines:
                subprocess.run(["bash", "-n", "-c", line], check=True)


# --- accounts --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_no_account_is_without_its_secret(name: str) -> None:
    given = {key: value for key, value in SECRETS.items() if key != name}
    with pytest.raises(AssertionError, match=f"{name} is wanted"):
        filled(merged(BASE, ACCOUNTS), **given)


def test_the_administrator_of_the_store_is_known_to_the_store_alone() -> None:
    started = services(PROD, ACCOUNTS)
    administrator = GIVEN["PETSEARCH_S3_SECRET_KEY"]
    assert {n for n, s in started.items() if administrator in json.dumps(s)} == {
        "minio",
        "accounts",
    }
    for name in ("api", "worker", "embedder", "trainer"):
        environment = started[name]["environment"]
        assert environment["PETSEARCH_S3_ACCESS_KEY"] == f"petsearch-{name}"
        assert environment["PETSEARCH_S3_SECRET_KEY"] == f"for-{name}-in-the-store"


def test_every_account_that_is_made_has_a_policy_and_a_secret() -> None:
    folder = ROOT / "infra/object-store"
    script = (folder / "accounts.sh").read_text()
    made = dict(re.findall(r'^make (\w+) "\$(\w+)"$', script, re.MULTILINE))
    assert set(made) == {path.stem for path in folder.glob("*.json")}
    assert set(made.values()) == set(SECRETS)
    assert set(made.values()) <= set(services(ACCOUNTS)["accounts"]["environment"])
    subprocess.run(["sh", "-n", folder / "accounts.sh"], check=True)
