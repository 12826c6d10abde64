"""Photos go in and are found, whatever dies, hangs or is stopped. The tests share one project."""

import json
import threading
import time
import zipfile
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

import pytest

from tests import pictures
from tests.compose.projects import (
    APPS,
    Catalogue,
    Project,
    docker,
    logs,
    objects,
    on_engine,
    paused,
    run,
    wait_until,
)
from tests.infra.compose_files import OURS
from tests.programs import petsearch

pytestmark = on_engine
SEEDS = count(1)
DEADLINE_S = 5.0
LATEST_S = DEADLINE_S + 6.0
"""Far below what a part that hangs would hold a caller for without a deadline."""
_PAUSE_S = 1.0
"""Between uploads, which are all ingested in the end."""
SERVICES = ("web", *OURS, "qdrant", "redis", "minio")


def new_photos(number: int) -> list[bytes]:
    """So many photos that no other test has."""
    return [pictures.jpeg(next(SEEDS)) for _ in range(number)]


def add(plain: Project, number: int) -> None:
    """Add photos and wait until they are found."""
    before = plain.catalogue.count()
    assert plain.catalogue.upload(*new_photos(number)).status_code == 202
    plain.catalogue.wait_for(before + number)


@pytest.mark.smoke
def test_photos_that_go_in_are_found(plain: Project) -> None:
    (photo,) = new_photos(1)
    before = plain.catalogue.count()
    assert plain.catalogue.upload(photo).status_code == 202
    plain.catalogue.wait_for(before + 1)
    assert plain.catalogue.search().json()["items"]
    assert plain.catalogue.search_by_photo(photo).json()["items"][0]["score"] > 0.99
    assert plain.catalogue.get("/").status_code == 200


@pytest.mark.smoke
@pytest.mark.parametrize(("part", "name"), [("embedder", "embedder"), ("qdrant", "Qdrant")])
def test_nobody_waits_for_a_part_that_hangs(plain: Project, part: str, name: str) -> None:
    plain.catalogue.wait_until_searched()
    with paused(plain.container(part)):
        began = time.monotonic()
        answer = plain.catalogue.search()
        assert time.monotonic() - began < LATEST_S
        assert answer.status_code == 503
        assert name in answer.json()["detail"]
    plain.catalogue.wait_until_searched()


@pytest.mark.smoke
def test_a_worker_that_dies_is_started_again(plain: Project) -> None:
    before = plain.restarts("worker")
    plain.kill("worker")
    add(plain, 1)
    assert plain.restarts("worker") == before + 1


@pytest.mark.smoke
def test_everything_is_there_after_down_and_up(plain: Project) -> None:
    photos = plain.catalogue.photos()
    assert photos
    plain.compose("down")
    plain.compose("up", "--detach", "--wait", *APPS)
    plain.catalogue.wait_until_searched()
    assert plain.catalogue.photos() == photos


def test_the_command_line_and_zips_bring_photos_too(plain: Project, tmp_path: Path) -> None:
    before = plain.catalogue.count()
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(new_photos(5)):
        (folder / f"{number}.jpg").write_bytes(photo)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for number, photo in enumerate(new_photos(5)):
            archive.writestr(f"{number}.jpg", photo)
    for source in (["ingest", str(folder)], ["ingest", "--archive", str(tmp_path / "more.zip")]):
        done = petsearch(*source, "--api", plain.catalogue.url)
        assert done.returncode == 0, done.stderr
        assert "5 ingested" in done.stdout
    plain.catalogue.wait_for(before + 10)


def test_three_workers_share_the_work(plain: Project) -> None:
    plain.compose("up", "--detach", "--wait", "--scale", "worker=3", *APPS)
    try:
        workers = plain.containers("worker")
        assert len(workers) == 3

        def has_each_worked() -> bool:
            add(plain, 3)
            return all("chunk accounted" in logs(worker) for worker in workers)

        wait_until(has_each_worked)
    finally:
        plain.compose("up", "--detach", "--wait", *APPS)
    assert len(plain.containers("worker")) == 1


def is_back(plain: Project, service: str, restarts: int) -> bool:
    """Whether a service was started again since, and is healthy."""
    return plain.restarts(service) > restarts and plain.is_healthy(service)


class Uploads:
    """Uploads photos until the block ends; each is sent again until it is accepted."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.sent = 0
        self._catalogue = catalogue
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            photos = new_photos(4)
            wait_until(partial(self._is_accepted, photos))
            self.sent += len(photos)

    def _is_accepted(self, photos: list[bytes]) -> bool:
        return self._catalogue.upload(*photos).status_code == 202


def test_nothing_is_lost_whatever_dies_or_hangs_during_ingest(plain: Project) -> None:
    before = plain.catalogue.count()
    with Catalogue(plain.catalogue.url) as catalogue, Uploads(catalogue) as uploads:
        for service in SERVICES:
            restarts = plain.restarts(service)
            plain.kill(service)
            wait_until(partial(is_back, plain, service, restarts))
            plain.catalogue.wait_until_searched()
        for service in SERVICES:
            with paused(plain.container(service)):
                time.sleep(DEADLINE_S)  # the freeze itself
            plain.catalogue.wait_until_searched()
    plain.catalogue.wait_for(before + uploads.sent)


def test_a_worker_without_memory_is_started_again_and_what_it_is_to_do_waits(
    plain: Project,
) -> None:
    before = plain.catalogue.count()
    plain.compose("up", "--detach", "--no-deps", "worker", WORKER_MEMORY="64m")
    wait_until(lambda: plain.restarts("worker") >= 2)
    assert plain.catalogue.upload(*new_photos(5)).status_code == 202
    assert plain.catalogue.count() == before
    plain.compose("up", "--detach", "--no-deps", "--wait", "worker")
    plain.catalogue.wait_for(before + 5)


def test_every_container_has_a_limit_of_memory(plain: Project) -> None:
    ids = plain.compose("ps", "--all", "--quiet").split()
    for container in json.loads(docker("inspect", *ids)):
        limits = container["HostConfig"]
        assert min(limits["Memory"], limits["PidsLimit"]) > 0, container["Name"]


def test_every_line_of_a_log_is_a_json_object(plain: Project) -> None:
    for service in ("web", *OURS):
        assert objects(logs(plain.container(service))), service


@pytest.mark.parametrize(
    ("service", "settings"),
    [(service, setting) for service in OURS for setting in ("LEASE_S=soon", "LIMIT_DECODE=1")],
)
def test_an_error_at_the_start_is_a_json_object(
    plain: Project, service: str, settings: str
) -> None:
    image = f"petsearch-{service}:{plain.env.get('PETSEARCH_TAG', 'local')}"
    command = (
        f"docker run --rm -e PETSEARCH_LOG_JSON=1 -e PETSEARCH_{settings} {image} 2>&1 || true"
    )
    (line,) = objects(run(["sh", "-c", command], env={}))
    assert settings.partition("=")[0] in line["reason"]
