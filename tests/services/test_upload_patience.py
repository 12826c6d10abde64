"""A bulk upload goes on when answers are lost or the server fails for a while."""

from importlib import import_module

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.client.upload import with_retries
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
