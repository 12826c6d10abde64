"""The standalone server as an operator meets it: killed, stopped, started again, misconfigured."""

import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JobState, JsonDict
from petsearch.domain.errors import ConfigurationError
from petsearch.sample.catalogue import MODEL_DIR
from petsearch.standalone import locked
from tests import pictures
from tests.processes import has_ended
from tests.server import ServerProcess


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "a folder with a long name " / ("x" * 80)


def photos(count: int, first_seed: int = 5000) -> list[Photo]:
    return [Photo(f"{n}.jpg", pictures.jpeg(first_seed + n)) for n in range(count)]


def wait_for(client: Client, job_id: str) -> JsonDict:
    pause = threading.Event()
    for _ in range(1200):
        job = client.job(job_id)
        if JobState(job["state"]).is_final:
            return job
        pause.wait(0.05)
    raise AssertionError(f"the job does not end: {job}")


def wait_until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if holds():
            return
        pause.wait(0.05)
    raise AssertionError("it does not come to hold")


def is_alive(pid: int) -> bool:
    return not has_ended(pid)


def redis_pid(data_dir: Path) -> int:
    return int((data_dir / "redis" / "redis.pid").read_text())


def found(client: Client) -> set[tuple[str, str, str]]:
    """What a search shows, without scores: each start measures anew which precision is faster."""
    items = client.search("cat", limit=50)["items"]
    return {(item["image_id"], item["filename"], item["created_at"]) for item in items}


def stopped_by(server: ServerProcess, number: signal.Signals) -> None:
    """All of it has ended, and said nothing bad."""
    pid = redis_pid(server.data_dir)
    assert is_alive(pid)
    assert server.stop(number) == 0
    assert not is_alive(pid)
    assert "Traceback" not in server.log


def test_a_signal_stops_all_of_it_and_a_second_start_finds_everything(data_dir: Path) -> None:
    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        upload(client, PhotoSource(iter(photos(5)), 5), name="test")
        before = found(client)
    stopped_by(server, signal.SIGINT)
    again = ServerProcess(data_dir)
    with Client(again.address) as client:
        assert found(client) == before
        assert len(client.jobs()) == 1
    stopped_by(again, signal.SIGTERM)


def test_nothing_is_lost_when_the_process_is_killed_while_it_ingests(data_dir: Path) -> None:
    server = ServerProcess(data_dir)
    everything = photos(192)
    with Client(server.address) as client:
        job_id = client.open_job("test", expected=192)["job_id"]
        for start in range(0, 192, 64):
            client.add_photos(job_id, everything[start : start + 64])
        client.seal_job(job_id)
        pause = threading.Event()
        while client.job(job_id)["done"] == 0:
            pause.wait(0.01)
        survivor = redis_pid(data_dir)
        server.stop(signal.SIGKILL)
    assert is_alive(survivor)

    again = ServerProcess(data_dir)
    assert again.address, again.log
    assert not is_alive(survivor)
    with Client(again.address) as client:
        job = wait_for(client, job_id)
        items = list(client.job_items(job_id))
        assert job["counts"] == {"ingested": 192, "duplicate": 0, "refused": 0, "failed": 0}
        assert client.stats()["images"] == 192
        assert sorted(item["item_no"] for item in items) == list(range(192))
        for copy in ("display", "thumbnail"):
            path = f"/v1/images/{items[0]['image_id']}/{copy}"
            assert httpx.get(again.address + path).status_code == 200
    again.stop()
    assert len([p for p in (data_dir / "objects/originals").rglob("*") if p.is_file()]) == 192
    assert not [p for p in (data_dir / "objects/staging").rglob("*") if p.is_file()]


def test_a_killed_redis_is_started_again_and_the_job_goes_on(data_dir: Path) -> None:
    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        job_id = client.open_job("test", expected=120)["job_id"]
        for start in range(0, 120, 40):
            client.add_photos(job_id, photos(40, 7000 + start))
        before = redis_pid(data_dir)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: redis_pid(data_dir) != before)
        wait_until(lambda: httpx.get(server.address + "/readyz").status_code == 200)
        client.seal_job(job_id)
        counts = wait_for(client, job_id)["counts"]
        assert counts == {"ingested": 120, "duplicate": 0, "refused": 0, "failed": 0}
    assert server.stop() == 0
    assert "redis-server exited; restarting" in server.log


def test_a_folder_in_use_is_refused_by_name_of_the_process(server: ServerProcess) -> None:
    second = ServerProcess(server.data_dir)
    assert second.stop() == 1
    assert f"in use by process {server.process.pid}" in second.log
    assert "Traceback" not in second.log


def test_a_port_in_use_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = ServerProcess(tmp_path, "--port", str(port))
        assert server.stop() == 1
    assert f"Port {port} is in use" in server.log
    assert "--port" in server.log


def test_data_of_another_model_goes_on_being_served(data_dir: Path, tmp_path: Path) -> None:
    copied = tmp_path / "another-model"
    shutil.copytree(MODEL_DIR, copied)
    server = ServerProcess(data_dir, model=f"dir:{copied}")
    with Client(server.address) as client:
        upload(client, PhotoSource(iter(photos(3)), 3), name="test")
        before, model_id = found(client), client.search("cat")["model_id"]
    server.stop()
    again = ServerProcess(data_dir, model="sample")
    with Client(again.address) as client:
        assert client.search("cat")["model_id"] == model_id
        assert found(client) == before
    again.stop()
    assert "another model, which goes on serving" in again.log

    shutil.rmtree(copied)
    gone = ServerProcess(data_dir, model="sample")
    assert gone.stop() == 1
    assert "no open_clip model folder" in gone.log


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "PETSEARCH_MODEL is not set"),
        ("clip", "hub:<arch>/<tag>"),
        ("dir:/nowhere", "open_clip_config.json is missing"),
    ],
)
def test_a_model_that_cannot_be_had_is_a_clear_error(
    tmp_path: Path, model: str, words: str
) -> None:
    server = ServerProcess(tmp_path, model=model)
    assert server.stop() == 1
    assert not server.address
    assert "Traceback" not in server.log
    assert words in server.log


def test_prometheus_may_read_what_api_and_worker_do(http: httpx.Client) -> None:
    http.get("/v1/stats")
    told = http.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = dict(line.rsplit(" ", 1) for line in told.text.splitlines() if line[0] != "#")
    assert float(lines['petsearch_ingest_items_total{kind="ingest",status="ingested"}']) >= 40
    assert float(lines['petsearch_ingest_stage_seconds_count{stage="embed"}']) > 0
    assert 'petsearch_queue_messages{queue="ingest.bulk"}' in lines
    stats = 'petsearch_http_requests_total{method="GET",route="/v1/stats",status="200"}'
    assert float(lines[stats]) >= 1
    assert "/metrics" not in http.get("/openapi.json").json()["paths"]


def test_an_ipv6_address_may_be_written_as_in_a_url(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--host", "[::1]")
    if not has_ipv6():
        assert server.stop() == 1
        assert "Cannot bind to ::1" in server.log
        return
    assert server.address.startswith("http://[::1]:"), server.log
    assert httpx.get(server.address + "/livez", timeout=30).status_code == 200
    assert server.stop() == 0


def has_ipv6() -> bool:
    """Whether this machine has such an address; containers mostly have none."""
    with suppress(OSError), socket.socket(socket.AF_INET6) as one:
        one.bind(("::1", 0))
        return True
    return False


def test_a_folder_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert (tmp_path / "version").read_text() == "1\n"
    with locked(tmp_path):
        pass
    (tmp_path / "version").write_text("2\n")
    with pytest.raises(ConfigurationError, match="version 2"), locked(tmp_path):
        pass
