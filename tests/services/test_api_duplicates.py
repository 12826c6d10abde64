"""Duplicates over HTTP against a real standalone server: drawings and altered copies of them."""

import io
import uuid
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.sample.catalogue import catalogue
from tests import pictures
from tests.server import ServerProcess

DRAWINGS = [drawing.to_jpeg() for drawing in catalogue(12, seed=31)]


def _altered(data: bytes, *, side: float = 1.0, crop: float = 0.0, quality: int = 90) -> bytes:
    picture = Image.open(io.BytesIO(data))
    width, height = picture.size
    left, top = round(crop * width), round(crop * height)
    cut = picture.crop((left, top, width - left, height - top))
    size = (round(cut.width * side), round(cut.height * side))
    return pictures.encoded(cut.resize(size, Image.Resampling.BICUBIC), quality=quality)


COPIES = [_altered(DRAWINGS[0], quality=40), _altered(DRAWINGS[0], side=0.5)]
CROPPED = _altered(DRAWINGS[1], crop=0.05)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with the drawings, their copies, and one drawing that came twice."""
    server = ServerProcess(tmp_path_factory.mktemp("duplicates"))
    assert server.address, server.log
    photos = [Photo(f"{n}.jpg", data, {}) for n, data in enumerate([*DRAWINGS, *COPIES, CROPPED])]
    again = [Photo("again.jpg", DRAWINGS[2], {"tags": ["seen again"]})]
    with Client(server.address) as client:
        for batch in (photos, again):
            job = upload(client, PhotoSource(iter(batch), len(batch)), name="test")
            assert job["state"] == "succeeded", job
    with httpx.Client(base_url=server.address, timeout=30) as opened:
        yield opened
    server.stop()


def _groups(http: httpx.Client, tier: str, **options: str | float) -> list[list[JsonDict]]:
    groups: list[list[JsonDict]] = []
    cursor = None
    while True:
        query: dict[str, str | float | None] = {"tier": tier, "cursor": cursor, **options}
        answer = http.get("/v1/duplicates", params={k: v for k, v in query.items() if v})
        assert answer.status_code == 200, answer.text
        groups += [group["images"] for group in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return groups


def _ids(*files: bytes) -> set[str]:
    return {image_id_of(sha256_of(data)) for data in files}


def test_a_file_that_came_twice_is_exact(http: httpx.Client) -> None:
    ((image,),) = _groups(http, "exact")
    assert {image["image_id"]} == _ids(DRAWINGS[2])
    assert len(image["sources"]) == 2
    assert len({source["job_id"] for source in image["sources"]}) == 2


@pytest.mark.parametrize("limit", [1, 20])
def test_other_bytes_of_one_photo_are_the_same_photo(http: httpx.Client, limit: int) -> None:
    (group,) = _groups(http, "same_photo", limit=limit)
    assert {image["image_id"] for image in group} == _ids(DRAWINGS[0], *COPIES)
    created = [image["created_at"] for image in group]
    assert created == sorted(created, reverse=True)


def test_a_cropped_photo_is_similar_and_the_same_photo_is_not(http: httpx.Client) -> None:
    groups = [{image["image_id"] for image in group} for group in _groups(http, "similar")]
    assert any(_ids(DRAWINGS[1], CROPPED) <= group for group in groups)
    assert not any(len(group & _ids(DRAWINGS[0], *COPIES)) > 1 for group in groups)


def test_a_stricter_score_finds_less(http: httpx.Client) -> None:
    assert _groups(http, "similar", min_score=1.0) == []


def test_copies_can_be_looked_at(http: httpx.Client) -> None:
    image = _groups(http, "same_photo")[0][0]
    assert http.get(image["urls"]["thumbnail"]).status_code == 200


def test_an_image_knows_its_copies(http: httpx.Client) -> None:
    (original,) = _ids(DRAWINGS[0])
    answer = http.get(f"/v1/images/{original}/duplicates")
    assert answer.status_code == 200, answer.text
    assert {image["image_id"] for image in answer.json()["items"]} == _ids(*COPIES)
    (alone,) = _ids(DRAWINGS[5])
    assert http.get(f"/v1/images/{alone}/duplicates").json() == {"items": []}
    assert http.get(f"/v1/images/{uuid.uuid4()}/duplicates").status_code == 404


def test_an_unknown_tier_or_cursor_is_refused(http: httpx.Client) -> None:
    assert http.get("/v1/duplicates", params={"tier": "nearly"}).status_code == 422
    assert http.get("/v1/duplicates").status_code == 422
    answer = http.get("/v1/duplicates", params={"tier": "exact", "cursor": "made up"})
    assert answer.status_code == 422
    assert "cursor" in answer.json()["detail"]
