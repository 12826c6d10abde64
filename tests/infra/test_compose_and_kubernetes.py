"""What docker-compose.cluster.yml and infra/k8s both state is the same, but for what is named."""

import os
import re
from typing import Any

import pytest

from petsearch.settings import Settings
from tests.infra.compose_files import OVERRIDES, seconds
from tests.infra.test_compose_overrides import services
from tests.infra.test_kubernetes import BASE

CLUSTER = OVERRIDES[2]
COMPOSE = services(CLUSTER)
SERVICES = ("api", "worker", "embedder", "web")
ELSEWHERE = {"index_url", "store_url", "redis_url", "s3_access_key", "s3_secret_key"}
"""Where the data lies, and with which keys."""
ON_PURPOSE = {
    "allow_no_keys": "compose publishes on loopback alone",
    "allowed_hosts": "of the machine, or set by an overlay",
    "trusted_proxies": "compose's proxy is beside the API",
    "precision": "nodes of one machine choose alike; those of a cluster need not",
}
BYTES = {"m": 2**20, "g": 2**30, "Mi": 2**20, "Gi": 2**30}


def pod_of(name: str) -> dict[str, Any]:
    """The pod of a service."""
    found: dict[str, Any] = BASE["Deployment", name]["spec"]["template"]["spec"]
    return found


def bytes_of(size: str) -> int:
    """`1280m` and `1Gi` are sizes of memory."""
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]+)", size).groups()  # type: ignore[union-attr]
    return int(number) * BYTES[unit]


def settings_of(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> dict[str, Any]:
    """What a service makes of its environment."""
    for name in [name for name in os.environ if name.startswith("PETSEARCH_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("PETSEARCH_"):
            monkeypatch.setenv(name, value)
    return Settings.from_environment().model_dump()


@pytest.mark.parametrize("name", ["api", "worker", "embedder"])
def test_services_have_the_same_settings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    of_compose = COMPOSE[name]["environment"]
    (container,) = pod_of(name)["containers"]
    stated = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
    of_kubernetes = {**BASE["ConfigMap", "petsearch-settings"]["data"], **stated}
    # The same map goes to all services; what compose does not give this one does not matter here.
    needed = {key: value for key, value in of_kubernetes.items() if key in {*of_compose, *stated}}
    one, other = settings_of(monkeypatch, of_compose), settings_of(monkeypatch, needed)
    different = {key for key in one if one[key] != other[key]} - ELSEWHERE
    assert different <= set(ON_PURPOSE), different


def test_every_difference_that_is_named_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    of_kubernetes = BASE["ConfigMap", "petsearch-settings"]["data"]
    other = settings_of(monkeypatch, of_kubernetes)
    environments = [COMPOSE[name]["environment"] for name in ("api", "embedder")]
    for key in ON_PURPOSE:
        assert any(settings_of(monkeypatch, one)[key] != other[key] for one in environments), key


@pytest.mark.parametrize("name", SERVICES)
def test_services_run_as_the_same_user_within_the_same_memory(name: str) -> None:
    of_compose, pod = COMPOSE[name], pod_of(name)
    (container,) = pod["containers"]
    user = pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]
    assert of_compose["user"] == ":".join(map(str, user))
    limit = of_compose["deploy"]["resources"]["limits"]["memory"]
    assert bytes_of(limit) == bytes_of(container["resources"]["limits"]["memory"])
    in_memory = {
        mount["mountPath"]: bytes_of(volume["emptyDir"]["sizeLimit"])
        for volume in pod["volumes"]
        for mount in container["volumeMounts"]
        if mount["name"] == volume["name"] and volume.get("emptyDir", {}).get("medium") == "Memory"
    }
    mounts = (re.match(r"([^:]+):size=(\w+)", mount) for mount in of_compose["tmpfs"])
    assert in_memory == {found[1]: bytes_of(found[2]) for found in mounts if found}


@pytest.mark.parametrize("name", ["api", "embedder", "web"])
def test_probes_ask_the_same_and_give_up_alike(name: str) -> None:
    probe = COMPOSE[name]["healthcheck"]
    (container,) = pod_of(name)["containers"]
    of_kubernetes = container["readinessProbe"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = of_kubernetes["httpGet"]
    assert str(ports[asked["port"]]) in " ".join(probe["test"])
    assert asked["path"] in " ".join(probe["test"])
    assert seconds(probe["interval"]) == of_kubernetes["periodSeconds"]
    assert seconds(probe["timeout"]) == of_kubernetes["timeoutSeconds"]
    assert probe["retries"] == of_kubernetes["failureThreshold"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_pod_has_as_long_to_end_after_its_endpoint_is_gone(name: str) -> None:
    pod = pod_of(name)
    (container,) = pod["containers"]
    hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})
    left_s = pod["terminationGracePeriodSeconds"] - hook["seconds"]
    assert left_s >= seconds(COMPOSE[name]["stop_grace_period"])
