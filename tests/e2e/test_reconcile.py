"""`petsearch reconcile` from outside: over the folder of a server, stopped and running."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, Prediction, image_id_of, sha256_of
from petsearch.domain.object_keys import original, staging, thumbnail
from tests import pictures
from tests.programs import petsearch, run
from tests.server import SAME_SCORES, ServerProcess

PHOTOS = [pictures.jpeg(seed) for seed in range(5)]
IDS = [image_id_of(sha256_of(data)) for data in PHOTOS]


def _reconcile(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return petsearch("reconcile", "--data-dir", data_dir, *arguments)


def _age(folder: Path, hours: float) -> None:
    then = time.time() - hours * 3600
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def _damage(data_dir: Path) -> None:
    """Lose two points, and leave an upload of a job that nobody knows."""
    index = QdrantEdgeIndex(data_dir / "index")
    collection = index.current()
    assert collection is not None
    index.delete(collection, IDS[:2])
    index.close()
    left_over = data_dir / "objects" / staging("0" * 32, 0)
    left_over.parent.mkdir(parents=True, exist_ok=True)
    left_over.write_bytes(b"x")
    _age(data_dir / "objects", hours=24 * 8)


def test_lost_points_come_back_with_the_next_serve(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        photos = [Photo(f"{n}.jpg", data, {}) for n, data in enumerate(PHOTOS)]
        upload(client, PhotoSource(iter(photos), len(photos)), name="test")
    running = _reconcile(data_dir)
    assert running.returncode == 1
    assert "is in use by process" in running.stderr
    server.stop()
    _damage(data_dir)

    looked = _reconcile(data_dir)
    assert looked.returncode == 3, looked.stderr
    assert "2 originals that are not indexed" in looked.stdout
    assert "--fix" in looked.stdout
    fixed = _reconcile(data_dir, "--fix", "--json")
    assert fixed.returncode == 0, fixed.stderr
    report: JsonDict = json.loads(fixed.stdout)
    assert {name: count for name, count in report["counts"].items() if count} == {
        "missing_point": 2,
        "stale_staging": 1,
    }
    assert (report["images"], report["fixed"]) == (5, 3)

    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        job = _wait_for(client, report["job_id"])
        assert job["counts"]["ingested"] == 2, job
        assert client.stats()["images"] == 5
        assert client.image(IDS[0])["image_id"] == IDS[0]
    server.stop()
    again = _reconcile(data_dir)
    assert again.returncode == 0, again.stdout
    assert "Nothing is wrong" in again.stdout
    assert (data_dir / "objects" / original(IDS[0])).read_bytes() == PHOTOS[0]
    (data_dir / "objects" / thumbnail(IDS[0])).unlink()
    lately = _reconcile(data_dir, "--fix")
    assert "1 look damaged" in lately.stdout
    assert "Nothing is wrong" not in lately.stdout


def _wait_for(client: Client, job_id: str) -> JsonDict:
    ends_at = time.monotonic() + 60
    while not (job := client.job(job_id))["finished_at"]:
        assert time.monotonic() < ends_at, job
        time.sleep(0.05)
    return job


def test_no_data_folder_is_said_and_none_is_made(tmp_path: Path) -> None:
    done = _reconcile(tmp_path / "nowhere")
    assert done.returncode == 1
    assert "is not a data folder of petsearch" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_without_addresses_it_says_what_to_give() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PETSEARCH_")}
    command = [sys.executable, "-m", "petsearch", "reconcile"]
    done = run(command, timeout_s=60, env=env)
    assert done.returncode == 1
    assert "--data-dir" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_predictions_of_an_earlier_version_are_made_again_with_the_next_serve(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    server = ServerProcess(data_dir, env=SAME_SCORES)
    with Client(server.address) as client:
        photos = [Photo(f"{n}.jpg", data, {}) for n, data in enumerate(PHOTOS)]
        upload(client, PhotoSource(iter(photos), len(photos)), name="test")
        predicted = {image_id: client.image(image_id) for image_id in IDS}
    server.stop()
    index = QdrantEdgeIndex(data_dir / "index")
    collection = index.current()
    assert collection is not None
    records = index.get(collection, IDS).values()
    old = Prediction("siamese", "cat", 0.1)  # as it was stored: without who made it
    index.replace_records(collection, [replace(record, prediction=old) for record in records])
    index.close()

    queued = json.loads(_reconcile(data_dir, "--predictions", "--json").stdout)
    assert queued["queued"] == len(IDS)
    assert _reconcile(data_dir, "--predictions", "--pixels").returncode == 2
    server = ServerProcess(data_dir, env=SAME_SCORES)
    with Client(server.address) as client:
        job = _wait_for(client, queued["job_id"])
        assert job["counts"]["ingested"] == len(IDS)
        assert {image_id: client.image(image_id) for image_id in IDS} == predicted
    server.stop()
