"""What proxies and caches count on: HEAD, Allow, conditions with changed tags, coded bodies."""

import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from services.http.content_coding import Gzip
from tests import pictures

SUFFIXES = ["-gzip", "-br", "-zstd", "-deflate", ";gzip", "--gzip", "-GZIP"]


@pytest.fixture(scope="module")
def image_id(server_url: str) -> str:
    data = pictures.jpeg(94_001)
    with Client(server_url) as client:
        upload(client, PhotoSource(iter([Photo("proxied.jpg", data)]), 1), name="proxies")
    return image_id_of(sha256_of(data))


@pytest.fixture(scope="module")
def paths(server_url: str, image_id: str) -> list[tuple[str, list[str]]]:
    """Every path in the document with an example of its parameters, and its methods."""
    document: JsonDict = httpx.get(f"{server_url}/openapi.json").json()
    job_id = httpx.get(f"{server_url}/v1/jobs").json()["items"][0]["job_id"]
    photo = {"photo": ("a.jpg", pictures.jpeg(94_002))}
    share_id = httpx.post(f"{server_url}/v1/shared-searches", files=photo).json()["share_id"]
    names = {"image_id": image_id, "job_id": job_id, "model_id": "m", "key_id": "k"}
    names["share_id"] = share_id
    required = {
        "/v1/search": "?q=cat",
        "/search": "?prompt=cat",
        "/v1/facets": "?by=tag",
        "/v1/duplicates": "?tier=exact",
    }
    return [
        (
            path.format(**names, filename="proxied.jpg") + required.get(path, ""),
            [method.upper() for method in described],
        )
        for path, described in document["paths"].items()
    ]


def test_head_answers_as_get_does_without_a_body(
    http: httpx.Client, paths: list[tuple[str, list[str]]]
) -> None:
    asked = [path for path, methods in paths if "GET" in methods]
    for path in (*asked, "/openapi.json", "/metrics", "/", "/v1/images/none"):
        answer, head = http.get(path), http.head(path)
        assert head.status_code == answer.status_code, path
        assert head.content == b""
        assert head.headers["content-type"] == answer.headers["content-type"], path
    assert len(asked) > 20


def test_no_cache_keeps_an_answer_that_says_nothing_of_it(
    http: httpx.Client, paths: list[tuple[str, list[str]]]
) -> None:
    asked = [path for path, methods in paths if "GET" in methods]
    for path in (*asked, "/openapi.json", "/v1/images/none", "/nothing-here"):
        said = http.get(path).headers.get("cache-control", "")
        if path.endswith(("/display", "/thumbnail", ".jpg")):
            assert said == "public, max-age=86400", path
        else:
            assert said.startswith(("no-cache", "no-store", "private, max-age=0")), path


def test_allow_names_every_method_that_is_answered(
    http: httpx.Client, paths: list[tuple[str, list[str]]]
) -> None:
    for path, methods in [*paths, ("/openapi.json", ["GET"]), ("/metrics", ["GET"])]:
        answer = http.put(path)
        assert answer.status_code == 405, path
        heads = ["HEAD"] if "GET" in methods else []
        assert sorted(answer.headers["allow"].split(", ")) == sorted([*methods, *heads]), path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_tag_of_a_compressed_answer_is_ours(
    http: httpx.Client, image_id: str, suffix: str
) -> None:
    url = f"/v1/images/{image_id}"
    for read in (url, f"{url}/thumbnail", "/"):
        etag = http.get(read).headers["etag"]
        changed = f'{etag[:-1]}{suffix}"'
        for named in (changed, f"W/{changed}", f'"x", {changed}', f'"a-gzip",{changed}, "b"', "*"):
            if (read, named) != ("/", "*"):
                answer = http.get(read, headers={"If-None-Match": named})
                assert answer.status_code == 304, (read, named)
    etag = http.get(url).headers["etag"]
    weak = f'W/{etag[:-1]}{suffix}"'
    answer = http.patch(url, json={"status": suffix}, headers={"If-Match": f'"x", {weak}'})
    assert answer.status_code == 200


@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
def test_a_foreign_or_outdated_tag_is_not(http: httpx.Client, image_id: str, suffix: str) -> None:
    url = f"/v1/images/{image_id}"
    outdated = http.get(url).headers["etag"][:-1]
    http.patch(url, json={"status": f"now {suffix}"})
    now = http.get(url).headers["etag"][:-1]
    for tag in (outdated, '"0123456789abcdef', f"{now}-other", '"'):
        answer = http.patch(url, json={"status": "x"}, headers={"If-Match": f'{tag}{suffix}"'})
        assert answer.status_code == 412, tag
        read = http.get(url, headers={"If-None-Match": f'{tag}{suffix}"'})
        assert read.status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "made-up"])
def test_a_compressed_body_is_415(http: httpx.Client, image_id: str, coding: str) -> None:
    body = gzip.compress(json.dumps({"text": "cat"}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    for method, path in (
        ("POST", "/v1/search"),
        ("POST", "/v1/jobs"),
        ("PATCH", f"/v1/images/{image_id}"),
    ):
        answer = http.request(method, path, content=body, headers=headers)
        assert answer.status_code == 415, path
        assert answer.headers["accept-encoding"] == "identity"
        assert "without Content-Encoding" in answer.json()["detail"]


def test_a_body_that_is_said_to_be_as_it_is(http: httpx.Client) -> None:
    headers = {"Content-Encoding": "Identity"}
    assert http.post("/v1/search", json={"text": "cat"}, headers=headers).status_code == 200


@pytest.fixture
def chunks() -> Iterator[bytes]:
    return iter([gzip.compress(b'{"text": "cat"}')])


def test_a_compressed_body_in_chunks_is_415(http: httpx.Client, chunks: Iterator[bytes]) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert http.post("/v1/search", content=chunks, headers=headers).status_code == 415


def test_a_long_answer_is_compressed_and_no_photo_is(http: httpx.Client, image_id: str) -> None:
    document = http.get("/openapi.json")
    assert document.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in document.headers["vary"]
    assert document.json()["openapi"].startswith("3.")
    plain = http.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == document.json()
    for path in (f"/v1/images/{image_id}", f"/v1/images/{image_id}/original"):
        assert "content-encoding" not in http.get(path).headers


@pytest.mark.parametrize("accepted", ["gzip;q=0", "identity, gzip; q=0.0", "br, GZIP ;q=0.000, *"])
@pytest.mark.parametrize("path", ["/openapi.json", "/"])
def test_a_client_that_refuses_gzip_gets_none(http: httpx.Client, path: str, accepted: str) -> None:
    plain = http.get(path, headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["vary"]
    taken = http.get(path, headers={"Accept-Encoding": "gzip;q=0.5, br;q=0"})
    assert taken.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_an_original_is_continued_by_a_client_that_takes_gzip(
    http: httpx.Client, server_url: str, form: str
) -> None:
    data = pictures.encoded(pictures.noise(200, 150, 94_003), form)
    with Client(server_url) as client:
        upload(client, PhotoSource(iter([Photo(f"a.{form}", data)]), 1), name="proxies")
    url = f"/v1/images/{image_id_of(sha256_of(data))}/original"
    with http.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as begun:
        first = b"".join(begun.iter_raw())[:20_000]  # as a cache or browser keeps it
    headers = {"Accept-Encoding": "gzip", "Range": "bytes=20000-"}
    rest = http.get(url, headers={**headers, "If-Range": begun.headers["etag"]})
    assert rest.status_code == 206
    assert first + rest.content == data


def test_what_compresses_answers_leaves_the_lifespan_to_the_application() -> None:
    begun: list[str] = []

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        begun.append("started")
        yield
        begun.append("ended")

    with TestClient(Gzip(Starlette(lifespan=lifespan))):
        assert begun == ["started"]
    assert begun == ["started", "ended"]
