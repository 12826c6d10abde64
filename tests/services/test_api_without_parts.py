"""What the API still does, and what it says, while a part does not answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from petsearch.adapters.clip.model import load_model
from petsearch.adapters.embedder_http import HttpEmbedder
from petsearch.app.services import Services, build_services
from petsearch.client import Client
from petsearch.domain import JsonDict, Point, sha256_of
from petsearch.domain.errors import StorageFull, Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from services.api.app import build_app
from services.api.metrics import ApiMetrics
from services.api.readiness import Readiness
from tests import pictures
from tests.app_server import served_app
from tests.contract.records import record
from tests.coroutines import run
from tests.decoding import decoders
from tests.embedder_server import served
from tests.services.house import settings_in


@dataclass
class House:
    """The API over HTTP, with an embedder over HTTP that is stopped already."""

    url: str
    services: Services
    metrics: ApiMetrics

    @property
    def ready(self) -> tuple[int, dict[str, str], str]:
        """Status code, checks and status of `/readyz`."""
        answer = httpx.get(f"{self.url}/readyz")
        return answer.status_code, answer.json()["checks"], answer.json()["status"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Two dogs and a cat are indexed; `dog` was asked for before the embedder went away."""
    folder, now_s = tmp_path_factory.mktemp("house"), [0.0]
    model = BatchingEmbedder(load_model("sample", device="cpu"), BatchingOptions())
    embedder = ExitStack()
    embedder_url = embedder.enter_context(served(model))
    remote = HttpEmbedder(httpx.Client(base_url=embedder_url), clock=lambda: now_s[0])
    services = build_services(settings_in(folder), embedder=remote, decoders=decoders())
    metrics = ApiMetrics()
    metrics.watch(services.query_cache)
    target = services.initialise()
    rows = remote.embed_texts(["cat", "dog", "dog"])
    points = [Point(record(number), row) for number, row in enumerate(rows)]
    services.storage.index.insert(target.collection, points)
    with served_app(build_app(services, metrics=metrics, is_on_loopback=True)) as url:
        house = House(url, services, metrics)
        assert httpx.get(f"{url}/v1/search", params={"q": "dog"}).status_code == 200
        assert house.ready[::2] == (200, "ok")
        embedder.close()
        now_s[0] += 60.0  # what is known of its models is no longer fresh
        yield house
    services.close()
    model.close()


def test_without_the_embedder_it_is_degraded_and_ready(house: House) -> None:
    while house.ready[2] == "ok":
        pass  # what was asked within the last second is not asked again
    code, checks, status = house.ready
    assert (code, status) == (200, "degraded")
    assert {name for name, answer in checks.items() if answer != "ok"} == {"embedder"}
    assert "embedder" in checks["embedder"]


def test_queries_asked_before_are_answered_and_others_are_to_come_back(house: House) -> None:
    known = httpx.get(f"{house.url}/v1/search", params={"q": "dog"})
    assert known.status_code == 200
    assert len(known.json()["items"]) == 3
    other = httpx.get(f"{house.url}/v1/search", params={"q": "a small bird"})
    assert other.status_code == 503
    assert int(other.headers["retry-after"]) > 0
    assert other.headers["content-type"] == "application/problem+json"


def test_photos_are_taken_in_and_shown_without_the_embedder(house: House) -> None:
    data = pictures.jpeg(1)
    answer = httpx.post(f"{house.url}/v1/images", files={"photos": ("a.jpg", data)})
    assert answer.status_code == 202
    with Client(house.url) as client:
        job_id = client.open_job("later")["job_id"]
        known: list[tuple[str, JsonDict]] = [(record(0).sha256, {}), (sha256_of(data), {})]
        missing = client.add_known(job_id, known)
        assert 1 in missing
        assert client.job(job_id)["total"] == 2 - len(missing)
        assert client.image(record(0).image_id)["filename"] == "0.jpg"
        assert client.stats()["images"] == 3
    for path in ("/v1/images", "/v1/facets?by=breed", "/v1/duplicates?tier=exact"):
        assert httpx.get(house.url + path).status_code == 200, path


def test_an_image_is_described_and_deleted_without_the_embedder(house: House) -> None:
    url = f"{house.url}/v1/images/{record(2).image_id}"
    assert httpx.patch(url, json={"status": "Lost"}).json()["status"] == "lost"
    assert httpx.delete(url).status_code == 204
    assert httpx.get(url).status_code == 404
    house.services.storage.index.insert(
        house.services.parts.catalogue.collection(),
        [Point(record(2), house.services.query_cache.embed_texts(["dog"])[0])],
    )


def test_requests_and_kept_queries_are_counted(house: House) -> None:
    httpx.get(f"{house.url}/v1/jobs/absent")
    httpx.get(f"{house.url}/v1/nothing/of/the/kind")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    house.metrics.serve(port)
    lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
    house.metrics.close()
    told = 'petsearch_http_requests_total{method="GET",route="%s",status="%s"} '
    for route, status in (("/v1/search", 200), ("/v1/jobs/{job_id}", 404), ("none", 404)):
        assert any(line.startswith(told % (route, status)) for line in lines), route
    assert any(line.startswith('petsearch_query_cache_texts_total{kept="no"}') for line in lines)
    assert any(
        line.startswith('petsearch_http_request_seconds_count{method="GET",route="/v1/search"}')
        for line in lines
    )
    assert httpx.get(f"{house.url}/metrics").status_code == 404


def test_a_part_that_hangs_is_named_in_time_and_asked_once() -> None:
    go_on, asked = threading.Event(), []

    def hang() -> None:
        asked.append("hangs")
        go_on.wait(30)

    readiness = Readiness({"hangs": hang}, patience_s=0.2)
    for _ in range(3):
        assert "within 0.2 s" in run(readiness.check())["hangs"].detail
    assert asked == ["hangs"]
    go_on.set()


def test_each_part_says_what_is_wrong_with_it() -> None:
    def fail() -> None:
        raise Unavailable("It is off.")

    def break_down() -> None:
        raise ZeroDivisionError

    def refuse_writes() -> None:
        raise StorageFull("It is full.")

    parts = {"good": lambda: None, "off": fail, "broken": break_down, "full": refuse_writes}
    checks = run(Readiness(parts, patience_s=30).check())
    assert checks["good"] == ("ok", True)
    assert checks["off"] == ("It is off.", False)
    assert checks["full"] == ("It is full.", True)
    assert "log" in checks["broken"].detail
    assert not checks["broken"].is_up
