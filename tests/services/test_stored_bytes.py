"""Bytes in parts, from a disk and from S3: the same answers."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from petsearch.adapters.objects import FilesystemStore, minio
from petsearch.catalogue import ImageFile
from petsearch.ports import ObjectStore
from services.api.stored_bytes import stored_bytes
from services.http.problems import add_problem_handlers
from tests.app_server import served_app

SMALL, LARGE = bytes(range(256)) * 4, bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def s3_store(s3_url: str) -> ObjectStore:
    keys = {"access_key": "testing", "secret_key": "testing-secret"}
    return minio.open_bucket(f"{s3_url}/parts", **keys)


@pytest.fixture(params=["disk", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Two objects of a store, over HTTP."""
    store: ObjectStore
    if request.param == "disk":
        store = FilesystemStore(tmp_path)
    else:
        store = request.getfixturevalue("s3_store")
    store.put("small", SMALL)
    store.put("large", LARGE)
    app = FastAPI()

    @app.head("/{key}", response_class=Response)
    @app.get("/{key}", response_class=Response)
    def get(key: str, request: Request) -> Response:
        file = ImageFile(
            key, store.stat(key).size_bytes, lambda offset: store.open(key, offset=offset)
        )
        return stored_bytes(file, request, {}, "image/jpeg")

    add_problem_handlers(app)
    with served_app(app) as address:
        yield address


@pytest.mark.parametrize(("key", "data"), [("small", SMALL), ("large", LARGE)])
def test_all_bytes_and_parts_of_them(url: str, key: str, data: bytes) -> None:
    whole = httpx.get(f"{url}/{key}")
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-length"] == str(len(data))
    for words, part in {
        "bytes=0-0": data[:1],
        "bytes=100-299": data[100:300],
        "bytes=1000-": data[1000:],
        "bytes=-300": data[-300:],
    }.items():
        answer = httpx.get(f"{url}/{key}", headers={"Range": words})
        assert (answer.status_code, answer.content) == (206, part), words
        assert answer.headers["content-length"] == str(len(part))


def test_what_the_client_has_is_not_sent_again(url: str) -> None:
    etag = httpx.get(f"{url}/small").headers["etag"]
    again = httpx.get(f"{url}/small", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_a_range_beyond_the_end_and_an_absent_object_are_problems(url: str) -> None:
    beyond = httpx.get(f"{url}/small", headers={"Range": "bytes=1024-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */1024")
    assert httpx.get(f"{url}/absent").status_code == 404


def test_head_names_the_size_and_sends_nothing(url: str) -> None:
    head = httpx.head(f"{url}/large", headers={"Range": "bytes=0-9"})
    assert (head.status_code, head.headers["content-length"], head.content) == (206, "10", b"")
