"""The manifests of infra/k8s: whole, of the right shape, safe, and built by kustomize."""

import functools
import importlib.resources
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import redis
import yaml

from devstack.addresses import free_port, listens
from petsearch.adapters.redis import CeleryQueue, make_celery
from petsearch.adapters.redis.private_server import find_redis_server
from petsearch.domain import QueueName
from petsearch.settings import Limits, Settings
from services.http.middleware import PROBES
from tests import installed
from tests.infra.compose_files import OURS, ROOT
from tests.infra.test_compose import KNOWN
from tests.infra.test_dockerfiles import start_command
from tests.processes import Processes

K8S = ROOT / "infra/k8s"
IMAGES = {*OURS, "web"}
VERSION = "1.34.0"
OVERLAYS = ("overlays/small", "overlays/production")
PARTS = sorted(file.parent.relative_to(K8S).as_posix() for file in K8S.rglob("kustomization.yaml"))

Manifest = dict[str, Any]


def manifests(file: Path) -> list[Manifest]:
    """The documents of a file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def kustomization(part: str) -> Manifest:
    """What a folder is put together from."""
    (document,) = manifests(K8S / part / "kustomization.yaml")
    return document


BASE = {
    (document["kind"], document["metadata"]["name"]): document
    for name in kustomization("base")["resources"]
    for document in manifests(K8S / "base" / name)
}
PODS = {
    f"{kind} {name}": document["spec"]["template"]["spec"]
    for (kind, name), document in BASE.items()
    if kind in ("Deployment", "Job")
}


def built(part: str) -> list[Manifest]:
    """What kustomize makes of a folder; the test is skipped where there is no kubectl."""
    kubectl = installed.require("kubectl", "its wheel is for Linux on x86-64; else install it")
    command = [kubectl, "kustomize", str(K8S / part)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@functools.cache
def definitions() -> Any:
    """The parts that Kubernetes' schemas refer to, read once: they are a megabyte."""
    referencing = pytest.importorskip("referencing")
    resource = referencing.Resource.from_contents(schema("_definitions"))
    return (resource @ referencing.Registry()).crawl()


@functools.cache
def schema(name: str) -> Any:
    """A file of kubernetes-validate: the schemas in which no unknown field is allowed."""
    pytest.importorskip(
        "kubernetes_validate", reason="pip install kubernetes-validate to check this"
    )
    package = importlib.resources.files("kubernetes_validate")
    folder = package / f"kubernetes-json-schema/v{VERSION}-local-strict"
    return json.loads((folder / f"{name}.json").read_text())


def problems(document: Manifest) -> list[str]:
    """What Kubernetes' schema has against a manifest; KEDA's kinds are not in it."""
    if "keda.sh" in document["apiVersion"]:
        return []
    group, _, version = document["apiVersion"].rpartition("/")
    kind, group = document["kind"].lower(), group.split(".")[0]
    name = "-".join(filter(None, (kind, group, version)))
    validator = jsonschema.Draft202012Validator(schema(name), registry=definitions())
    return [error.message for error in validator.iter_errors(document)]


def test_every_manifest_is_what_kubernetes_takes() -> None:
    checked = 0
    for file in K8S.rglob("*.yaml"):
        is_patch = file == K8S / "components/gpu/embedder.yaml"
        if file.name != "kustomization.yaml" and not is_patch:
            for document in manifests(file):
                assert problems(document) == [], file
                checked += 1
    assert checked > 20


def test_a_misspelt_manifest_is_refused() -> None:
    api = BASE["Deployment", "api"]
    assert problems(api | {"spec": api["spec"] | {"replica": 1}})


@pytest.mark.parametrize("part", PARTS)
def test_everything_listed_exists_and_everything_there_is_listed(part: str) -> None:
    listed = kustomization(part)
    files = {
        *listed.get("resources", []),
        *listed.get("components", []),
        *(patch["path"] for patch in listed.get("patches", []) if "path" in patch),
    }
    assert all((K8S / part / name).exists() for name in files)
    own = {file.name for file in (K8S / part).glob("*.yaml")} - {"kustomization.yaml"}
    assert own <= files


@pytest.mark.parametrize("part", OVERLAYS)
def test_overlays_build_into_what_kubernetes_takes(part: str) -> None:
    documents = built(part)
    for document in documents:
        assert problems(document) == []
        assert document["metadata"]["namespace"] == "petsearch"
        if document["kind"] in ("Deployment", "Job"):
            for container in document["spec"]["template"]["spec"]["containers"]:
                assert container["image"].startswith("registry.example/petsearch-")
                assert container["image"].endswith(":0.1.0")
    deployments = {
        document["metadata"]["name"]: document["spec"]
        for document in documents
        if document["kind"] == "Deployment"
    }
    if part == "overlays/small":
        (claim,) = [one for one in documents if one["kind"] == "PersistentVolumeClaim"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert deployments["embedder"]["strategy"] == {"type": "Recreate"}
    if part == "overlays/production":
        assert "replicas" not in deployments["worker"], "KEDA says how many there are"
        (embedder,) = deployments["embedder"]["template"]["spec"]["containers"]
        assert embedder["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert embedder["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("name", sorted(PODS))
def test_pods_are_hardened_and_limited(name: str) -> None:
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    assert all("emptyDir" in v or "persistentVolumeClaim" in v for v in pod["volumes"])
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    # The tag is the overlay's; an image of ours that has a Dockerfile.
    assert container["image"].removeprefix("petsearch-") in IMAGES


@pytest.mark.parametrize("name", ["api", "worker", "embedder", "web"])
def test_deployments_are_probed_drained_and_protected(name: str) -> None:
    pod = PODS[f"Deployment {name}"]
    (container,) = pod["containers"]
    assert {"startupProbe", "livenessProbe"} <= set(container)
    if name != "worker":
        assert "readinessProbe" in container
        assert container["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    if name in ("api", "embedder"):
        command = start_command(name)
        drain_s = int(command[command.index("--timeout-graceful-shutdown") + 1])
        pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert drain_s + pause_s < pod["terminationGracePeriodSeconds"]
        ports = [port["containerPort"] for port in container["ports"]]
        assert int(command[command.index("--port") + 1]) in ports
        if name == "embedder":  # its clients call the addresses of pods
            stated = {entry["name"]: entry.get("value") for entry in container["env"]}
            assert stated["PETSEARCH_ALLOWED_HOSTS"] == '["*"]'
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["path"] in PROBES
    budget = BASE["PodDisruptionBudget", name]["spec"]
    labels = BASE["Deployment", name]["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert BASE["Service", name]["spec"]["selector"].items() <= labels.items()


def test_workers_wait_at_their_start_for_the_first_embedder() -> None:
    """Which may have to download its weights first."""

    def patience_s(name: str) -> int:
        (container,) = PODS[f"Deployment {name}"]["containers"]
        probe = container["startupProbe"]
        return int(probe["periodSeconds"] * probe["failureThreshold"])

    assert patience_s("worker") > patience_s("embedder")


@pytest.mark.parametrize("name", ["api", "worker"])
def test_large_files_pass_through_a_disk(name: str) -> None:
    pod = PODS[f"Deployment {name}"]
    (spool,) = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "spool"]
    assert set(spool) == {"sizeLimit"}
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["spool"] == "/var/spool/petsearch"


def test_the_ingress_takes_what_the_api_takes() -> None:
    (ingress,) = manifests(K8S / "overlays/production/ingress.yaml")
    annotations = ingress["metadata"]["annotations"]
    megabytes = Limits().request_bytes // 2**20
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == f"{megabytes}m"
    assert int(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 3600
    assert ingress["spec"]["ingressClassName"] == "nginx"


def test_those_who_use_an_object_store_outside_are_let_out_by_a_component() -> None:
    (policy,) = manifests(K8S / "components/outside-store/network.yaml")
    assert policy["spec"]["podSelector"] == BASE["NetworkPolicy", "data"]["spec"]["podSelector"]
    ((port,),) = [rule["ports"] for rule in policy["spec"]["egress"]]
    assert port == {"port": 443}


def test_labels_that_policies_ask_for_are_in_the_readme() -> None:
    policies = (K8S / "base/network.yaml").read_text()
    readme = (K8S / "README.md").read_text()
    for label in re.findall(r'(petsearch-[a-z]+): "true"', policies):
        assert re.search(rf"kubectl label namespace .*{label}=true", readme), label


def test_liveness_does_not_ask_for_what_others_do() -> None:
    """A dependency that is down makes a process unready, and restarts nothing."""
    for name in ("api", "embedder"):
        (container,) = PODS[f"Deployment {name}"]["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_settings_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = BASE["ConfigMap", "petsearch-settings"]["data"]
    assert set(data) <= KNOWN
    for variable, value in data.items():
        monkeypatch.setenv(variable, value)
    settings = Settings.from_environment()
    settings.require("embedder_url", "index_url", "store_url", "model")
    assert not settings.allow_no_keys
    assert settings.precision != "auto", "embedders would choose each for itself"
    assert "127.0.0.1" in settings.allowed_hosts, "the probes ask for it"


def test_proxy_and_api_believe_the_same_networks() -> None:
    data = BASE["ConfigMap", "petsearch-settings"]["data"]
    env = {one["name"]: one for one in PODS["Deployment web"]["containers"][0]["env"]}
    assert env["TRUSTED_PROXIES"]["value"].split() == json.loads(data["PETSEARCH_TRUSTED_PROXIES"])


def test_only_those_who_need_secrets_have_them() -> None:
    needed = {
        "api": ["petsearch-secrets", "petsearch-store-api"],
        "worker": ["petsearch-secrets", "petsearch-store-worker"],
        "init": ["petsearch-secrets", "petsearch-store-worker"],
        "embedder": ["petsearch-store-embedder"],
    }
    for name, pod in PODS.items():
        sources = pod["containers"][0].get("envFrom", [])
        given = [source["secretRef"]["name"] for source in sources if "secretRef" in source]
        assert given == needed.get(name.split()[1], []), name


def test_nobody_is_reached_but_by_a_policy() -> None:
    nobody = BASE["NetworkPolicy", "nobody"]["spec"]
    assert nobody == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {name for kind, name in BASE if kind == "NetworkPolicy"} >= IMAGES - {"worker"}


def scaled() -> Iterator[dict[str, Any]]:
    """The triggers of the scaled workers."""
    for document in manifests(K8S / "components/keda/scaled-workers.yaml"):
        if document["kind"] == "ScaledObject":
            assert document["spec"]["scaleTargetRef"]["name"] == "worker"
            yield from document["spec"]["triggers"]


def test_workers_are_scaled_by_the_lists_that_the_queue_is(tmp_path: Path) -> None:
    names = {trigger["metadata"]["listName"] for trigger in scaled()}
    assert names == {queue.value for queue in QueueName}
    port = free_port()
    processes = Processes(tmp_path / "logs")
    command = [find_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    client = redis.Redis(port=port)
    app = make_celery(f"redis://127.0.0.1:{port}/0")
    try:
        processes.add("redis", command, answers=listens(port)).wait_until_up()
        for queue in QueueName:
            CeleryQueue(app).enqueue_chunk("job", 0, queue)
            assert client.llen(queue.value) == 1
    finally:
        app.close()
        client.close()
        processes.end()
