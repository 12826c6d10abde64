"""A model is replaced while people search and upload: in one process, and as many services."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from petsearch.adapters.clip import resolve_model
from petsearch.adapters.objects import minio
from petsearch.cli.publish import publish_folder
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict
from petsearch.domain.errors import Conflict, PetsearchError
from petsearch.models import Registry
from petsearch.reindex.write_set import HOLD_S, WRITE_LEASE_S
from petsearch.sample.catalogue import catalogue
from tests.other_model import write_other_model
from tests.server import ServerProcess
from tests.stack import Stack
from tests.traffic import Traffic, inconsistent

PHOTOS = 70
TOLERANCE = 4e-3
"""Of a score, by the batch it was computed in (bf16)."""
ENV = {"PETSEARCH_INGEST_BATCH_SIZE": "4", "PETSEARCH_LEASE_S": "4"}


@dataclass
class Server:
    """A server of either shape, with photos and a model that is published."""

    url: str
    next_model: str
    kill_a_worker: Callable[[], None]


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_other_model(tmp_path_factory.mktemp("models") / "other")


def standalone(folder: Path, model: Path) -> Iterator[Server]:
    process = ServerProcess(folder / "data", env=ENV)
    assert process.address, process.log
    try:
        published = publish_folder(model, data_dir=folder / "data")
        yield Server(process.address, published.manifest.model_id, lambda: None)
    finally:
        process.stop()


def distributed(folder: Path, model: Path) -> Iterator[Server]:
    env = {**ENV, "PETSEARCH_MODEL_CACHE": str(folder / "cache")}
    with Stack(folder / "stack", env=env) as stack:
        address = stack.env["PETSEARCH_STORE_URL"]
        key, secret = (stack.env[f"PETSEARCH_S3_{name}_KEY"] for name in ("ACCESS", "SECRET"))
        registry = Registry(minio.open_bucket(address, access_key=key, secret_key=secret))
        model_id = resolve_model(f"dir:{model}").model_id()
        files = {path.name: path for path in model.iterdir()}
        registry.publish(model_id, files, datetime.now(UTC))
        yield Server(stack.api_url, model_id, stack.workers[0].kill)


@pytest.fixture(params=[standalone, distributed], ids=lambda shape: shape.__name__)
def server(request: pytest.FixtureRequest, tmp_path: Path, other_model: Path) -> Iterator[Server]:
    yield from request.param(tmp_path, other_model)


def promoted(client: Client, model_id: str) -> JsonDict:
    """Asks again, as it is told to, until a worker that was killed while it wrote is given up."""
    given_up = time.monotonic() + WRITE_LEASE_S + HOLD_S
    while True:
        try:
            return client.promote(model_id)
        except Conflict as error:
            if "ask again" not in error.detail or time.monotonic() > given_up:
                raise


@pytest.mark.timeout(1200)
def test_nothing_fails_and_nothing_is_lost_while_the_model_changes(server: Server) -> None:
    with Client(server.url) as client:
        ids = fill(client)
        with Traffic(server.url) as traffic:
            opened = time.monotonic()
            truth = traffic.ask_everything()
            job = client.reindex(server.next_model)
            during = meddle(client, traffic, ids)
            server.kill_a_worker()
            job = last(client, job)
            assert (job["state"], job["kind"]) == ("succeeded", "reindex"), job
            moved = promoted(client, server.next_model)
            truth += traffic.ask_everything()
            during.uploaded.append(traffic.upload_now())
            wait_for_jobs(client)
            began = time.monotonic()
            back = client.rollback()
            rollback_s = time.monotonic() - began
            per_s = len(traffic.answers) / (time.monotonic() - opened)
        wait_for_jobs(client)
        truth += traffic.ask_everything()
        assert traffic.failures == []
        assert {true.model_id for true in truth} == {moved["previous"], server.next_model}
        assert inconsistent(traffic.answers, truth, TOLERANCE) == []
        typer.echo(
            f"{len(traffic.answers)} searches ({per_s:.0f}/s), {len(traffic.uploaded)} uploads; "
            f"promote {moved['took_ms']} ms, rollback {rollback_s * 1000:.0f} ms"
        )
        assert rollback_s <= 2
        assert back["model_id"] == moved["previous"]
        check_what_survived(client, during, traffic)
        client.promote(server.next_model)
        check_what_survived(client, during, traffic)
        client.drop_collection(moved["previous"])
        check_what_survived(client, during, traffic)
        assert sum(model["images"] is not None for model in client.models()) == 1


@pytest.mark.parametrize("server", [standalone], indirect=True, ids=["standalone"])
def test_the_scores_of_two_models_are_told_apart(server: Server) -> None:
    """What the test above believes: that it would see an answer of the wrong model."""
    with Client(server.url) as client:
        fill(client)
        traffic = Traffic(server.url)
        truth = traffic.ask_everything()
        last(client, client.reindex(server.next_model))
        client.promote(server.next_model)
        lies = [type(answer)(answer.question, server.next_model, answer.scores) for answer in truth]
        after = traffic.ask_everything()
        assert all(inconsistent([lie], after, TOLERANCE) for lie in lies)


def test_killed_in_the_middle_and_again_after_the_promotion_it_goes_on(
    tmp_path: Path, other_model: Path
) -> None:
    data_dir = tmp_path / "data"
    process = ServerProcess(data_dir, env=ENV)
    next_model = publish_folder(other_model, data_dir=data_dir).manifest.model_id
    with Client(process.address) as client:
        fill(client)
        job = client.reindex(next_model)
        while images_of(client, next_model) < 5:
            time.sleep(0.02)
        assert images_of(client, next_model) < PHOTOS, "too fast to be cut off"
        process.stop(signal.SIGKILL)
    process = ServerProcess(data_dir, env=ENV)
    with Client(process.address) as client:
        assert last(client, job)["state"] == "succeeded"
        assert images_of(client, next_model) == PHOTOS
        before = client.promote(next_model)["previous"]
        process.stop(signal.SIGKILL)
    process = ServerProcess(data_dir, env=ENV)
    with Client(process.address) as client:
        assert client.search("grey cat")["model_id"] == next_model
        assert client.rollback()["model_id"] == before
        assert client.search("grey cat")["model_id"] == before
        process.stop()


def images_of(client: Client, model_id: str) -> int:
    """In the collection of a model, so far."""
    (model,) = (model for model in client.models() if model["model_id"] == model_id)
    return model["images"] or 0


@dataclass
class Meddled:
    """What was done during the backfill."""

    deleted: list[str]
    changed: list[str]
    uploaded: list[str]


def meddle(client: Client, traffic: Traffic, ids: list[str]) -> Meddled:
    """Delete, change and upload, from the first ids to the last, so before and after their turn."""
    done = Meddled([], [], [])
    for place in range(0, len(ids) - 2, len(ids) // 6):
        client.delete_image(ids[place])
        client.change_image(ids[place + 1], {"animal_id": "meddled"})
        done.deleted.append(ids[place])
        done.changed.append(ids[place + 1])
        done.uploaded.append(traffic.upload_now())
    return done


def check_what_survived(client: Client, done: Meddled, traffic: Traffic) -> None:
    """Under the model that serves now."""
    for image_id in done.deleted:
        with pytest.raises(PetsearchError, match="no image"):
            client.image(image_id)
    for image_id in done.changed:
        assert client.image(image_id)["animal_id"] == "meddled"
    for image_id in traffic.uploaded:
        assert client.image(image_id)["image_id"] == image_id
    lost = set(done.uploaded) - set(traffic.uploaded)
    assert not lost
    expected = PHOTOS - len(done.deleted) + len(set(traffic.uploaded))
    assert client.stats()["images"] == expected


def fill(client: Client) -> list[str]:
    """Bring drawings in; their ids in order."""
    drawings = (
        Photo(drawing.filename, drawing.to_jpeg(), {"breed": drawing.kind})
        for drawing in catalogue(PHOTOS, seed=7)
    )
    job = upload(client, PhotoSource(drawings, PHOTOS), name="drawings")
    assert job["counts"]["ingested"] == PHOTOS, job
    return sorted(item["image_id"] for item in client.job_items(job["job_id"], "ingested"))


def last(client: Client, job: JsonDict) -> JsonDict:
    """The job when it has ended."""
    return list(client.watch_job(job["job_id"]))[-1]


def wait_for_jobs(client: Client) -> None:
    """Until every job has ended, and well."""
    for job in client.jobs(100):
        assert last(client, job)["state"] == "succeeded", job
