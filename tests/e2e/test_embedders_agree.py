"""Three embedders behind one name while the model is replaced, one is killed and one is added."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest

from devstack import parts
from devstack.addresses import free_port
from petsearch.adapters import embedder_http
from petsearch.adapters.clip import resolve_model
from petsearch.app.services import Services, build_services
from petsearch.domain import ImageMetadata, JobOptions
from petsearch.jobs import Upload
from petsearch.models import Registry
from petsearch.sample.catalogue import catalogue
from services.api.app import build_app
from services.worker.runtime import WorkerRuntime, build_runtime
from tests.app_server import served_app
from tests.other_model import write_other_model
from tests.processes import Process, Processes
from tests.services.house import RecordingQueue, settings_in
from tests.waiting import in_thread, wait_until

PHOTOS = 24
LEAST_COSINE = 0.9999


@dataclass
class Embedders:
    """Processes that listen on one port of several loopback addresses; `hosts` is the name's."""

    processes: Processes
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    hosts: list[str] = field(default_factory=list)
    running: dict[str, Process] = field(default_factory=dict)

    def add(self) -> str:
        """One more, which starts; the name is to be told of it when it is up."""
        host = f"127.0.0.{len(self.running) + 2}"
        part = parts.http_service("embedder", f"embedder-{host}", self.port, self.env, host=host)
        self.running[host] = self.processes.add_part(part)
        return host

    def url_of(self, host: str) -> str:
        """The address of one of them."""
        return f"http://{host}:{self.port}"

    def models_of(self, host: str) -> set[str]:
        """What one of them has loaded."""
        listed = httpx.get(f"{self.url_of(host)}/v1/models", timeout=60).raise_for_status().json()
        return {model["model_id"] for model in listed["models"]}


class Searches:
    """Searches one after the other, until it is left."""

    def __init__(self, url: str) -> None:
        self.statuses: list[int] = []
        self.models: list[str] = []
        self._http = httpx.Client(base_url=url, timeout=60)
        self._ending = threading.Event()
        self._thread = in_thread(self._search)

    def __enter__(self) -> "Searches":
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._http.close()

    def go_on(self, count: int = 5) -> None:
        """Wait for so many more answers."""
        wanted = len(self.statuses) + count
        wait_until(lambda: len(self.statuses) >= wanted or not self._thread.is_alive())

    def _search(self) -> None:
        for number in itertools.count():
            if self._ending.is_set():
                return
            answer = self._http.get("/v1/search", params={"q": f"grey cat number {number}"})
            self.statuses.append(answer.status_code)
            if answer.is_success:
                self.models.append(answer.json()["model_id"])


@pytest.fixture
def embedders(tmp_path: Path) -> Iterator[Embedders]:
    with Processes(tmp_path / "logs") as processes:
        env = {
            "PETSEARCH_STORE_URL": f"file:{tmp_path / 'objects'}",
            "PETSEARCH_MODEL": "sample",
            "PETSEARCH_DRAIN_S": "0",
            "OMP_NUM_THREADS": "1",
        }
        yield Embedders(processes, env)


@pytest.fixture
def queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def services(tmp_path: Path, embedders: Embedders, queue: RecordingQueue) -> Iterator[Services]:
    embedders.hosts = [embedders.add() for _ in range(3)]
    for host in embedders.hosts:
        embedders.running[host].wait_until_up()
    remote = embedder_http.connect(
        f"http://embedder:{embedders.port}", lookup=lambda _: list(embedders.hosts)
    )
    settings = settings_in(tmp_path, allow_no_keys=True, anonymous_requests_per_minute=0)
    services = build_services(settings, embedder=remote, queue=queue)
    services.initialise()
    yield services
    services.close()


def run(runtime: WorkerRuntime, queue: RecordingQueue) -> None:
    """Work on what is queued until nothing is."""
    while queue.readings or queue.chunks:
        readings, queue.readings = queue.readings, []
        for reading in readings:
            runtime.enumerator.work(reading)
        found, queue.chunks = queue.chunks, []
        for chunk in found:
            runtime.chunks.work(*chunk)


def publish(services: Services, folder: Path) -> str:
    """Publish another model, with metrics."""
    model_id = resolve_model(f"dir:{write_other_model(folder)}").model_id()
    (folder / "metrics.json").write_text("{}")
    files = {path.name: path for path in folder.iterdir()}
    Registry(services.storage.store).publish(model_id, files, datetime.now(UTC))
    return model_id


@pytest.mark.timeout(1200)
def test_embedders_load_by_themselves_and_agree(
    tmp_path: Path, services: Services, embedders: Embedders, queue: RecordingQueue
) -> None:
    runtime = build_runtime(services, jitter=lambda: 0.002)
    drawings = [one.to_jpeg() for one in catalogue(PHOTOS, seed=7)]
    job_id = services.jobs.open("drawings", JobOptions()).job_id
    uploads = [Upload(data, ImageMetadata()) for data in drawings]
    services.jobs.add_photos(job_id, uploads, len(uploads))
    services.jobs.seal(job_id)
    run(runtime, queue)
    (old,) = embedders.models_of(embedders.hosts[0])
    new = publish(services, tmp_path / "other")

    with ExitStack() as opened:
        url = opened.enter_context(served_app(build_app(services)))
        searches = opened.enter_context(Searches(url))
        searches.go_on()
        job = services.models.reindex(new)
        assert any(new in embedders.models_of(host) for host in embedders.hosts)
        killed = embedders.hosts[0]
        embedders.running[killed].kill()
        searches.go_on()  # the name still names it
        embedders.hosts.remove(killed)
        fourth = embedders.add()
        run(runtime, queue)
        assert services.jobs.get(job.job_id).finished_at
        embedders.running[fourth].wait_until_up()
        embedders.hosts.append(fourth)
        searches.go_on()
        services.models.promote(new)
        searches.go_on()
        services.models.drop(old)
        wait_until(lambda: all(embedders.models_of(h) == {new} for h in embedders.hosts))
        searches.go_on()

    assert set(searches.statuses) == {200}, searches.statuses
    assert (searches.models[0], searches.models[-1]) == (old, new)
    rows = [embedding_of(embedders, host, drawings[0]) for host in embedders.hosts]
    assert min(float(one @ other) for one in rows for other in rows) >= LEAST_COSINE


def embedding_of(embedders: Embedders, host: str, photo: bytes) -> np.ndarray:
    """A photo's embedding by one of them."""
    files = {"images": ("a.jpg", photo, "image/jpeg")}
    url = f"{embedders.url_of(host)}/v1/embed/images"
    answer = httpx.post(url, files=files, timeout=60).raise_for_status()
    return np.asarray(answer.json()["embeddings"][0], np.float32)
