"""`petsearch backup` and `restore` from outside: a server restored elsewhere answers the same."""

import json
from pathlib import Path

import httpx
import numpy as np

from petsearch.app.services import open_storage
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict
from petsearch.domain.object_keys import original
from petsearch.sample.catalogue import catalogue
from petsearch.settings import Settings
from tests.contract.records import DIM, point, record
from tests.programs import petsearch
from tests.server import SAME_SCORES, ServerProcess

QUERIES = (
    *("a cat", "a dog", "a black cat", "a white dog", "striped", "spotted", "long ears"),
    *("a ginger cat", "a brown dog", "grey"),
)
COUNT = 30


def told(address: str, secret: str) -> JsonDict:
    """What somebody with the key is told: rankings with scores, the jobs, a picture."""
    with Client(address, api_key=secret) as client:
        by_words = [client.search(query, limit=5)["items"] for query in QUERIES]
        asked = sorted(hit["image_id"] for hit in client.search("a pet", limit=COUNT)["items"])
        by_image = [client.similar(image_id, limit=5)["items"] for image_id in asked[:10]]
        picture = by_image[0][0]["urls"]["thumbnail"]
        headers = {"Authorization": f"Bearer {secret}"}
        return {
            "by words": [[hit["score"] for hit in hits] for hits in by_words],
            "ids": [[hit["image_id"] for hit in hits] for hits in by_image],
            "scores": [[hit["score"] for hit in hits] for hits in by_image],
            "jobs": client.jobs(),
            "stats": client.stats(),
            "picture": httpx.get(f"{address}{picture}", headers=headers).content,
        }


def test_a_server_restored_elsewhere_answers_the_same(tmp_path: Path) -> None:
    home, copy, place = tmp_path / "home", tmp_path / "copy", tmp_path / "backup"
    home.mkdir()
    made = petsearch("keys", "create", "--name", "me", "--scope", "admin", "--data-dir", home)
    secret = made.stdout.strip()
    server = ServerProcess(home, env=SAME_SCORES)
    drawings = (Photo(d.filename, d.to_jpeg(), {"breed": d.kind}) for d in catalogue(COUNT, 3))
    with Client(server.address, api_key=secret) as client:
        job = upload(client, PhotoSource(drawings, COUNT), name="drawings")
    assert job["counts"]["ingested"] == COUNT
    before = told(server.address, secret)
    assert "in use" in petsearch("backup", "--out", place, "--data-dir", home).stderr
    server.stop()

    assert not place.exists()
    backed_up = petsearch("backup", "--out", place, "--objects", "--data-dir", home)
    assert backed_up.returncode == 0, backed_up.stderr
    assert f"{COUNT} photos" in backed_up.stderr
    restored = petsearch("restore", place, "--data-dir", copy)
    assert restored.returncode == 0, restored.stderr
    assert "sample-" in restored.stderr  # the model to serve

    server = ServerProcess(copy, env=SAME_SCORES)
    try:
        after = told(server.address, secret)
        for name in ("by words", "scores"):
            np.testing.assert_allclose(after.pop(name), before.pop(name), atol=1e-5)
        assert after == before
        assert httpx.get(f"{server.address}/v1/stats").status_code == 401
    finally:
        server.stop()


def test_a_restore_without_the_photos_says_so_and_does_not_succeed(tmp_path: Path) -> None:
    home, copy, place = tmp_path / "home", tmp_path / "copy", tmp_path / "backup"
    settings = Settings(
        index_url=f"edge:{home / 'index'}",
        store_url=f"file:{home / 'objects'}",
        redis_url=f"local:{home / 'redis'}",
    )
    with open_storage(settings) as storage:
        storage.index.create_collection("pets-model-0", DIM)
        storage.index.point_alias_to("pets-model-0")
        storage.index.insert("pets-model-0", [point(0)])
        storage.store.put(original(record(0).image_id), b"a photo")
    assert petsearch("backup", "--out", place, "--data-dir", home).returncode == 0
    restored = petsearch("restore", place, "--data-dir", copy)
    assert restored.returncode == 3, restored.stderr
    assert "1 of 1 objects are missing" in restored.stderr
    assert "do not run `petsearch reconcile --fix`" in restored.stderr
    assert "Everything is restored" not in restored.stderr
    again = petsearch("restore", place, "--data-dir", copy, "--into-existing", "--json")
    assert again.returncode == 3, again.stderr
    assert json.loads(again.stdout)["objects_missing"] == 1
    put_back = copy / "objects" / original(record(0).image_id)
    put_back.parent.mkdir(parents=True)
    put_back.write_bytes(b"a photo")
    assert petsearch("restore", place, "--data-dir", copy, "--into-existing").returncode == 0


def test_what_is_no_backup_is_refused_and_not_made(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    refused = petsearch("restore", absent, "--data-dir", tmp_path / "data")
    assert refused.returncode == 1
    assert "manifest.json" in refused.stderr
    assert not absent.exists()
    assert not (tmp_path / "data").exists()
