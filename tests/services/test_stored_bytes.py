"""Bytes in parts, from a disk and from S3: the same answers."""

import os
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
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Two objects."""
    if request.param == "disk":
        store: ObjectStore = FilesystemStore(tmp_path)
    else:
        store = request.getfixturevalue("s3_store")
    store.put("small", SMALL)
    store.put("large", LARGE)
    return store


@pytest.fixture
def url(store: ObjectStore) -> Iterator[str]:
    """The store over HTTP."""
    app = FastAPI()

    @app.head("/{key}", response_class=Response)
    @app.get("/{key}", response_class=Response)
    def get(key: str, request: Request) -> Response:
        found = store.stat(key)
        file = ImageFile(
            key,
            found.size_bytes,
            found.modified_at,
            lambda offset: store.open(key, offset=offset),
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


@pytest.mark.parametrize("words", ["", "bytes=0-9", "bytes=99999999-"])
def test_head_names_the_size_whatever_the_range(url: str, words: str) -> None:
    head = httpx.head(f"{url}/large", headers={"Range": words})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(LARGE))
    assert "content-range" not in head.headers


def test_what_is_stored_anew_is_sent_anew(store: ObjectStore, url: str) -> None:
    etag = httpx.get(f"{url}/small").headers["etag"]
    store.put("small", LARGE[:2000])
    for condition in ({"If-None-Match": etag}, {"If-Range": etag, "Range": "bytes=1000-"}):
        for method, body in (("GET", LARGE[:2000]), ("HEAD", b"")):
            again = httpx.request(method, f"{url}/small", headers=condition)
            assert (again.status_code, again.content) == (200, body)
            assert again.headers["etag"] != etag


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_another_picture_of_the_same_size_has_another_tag(
    url: str, tmp_path: Path, store: ObjectStore
) -> None:
    etag = httpx.get(f"{url}/small").headers["etag"]
    assert httpx.get(f"{url}/small").headers["etag"] == etag
    store.put("small", SMALL[::-1])
    os.utime(tmp_path / "small", (1_800_000_000, 1_800_000_000))
    again = httpx.get(f"{url}/small", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (200, SMALL[::-1])
