"""The standalone server on a disk that others fill: a small tmpfs."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from petsearch.client import Client, PhotoSource, upload
from petsearch.domain import JsonDict
from tests import pictures
from tests.e2e.test_standalone import photos, redis_pid, wait_for, wait_until
from tests.programs import petsearch
from tests.server import ServerProcess


@contextmanager
def _mounted(disk: Path, size: str) -> Iterator[Path]:
    disk.mkdir()
    mounted = os.geteuid() == 0 and (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)],
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("no small disk: mounting a tmpfs needs root and the right to mount")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 600 MB."""
    with _mounted(tmp_path / "disk", "600m") as disk:
        yield disk


def test_a_full_disk_is_said_and_nothing_is_lost(small_disk: Path) -> None:
    data_dir = small_disk / "data"
    server = ServerProcess(data_dir)
    assert server.address, server.log
    redis = redis_pid(data_dir)

    def send() -> httpx.Response:
        files = [("photos", ("large.jpg", pictures.jpeg(9, 900, 900)))]
        return httpx.post(server.address + "/v1/images", files=files, timeout=30)

    with Client(server.address) as client:
        upload(client, PhotoSource(iter(photos(5)), 5), name="test")
        ballast = small_disk / "ballast"
        _fill(ballast)
        for _ in range(3):
            answer = send()
            assert answer.status_code == 507, answer.text
            assert "full" in answer.json()["detail"]
        assert len(client.search("cat", limit=10)["items"]) == 5
        ballast.unlink()
        wait_until(lambda: send().is_success)
        assert redis_pid(data_dir) == redis
        job = upload(client, PhotoSource(iter(photos(6)), 6), name="test")
        assert job["counts"] == {"ingested": 1, "duplicate": 5, "refused": 0, "failed": 0}
    assert server.stop() == 0


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):  # to the last block
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def _readyz(server: ServerProcess) -> tuple[int, JsonDict]:
    answer = httpx.get(server.address + "/readyz", timeout=30)
    return answer.status_code, answer.json()


def _is_degraded(server: ServerProcess) -> bool:
    status, health = _readyz(server)
    wrong = {name for name, said in health["checks"].items() if said != "ok"}
    # Redis may still have found room for what it writes at its start.
    return (status, health["status"]) == (200, "degraded") and wrong - {"redis"} == {"disk"}


def _post(server: ServerProcess, seed: int) -> httpx.Response:
    files = [("photos", ("cat.jpg", pictures.jpeg(seed)))]
    return httpx.post(server.address + "/v1/images", files=files, timeout=60)


def test_a_full_folder_with_its_reserve_starts_and_deletes(small_disk: Path) -> None:
    data_dir, ballast = small_disk / "data", small_disk / "ballast"
    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        upload(client, PhotoSource(iter(photos(4)), 4), name="test")
    assert server.stop() == 0
    assert (data_dir / "reserve").stat().st_size >= 48_000_000
    with _mounted(small_disk / "tiny", "8k") as tiny:
        backup = petsearch("backup", "--data-dir", str(data_dir), "--out", str(tiny / "backup"))
    assert backup.returncode == 1
    assert "Error: The backup is not whole: there is no room in " in backup.stderr
    _fill(ballast)

    server = ServerProcess(data_dir)
    assert server.address, server.log
    wait_until(lambda: _is_degraded(server))
    with Client(server.address) as client:
        hits = client.search("cat", limit=10)["items"]
        assert len(hits) == 4
        deleted = f"{server.address}/v1/images/{hits[0]['image_id']}"
        assert httpx.delete(deleted, timeout=60).status_code == 204
        assert httpx.get(deleted, timeout=60).status_code == 404
        refused = _post(server, 77)
        assert refused.status_code == 507
        assert "free " in refused.json()["detail"]
        assert " MB" in refused.json()["detail"]
        assert len(client.search("cat", limit=10)["items"]) == 3

        ballast.unlink()
        wait_until(lambda: _readyz(server)[1]["status"] == "ok")
        assert wait_for(client, _post(server, 77).json()["job_id"])["counts"]["ingested"] == 1
        wait_until((data_dir / "reserve").exists)
        assert (data_dir / "reserve").stat().st_blocks * 512 >= 48_000_000
    assert server.stop() == 0


def test_a_full_folder_without_a_reserve_starts_read_only(small_disk: Path) -> None:
    """As one of the version before, killed while work waited."""
    data_dir, ballast = small_disk / "data", small_disk / "ballast"
    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        upload(client, PhotoSource(iter(photos(4)), 4), name="test")
        waiting = [_post(server, seed).json()["job_id"] for seed in range(80, 90)]
    server.stop(signal.SIGKILL)
    (data_dir / "reserve").unlink()
    _fill(ballast)

    server = ServerProcess(data_dir)
    assert server.address, server.log
    wait_until(lambda: _is_degraded(server))
    with Client(server.address) as client:
        hits = client.search("cat", limit=20)["items"]
        assert len(hits) >= 4
        kept = f"{server.address}/v1/images/{hits[0]['image_id']}"
        assert _post(server, 99).status_code == 507
        # Done or not done: nothing of it is gone.
        assert httpx.delete(kept, timeout=60).status_code in (204, 507)
        assert (
            len({httpx.get(kept + part, timeout=60).status_code for part in ("", "/display")}) == 1
        )

        ballast.unlink()
        wait_until(lambda: _readyz(server)[1]["status"] == "ok")
        for job_id in waiting:
            assert wait_for(client, job_id)["state"] == "succeeded"
        wait_until((data_dir / "reserve").exists)
        for hit in client.search("cat", limit=1)["items"]:
            gone = httpx.delete(f"{server.address}/v1/images/{hit['image_id']}", timeout=60)
            assert gone.status_code == 204
    assert server.stop() == 0
