"""The services from the first start on, while the embedder has no model: what they do, and say."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from petsearch.client import Client
from petsearch.domain import JsonDict
from petsearch.sample.catalogue import MODEL_DIR
from tests import pictures
from tests.stack import Stack


def wait_until(condition: Callable[[], bool], within_s: float = 120.0) -> None:
    """Ask again until it holds."""
    latest = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.1)


def test_everything_but_searches_works_before_the_first_model_and_says_why(tmp_path: Path) -> None:
    model = tmp_path / "model"
    stack = Stack(tmp_path, workers=1, env={"PETSEARCH_MODEL": f"dir:{model}"})
    try:
        for process in (*stack.servers, stack.api, *stack.workers):
            process.start()
        for process in (stack.s3, stack.redis, stack.qdrant, stack.api):
            process.wait_until_up()
        url = stack.api_url
        wait_until(lambda: "is no open_clip model folder" in _ready(url)["checks"]["embedder"])
        assert _ready(url)["status"] == "degraded"

        search = httpx.get(f"{url}/v1/search", params={"q": "cat"})
        assert search.status_code == 503
        assert int(search.headers["retry-after"]) > 0
        assert "is no open_clip model folder" in search.json()["detail"]
        for path in (
            "images",
            "images?breed=beagle",
            "facets?by=breed",
            "stats",
            "jobs",
            "duplicates?tier=same_photo",
        ):
            answer = httpx.get(f"{url}/v1/{path}")
            assert answer.status_code == 200, (path, answer.text)
        assert httpx.get(f"{url}/v1/images").json()["items"] == []
        assert httpx.get(f"{url}/v1/stats").json()["images"] == 0
        image = "00000000-0000-0000-0000-000000000000"
        assert httpx.get(f"{url}/v1/images/{image}").status_code == 404
        assert httpx.delete(f"{url}/v1/images", params={"animal_id": "a"}).status_code == 200

        with Client(url) as client:
            upload = httpx.post(f"{url}/v1/images", files={"photos": ("a.jpg", pictures.jpeg(1))})
            assert upload.status_code == 202
            job_id = upload.json()["job_id"]
            wait_until(lambda: "open_clip model folder" in (client.job(job_id)["reason"] or ""))
            assert stack.embedder.is_alive
            assert "Traceback" not in stack.embedder.log

            # It is complete when it appears.
            shutil.copytree(MODEL_DIR, tmp_path / "copy")
            (tmp_path / "copy").rename(model)
            wait_until(lambda: client.job(job_id)["state"] == "succeeded")
            assert client.stats()["images"] == 1
            assert client.stats()["model_id"]
        assert httpx.get(f"{url}/v1/search", params={"q": "cat"}).status_code == 200
        wait_until(lambda: _ready(url)["status"] == "ok")
    finally:
        stack.end()


def _ready(url: str) -> JsonDict:
    answer = httpx.get(f"{url}/readyz")
    assert answer.status_code == 200, answer.text
    body: JsonDict = answer.json()
    return body
