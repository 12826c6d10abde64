"""A bulk upload goes on when answers are lost or the server fails for a while."""

import json
import threading
from collections.abc import Iterator
from importlib import import_module, resources
from pathlib import Path

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, from_paths, upload
from petsearch.client.retries import with_retries
from petsearch.domain.errors import InvalidInput, Unavailable
from tests import pictures


class LossyTransport(httpx.BaseTransport):
    """Sends every call, and loses the first answer to each write: the client cannot know."""

    def __init__(self) -> None:
        self._real = httpx.HTTPTransport()
        self._lost: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hand on; see the class."""
        response = self._real.handle_request(request)
        key = request.headers.get("Idempotency-Key")
        if key is not None and key not in self._lost:
            self._lost.add(key)
            response.close()
            raise httpx.ReadError("the answer was lost")
        return response

    def close(self) -> None:
        """Close the connections."""
        self._real.close()


def test_photos_whose_answer_was_lost_count_once(server_url: str) -> None:
    photos = [Photo(f"{n}.jpg", pictures.jpeg(771_000 + n % 5)) for n in range(8)]
    with Client(server_url, transport=LossyTransport()) as client:
        first = upload(client, PhotoSource(iter(photos), len(photos)), name="lossy")
        again = upload(client, PhotoSource(iter(photos), len(photos)), name="lossy, known")
        names = [item["filename"] for item in client.job_items(first["job_id"])]
    assert (first["total"], first["counts"]["ingested"], first["counts"]["duplicate"]) == (8, 5, 3)
    assert (again["total"], again["counts"]["duplicate"]) == (8, 8)
    assert sorted(names) == sorted(photo.filename for photo in photos)


def test_a_server_that_stays_away_is_given_up() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        with_retries(fail, patience_s=0.8)
    assert len(calls) > 1


def test_what_the_server_refuses_is_not_repeated() -> None:
    calls: list[int] = []

    def refuse() -> None:
        calls.append(1)
        raise InvalidInput("no")

    with pytest.raises(InvalidInput):
        with_retries(refuse)
    assert len(calls) == 1


def test_the_same_photo_in_two_batches_is_added_in_order(
    server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("petsearch.client.upload"), "BATCH_PHOTOS", 1)
    data = pictures.jpeg(771_900)
    photos = [Photo(f"{n}.jpg", data, {"status": f"row {n}"}) for n in range(4)]
    with Client(server_url) as client:
        job = upload(client, PhotoSource(iter(photos), len(photos)), name="order", threads=4)
        items = sorted(client.job_items(job["job_id"]), key=lambda item: item["item_no"])
        record = client.image(items[0]["image_id"])
    assert [item["filename"] for item in items] == [photo.filename for photo in photos]
    assert record["status"] == "row 0"


class SmallServer(httpx.BaseTransport):
    """A server that takes few photos a request, of ten bytes; `is_busy` lets it take none."""

    def __init__(
        self, *, is_busy: bool = False, photos_per_request: int = 2, request_bytes: int = 10**6
    ) -> None:
        self.asked: list[str] = []
        self.batches: list[int] = []
        self.is_refused = threading.Event()
        self._is_busy = is_busy
        self._limits = {
            "photos_per_request": photos_per_request,
            "request_bytes": request_bytes,
            "image_bytes": 10,
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the API does."""
        path, body = request.url.path, request.read()
        self.asked.append(path)
        if path == "/v1/limits":
            return httpx.Response(200, json=self._limits)
        if len(body) > self._limits["request_bytes"]:
            return httpx.Response(413, json={"detail": "too large"})
        if self._is_busy and path.endswith("/known"):
            self.is_refused.set()
            return httpx.Response(503, json={"detail": "busy"})
        if path.endswith("/known"):
            self.batches.append(len(json.loads(body)["items"]))
            return httpx.Response(200, json={"missing": [*range(self.batches[-1])]})
        job = {"job_id": "j-1", "finished_at": "2026-05-01T12:00:00Z"}
        return httpx.Response(202, json=job)


@pytest.mark.timeout(60)
def test_an_upload_that_is_interrupted_ends_at_once_and_seals_its_job() -> None:
    server = SmallServer(is_busy=True)

    def photos() -> Iterator[Photo]:
        for number in range(3):
            yield Photo(f"{number}.jpg", b"photo %d" % number)
        assert server.is_refused.wait(30)
        raise KeyboardInterrupt

    with Client("http://server", transport=server) as client, pytest.raises(KeyboardInterrupt):
        upload(client, PhotoSource(photos(), 3), name="interrupted")
    assert "/v1/jobs/j-1/seal" in server.asked


def test_an_upload_keeps_to_the_limits_of_its_server(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(5)]
    for number, file in enumerate(files):
        file.write_bytes(b"%d" % number * 20)
    server = SmallServer()
    with Client("http://server", transport=server) as client:
        source = from_paths(files, max_bytes=lambda: client.limits()["image_bytes"])
        photos = list(source.photos)
        upload(client, PhotoSource(iter(photos), 5), name="limited")
    assert sorted(server.batches) == [1, 2, 2]
    sizes = {len(photo.data) for photo in photos}
    assert sizes == {11}, "one byte more than the server takes, which refuses it by its name"


def test_requests_are_no_larger_than_the_server_takes() -> None:
    server = SmallServer(photos_per_request=64, request_bytes=100_000)
    photos = [Photo(f"{n}.jpg", bytes([n]) * 25_000, {"breed": "pug"}) for n in range(8)]
    photos.insert(1, Photo("huge.jpg", b"x" * 100_000))
    source = PhotoSource(iter(photos), 9)
    with Client("http://server", transport=server) as client:
        upload(client, source, name="small requests")
    assert sorted(server.batches) == [2, 3, 3], "beside four photos nothing would fit"
    assert source.unreadable == [("huge.jpg", "The server takes at most 0.1 MB in a request.")]


def test_the_metadata_of_a_request_is_no_larger_than_a_form_may_have() -> None:
    server = SmallServer(photos_per_request=64, request_bytes=10_000_000)
    said = {"attributes": {f"{n:02}": "\u732b" * 200 for n in range(50)}}  # 60 KB as it is sent
    photos = (Photo(f"{n}.jpg", bytes([n]) * 100, said) for n in range(12))
    with Client("http://server", transport=server) as client:
        upload(client, PhotoSource(photos, 12), name="said much")
    assert sorted(server.batches) == [6, 6]


def test_the_client_has_published_types() -> None:
    assert resources.files("petsearch").joinpath("py.typed").is_file()
