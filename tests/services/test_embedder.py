"""The embedder service over HTTP: what people get, two models, metrics, and hostile requests."""

import os
import random
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from petsearch.adapters.clip.model import load_model
from petsearch.domain.errors import DeviceLost
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.sample.catalogue import MODEL_DIR
from services.embedder.metrics import EmbedderMetrics
from tests import pictures
from tests.contract.tiny_clip import TinyClip, pixels
from tests.embedder_server import served

HOSTILE_REQUESTS = int(os.environ.get("PETSEARCH_TEST_HOSTILE_REQUESTS", "1000"))
BINARY = "application/octet-stream"


@pytest.fixture
def clip() -> TinyClip:
    return TinyClip()


@pytest.fixture
def http(clip: TinyClip) -> Iterator[httpx.Client]:
    """Plain HTTP to the service over a tiny CLIP."""
    metrics = EmbedderMetrics()
    embedder = BatchingEmbedder(clip, BatchingOptions(max_queued_rows=64), observer=metrics)
    with (
        served(embedder, metrics) as url,
        httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=64)) as opened,
    ):
        yield opened
        clip.gate.set()
    embedder.close()


@pytest.fixture
def two_models() -> Iterator[httpx.Client]:
    """The service over the bundled model, able to load another."""
    embedder = BatchingEmbedder(load_model("sample"), BatchingOptions(), load=load_model)
    with served(embedder) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened
    embedder.close()


def metric(http: httpx.Client, line: str) -> float:
    """The value of a line of /metrics that starts with `line`."""
    found = [entry for entry in http.get("/metrics").text.splitlines() if entry.startswith(line)]
    assert len(found) == 1, found
    return float(found[0].rpartition(" ")[2])


def test_people_get_json(http: httpx.Client, clip: TinyClip) -> None:
    answer = http.post("/v1/embed/texts", json={"texts": ["four"]}).raise_for_status().json()
    assert answer["model_id"] == clip.info.model_id
    assert np.allclose(answer["embeddings"], [clip.answer(4)])


def test_a_broken_image_is_named_and_the_others_are_served(http: httpx.Client) -> None:
    files = [
        ("images", ("good.jpg", pictures.jpeg(1), "image/jpeg")),
        ("images", ("page.jpg", pictures.HTML, "image/jpeg")),
        ("images", ("also.jpg", pictures.jpeg(2), "image/jpeg")),
    ]
    answer = http.post("/v1/embed/images", files=files).raise_for_status().json()
    assert [row is None for row in answer["embeddings"]] == [False, True, False]
    (failed,) = answer["failed"]
    assert (failed["position"], failed["filename"]) == (1, "page.jpg")
    assert "not a picture" in failed["detail"]


@pytest.mark.parametrize(
    "shape",
    [
        *("", "1,3", "1,3,4,x", "-1,3,4,4", "9999999,3,4,4", "1,1,1,1,48", "1,3,8,2"),
        *("0,999999999,999999999,999999999", "0" * 5000, "0" + ",0" * 99, "0," + "9" * 30),
    ],
    ids=lambda shape: shape[:20],
)
def test_a_shape_that_does_not_fit_is_refused(http: httpx.Client, shape: str) -> None:
    headers = {"X-Shape": shape, "Content-Type": BINARY}
    content = b"" if shape.startswith("0") else pixels(1).tobytes()
    answer = http.post("/v1/embed/pixels", content=content, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_it_is_ready(http: httpx.Client) -> None:
    assert http.get("/livez").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ok"}


def test_a_lost_device_turns_readiness_off_and_answers(http: httpx.Client, clip: TinyClip) -> None:
    clip.failure = DeviceLost("The device fell off the bus.")
    assert http.post("/v1/embed/texts", json={"texts": ["cat"]}).status_code == 503
    ready = http.get("/readyz")
    assert ready.status_code == 503
    assert "fell off the bus" in ready.json()["detail"]
    # Only a new process can use it again: whoever starts one asks here.
    assert http.get("/livez").status_code == 503


def test_who_leaves_frees_the_queue(http: httpx.Client, clip: TinyClip) -> None:
    clip.gate.clear()
    address = urlsplit(str(http.base_url))
    body = pixels(*range(50)).tobytes()
    head = (
        "POST /v1/embed/pixels HTTP/1.1\r\nHost: x\r\nX-Shape: 50,3,4,4\r\n"
        f"Content-Type: {BINARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(http.post, "/v1/embed/texts", json={"texts": ["held"]})
        assert clip.entered.wait(30)
        with socket.create_connection((address.hostname or "", address.port or 0)) as leaving:
            leaving.sendall(head.encode() + body)
            _until(lambda: metric(http, "petsearch_embedder_queue_rows") == 50)
        # The device is still busy with the first one.
        _until(lambda: metric(http, "petsearch_embedder_queue_rows") == 0)
        clip.gate.set()
        assert held.result(30).status_code == 200
    assert http.post("/v1/embed/texts", json={"texts": ["next"]}).status_code == 200
    assert ("pixels", 50) not in clip.calls


def test_metrics_tell_what_the_device_does(http: httpx.Client, clip: TinyClip) -> None:
    assert _post_pixels(http, 5, "5,3,4,4") == 200
    clip.gate.clear()
    clip.entered.clear()
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(_post_pixels, http, 1, "1,3,4,4")
        assert clip.entered.wait(30)
        queued = pool.submit(_post_pixels, http, 40, "40,3,4,4")
        _until(lambda: metric(http, "petsearch_embedder_queue_rows") == 40)
        assert _post_pixels(http, 40, "40,3,4,4") == 429
        clip.gate.set()
        assert (held.result(30), queued.result(30)) == (200, 200)
    _until(lambda: metric(http, 'petsearch_embedder_batch_rows_sum{kind="pixels"}') == 46)
    assert metric(http, 'petsearch_embedder_stage_seconds_count{kind="pixels",stage="wait"}') == 3
    assert metric(http, "petsearch_embedder_overloaded_total") == 1
    assert metric(http, 'petsearch_embedder_text_positions_total{which="computed"}') == 4
    assert metric(http, "petsearch_embedder_models") == 1


def test_a_second_model_serves_beside_the_first(two_models: httpx.Client, tmp_path: Path) -> None:
    first = two_models.get("/v1/models").json()["models"][0]["model_id"]
    shutil.copytree(MODEL_DIR, tmp_path / "next")
    added = two_models.post("/v1/models", json={"spec": f"dir:{tmp_path / 'next'}"})
    assert added.status_code == 201, added.text
    second = added.json()["model_id"]
    listed = two_models.get("/v1/models").json()["models"]
    assert [model["model_id"] for model in listed] == [first, second]
    for model_id in (first, second):
        body = {"texts": ["cat"], "model_id": model_id}
        assert two_models.post("/v1/embed/texts", json=body).json()["model_id"] == model_id

    third = two_models.post("/v1/models", json={"spec": "hub:ViT-B-32/laion2b_s34b_b79k"})
    assert third.status_code == 409
    assert first in third.json()["detail"]

    assert two_models.delete(f"/v1/models/{first}").status_code == 204
    gone = two_models.post("/v1/embed/texts", json={"texts": ["cat"], "model_id": first})
    assert gone.status_code == 409
    assert second in gone.json()["detail"]
    assert two_models.post("/v1/embed/texts", json={"texts": ["cat"]}).json()["model_id"] == second
    assert two_models.delete(f"/v1/models/{second}").status_code == 409


def test_a_model_that_does_not_load_leaves_the_old_one_serving(two_models: httpx.Client) -> None:
    answer = two_models.post("/v1/models", json={"spec": "dir:/nowhere"})
    assert answer.status_code == 422
    assert "open_clip_config.json is missing" in answer.json()["detail"]
    assert two_models.post("/v1/embed/texts", json={"texts": ["cat"]}).status_code == 200


def test_hostile_requests_are_all_answered_and_none_breaks_it(
    http: httpx.Client, clip: TinyClip
) -> None:
    rng = random.Random(0)
    kinds = [rng.choice(list(_HOSTILE)) for _ in range(HOSTILE_REQUESTS)]
    with ThreadPoolExecutor(24) as pool:
        statuses = Counter(pool.map(lambda kind: _HOSTILE[kind](http), kinds))
    # 0: we left before the answer.
    assert set(statuses) <= {0, 200, 409, 413, 422, 429}, statuses
    assert statuses[200] > 0
    assert statuses[422] > 0
    _until(lambda: metric(http, "petsearch_embedder_queue_rows") == 0)
    found = http.post("/v1/embed/texts", json={"texts": ["four"]}).json()["embeddings"]
    assert np.allclose(found, [clip.answer(4)])


# --- hostile requests: each returns the status, or 0 where we left --------------------------


def _post_pixels(http: httpx.Client, rows: int, shape: str) -> int:
    headers = {"X-Shape": shape, "Content-Type": BINARY}
    content = pixels(*[n % 256 for n in range(rows)]).tobytes()
    return http.post("/v1/embed/pixels", content=content, headers=headers).status_code


def _leave(http: httpx.Client) -> int:
    address = urlsplit(str(http.base_url))
    body = pixels(1, 2, 3).tobytes()
    head = (
        "POST /v1/embed/pixels HTTP/1.1\r\nHost: x\r\nX-Shape: 3,3,4,4\r\n"
        f"Content-Type: {BINARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0)) as leaving:
        leaving.sendall(head.encode() + body[: random.randint(0, len(body))])
    return 0


def _post_images(http: httpx.Client) -> int:
    files = [
        ("images", ("a.jpg", pictures.jpeg(1), "image/jpeg")),
        ("images", ("b.jpg", pictures.jpeg(2)[:300], "image/jpeg")),
    ]
    return http.post("/v1/embed/images", files=files).status_code


def _declare_too_much(http: httpx.Client) -> int:
    address = urlsplit(str(http.base_url))
    head = (
        "POST /v1/embed/pixels HTTP/1.1\r\nHost: x\r\nX-Shape: 3,3,4,4\r\n"
        f"Content-Type: {BINARY}\r\nContent-Length: 99999999999\r\n\r\n"
    )
    with socket.create_connection((address.hostname or "", address.port or 0)) as sending:
        sending.sendall(head.encode())
        return int(sending.recv(64).split()[1])


_HOSTILE = {
    "good pixels": lambda http: _post_pixels(http, 3, "3,3,4,4"),
    "good text": lambda http: (
        http.post("/v1/embed/texts", json={"texts": ["x" * random.randint(0, 50)]}).status_code
    ),
    "wrong shape": lambda http: _post_pixels(http, 3, "2,3,4,4"),
    "too many rows": lambda http: _post_pixels(http, 65, "65,3,4,4"),
    "no json": lambda http: http.post("/v1/embed/texts", content=b"{").status_code,
    "no texts": lambda http: http.post("/v1/embed/texts", json={"texts": []}).status_code,
    "another model": lambda http: (
        http.post("/v1/embed/texts", json={"texts": ["a"], "model_id": "other"}).status_code
    ),
    "images, one broken": _post_images,
    "leaves": _leave,
    "oversize": _declare_too_much,
}


def _until(holds: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(600):
        if holds():
            return
        pause.wait(0.02)
    raise AssertionError("it does not come to hold")
