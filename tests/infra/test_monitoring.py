"""Alert rules and dashboards name only metrics that the services really tell."""

import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from devstack.addresses import free_port
from petsearch.adapters.clip.model import load_model
from petsearch.adapters.embedder_http import HttpEmbedder
from petsearch.app.services import build_services
from petsearch.domain import ItemStatus, JobKind
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.ports import Stage
from services.api.app import build_app
from services.api.metrics import ApiMetrics
from services.embedder.metrics import EmbedderMetrics
from services.worker.metrics import WorkerMetrics
from tests import installed
from tests.app_server import served_app
from tests.decoding import decoders
from tests.embedder_server import served
from tests.infra.compose_files import ROOT, raw
from tests.infra.test_compose import SERVICES
from tests.services.house import RecordingQueue, settings_in

PROMETHEUS = ROOT / "infra/prometheus"
CONFIG: dict[str, Any] = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARDS = sorted((ROOT / "infra/grafana/dashboards").glob("*.json"))
OF_PROMETHEUS = {"up"}
"""Told by Prometheus itself, of every process it asks."""


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """The panels of all dashboards that show something."""
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            if panel["type"] != "row":
                yield file.name, panel


EXPRESSIONS = {f"alert {rule['alert']}": rule["expr"] for rule in RULES} | {
    f"{file}: {panel['title']} {target['refId']} ({panel['id']})": target["expr"].replace(
        "$__rate_interval", "1m"
    )
    for file, panel in panels()
    for target in panel["targets"]
}


def selected(expression: str) -> list[tuple[str, dict[str, str]]]:
    """The metrics of a PromQL expression, with the values it wants labels to have.

    Raises:
        ValueError: it is no PromQL.
    """
    promql = pytest.importorskip("promql_parser", reason="pip install promql-parser to check this")
    found: dict[int, tuple[str, dict[str, str]]] = {}

    def visit(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', str(node.matchers)))
            found[len(found)] = (node.name, labels)
        return True

    promql.walk(promql.parse(expression), visit)
    return [*found.values()]


Told = dict[str, list[dict[str, str]]]
"""The labels of every sample, by the metric's name."""


def parsed(text: str) -> Told:
    """What a service told, read as Prometheus reads it."""
    told: Told = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            told.setdefault(sample.name, []).append(sample.labels)
    return told


def told_by_worker() -> Told:
    """What a worker tells after it did something of everything."""
    metrics, port = WorkerMetrics(), free_port()
    metrics.watch(RecordingQueue())
    for stage in Stage:
        metrics.stage_took(stage, 0.1)
    for kind in JobKind:
        metrics.items_ended(kind, dict.fromkeys(ItemStatus, 1))
    metrics.serve(port)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    metrics.close()
    return parsed(text)


def told_by_api_and_embedder(folder: Path) -> list[Told]:
    """What the real API and the real embedder tell after searches by text and by photo."""
    settings = settings_in(folder, allow_no_keys=True)
    of_api, of_embedder, port = ApiMetrics(), EmbedderMetrics(), free_port()
    model = BatchingEmbedder(
        load_model("sample", device="cpu"), BatchingOptions(), observer=of_embedder
    )
    of_embedder.watch(model)
    with served(model, of_embedder) as embedder_url:
        remote = HttpEmbedder(httpx.Client(base_url=embedder_url))
        services = build_services(settings, embedder=remote, decoders=decoders())
        of_api.watch(services.query_cache)
        services.initialise()
        with served_app(build_app(services, metrics=of_api, is_on_loopback=True)) as url:
            for _ in range(2):
                httpx.get(f"{url}/v1/search", params={"q": "dog"}).raise_for_status()
            photo = {"photo": ("dog.jpg", solid_jpeg(), "image/jpeg")}
            httpx.post(f"{url}/v1/search/image", files=photo).raise_for_status()
        of_api.serve(port)
        texts = [f"http://127.0.0.1:{port}/metrics", f"{embedder_url}/metrics"]
        told = [parsed(httpx.get(address).text) for address in texts]
        of_api.close()
        services.close()
    model.close()
    return told


def solid_jpeg() -> bytes:
    """A grey photo."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What all three services tell."""
    whole = told_by_worker()
    for part in told_by_api_and_embedder(tmp_path_factory.mktemp("scraped")):
        whole |= part
    return whole


def test_alerts_and_dashboards_ask_only_for_what_services_tell(told: Told) -> None:
    for where, expression in EXPRESSIONS.items():
        for name, labels in selected(expression):
            if name in OF_PROMETHEUS:
                continue
            assert name in told, f"{where} asks for {name}, which nobody tells"
            for label, value in labels.items():
                values = {sample.get(label) for sample in told[name]}
                assert None not in values, f"{where}: {name} has no label {label}"
                # Which statuses there are depends on what was asked.
                assert label == "status" or value in values, f"{where}: {name}{{{label}={value}}}"


def test_every_metric_of_ours_is_looked_at_by_somebody(told: Told) -> None:
    asked = {name for text in EXPRESSIONS.values() for name, _ in selected(text)}
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in told}
    looked_at = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in asked}
    assert {name for name in families if name.startswith("petsearch_")} - looked_at == set()


def test_a_metric_that_does_not_exist_would_be_found(told: Told) -> None:
    (name, labels), *_ = selected('rate(petsearch_ingest_photos_total{status="ingested"}[5m])')
    assert name not in told
    assert labels == {"status": "ingested"}


def test_expressions_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unclosed|unexpected|invalid|parse"):
        selected("sum(rate(petsearch_http_requests_total[5m])")


def test_alerts_say_who_is_called_and_why() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES) > 10
    for rule in RULES:
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert re.fullmatch(r"\d+m", rule["for"]), rule["alert"]


def test_jobs_that_alerts_name_are_scraped_where_compose_runs_them() -> None:
    jobs = {job["job_name"]: job for job in CONFIG["scrape_configs"]}
    named = {
        labels["job"] for rule in RULES for _, labels in selected(rule["expr"]) if "job" in labels
    }
    assert named <= set(jobs)
    clustered = raw("docker-compose.cluster.yml")["services"]
    for name in ("api", "worker", "embedder", "qdrant"):
        (found,) = jobs[name]["dns_sd_configs"]
        of_cluster = [other for other in clustered if other.startswith(f"{name}-")]
        assert found["names"] == [name, *of_cluster]
        default = {"qdrant": "6333"}.get(name)
        served_on = SERVICES[name]["environment"].get("PETSEARCH_METRICS_PORT", default)
        assert str(found["port"]) == served_on
    ((target,),) = [entry["targets"] for entry in jobs["store"]["static_configs"]]
    assert target.split(":")[0] == "minio"
    assert "/tmp/qdrant-api-key" in SERVICES["prometheus"]["command"][0]


def test_dashboards_read_from_the_provisioned_source() -> None:
    provisioning = ROOT / "infra/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    for _, panel in panels():
        assert panel["datasource"]["uid"] == source["uid"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/petsearch.yml").read_text())[
        "providers"
    ]
    mounts = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounts
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in {file.name for file in DASHBOARDS}


def test_panels_do_not_overlap() -> None:
    for file in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(file.read_text())["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells


def test_promtool_finds_nothing() -> None:
    promtool = installed.require("promtool", "install Prometheus")
    command = [promtool, "check", "rules", str(PROMETHEUS / "alerts.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
