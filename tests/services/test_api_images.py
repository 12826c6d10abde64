"""Reading, changing and deleting images over HTTP, and their bytes, on a standalone server."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import ImageRecord, JsonDict, image_id_of, sha256_of
from petsearch.domain.errors import Outdated
from tests import pictures
from tests.services.house import House, photo

PATCH = {"Content-Type": "application/merge-patch+json"}


def add(client: Client, seed: int, **said: object) -> str:
    """The id of a new photo."""
    data = pictures.jpeg(seed)
    photo = Photo(f"{seed}.jpg", data, said)
    job = upload(client, PhotoSource(iter([photo]), 1), name="images")
    assert job["counts"]["ingested"] == 1, job
    return image_id_of(sha256_of(data))


def patch(http: httpx.Client, image_id: str, changes: JsonDict, **headers: str) -> httpx.Response:
    return http.patch(f"/v1/images/{image_id}", json=changes, headers=PATCH | headers)


@pytest.fixture
def image_id(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A photo of the test's own."""
    seed = 50_000 + sum(map(ord, request.node.name)) * 7
    yield add(client, seed, breed="Beagle", status="lost", tags=["old"], attributes={"collar": "1"})


def test_a_patch_changes_what_it_names_and_nothing_else(http: httpx.Client, image_id: str) -> None:
    before = http.get(f"/v1/images/{image_id}").json()
    answer = patch(http, image_id, {"status": "Found", "attributes": {"chip": "yes"}})
    assert answer.status_code == 200
    now = answer.json()
    assert now["status"] == "found"
    assert now["attributes"] == {"collar": "1", "chip": "yes"}
    assert now["updated_at"] > before["updated_at"]
    same = set(now) - {"status", "attributes", "updated_at"}
    assert {name: now[name] for name in same} == {name: before[name] for name in same}
    assert http.get(f"/v1/images/{image_id}").json() == now
    assert image_id in [hit["image_id"] for hit in found(http, status="found", attr="chip=yes")]


def test_null_clears_and_a_cleared_breed_is_predicted(http: httpx.Client, image_id: str) -> None:
    changes = {"breed": None, "species": None, "tags": None, "attributes": {"collar": None}}
    now = patch(http, image_id, changes).json()
    assert now["breed_source"] in ("predicted", "unsure")
    assert now["species_source"] in ("predicted", "unsure")
    assert now["breed"] == now["predicted"]["breed"]
    assert (now["tags"], now["attributes"], now["status"]) == ([], {}, "lost")


def test_the_species_follows_the_breed(http: httpx.Client, image_id: str) -> None:
    assert http.get(f"/v1/images/{image_id}").json()["species"] == "dog"
    now = patch(http, image_id, {"breed": "siamese"}).json()
    assert (now["breed"], now["species"], now["breed_source"]) == ("siamese", "cat", "label")
    now = patch(http, image_id, {"breed": "a breed nobody knows"}).json()
    assert now["species"] == "cat"


def test_a_change_of_an_old_state_is_refused(http: httpx.Client, image_id: str) -> None:
    etag = http.get(f"/v1/images/{image_id}").headers["etag"]
    first = patch(http, image_id, {"status": "found"}, **{"If-Match": etag})
    assert first.status_code == 200
    second = patch(http, image_id, {"status": "lost"}, **{"If-Match": etag})
    assert second.status_code == 412
    assert second.headers["content-type"] == "application/problem+json"
    assert http.get(f"/v1/images/{image_id}").json()["status"] == "found"
    third = patch(http, image_id, {"status": "lost"}, **{"If-Match": first.headers["etag"]})
    assert third.status_code == 200


def test_a_record_that_did_not_change_is_not_sent_again(http: httpx.Client, image_id: str) -> None:
    etag = http.get(f"/v1/images/{image_id}").headers["etag"]
    again = http.get(f"/v1/images/{image_id}", headers={"If-None-Match": f'"x", W/{etag}'})
    assert (again.status_code, again.content) == (304, b"")
    patch(http, image_id, {"status": "other"})
    changed = http.get(f"/v1/images/{image_id}", headers={"If-None-Match": etag})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "red"},
        {"tags": "one"},
        {"breed": "a\x00b"},
        {"location": {"lat": 91, "lon": 0}},
        {"taken_at": "yesterday"},
        {"attributes": {"a=b": "c"}},
        {"attributes": {str(number): "x" for number in range(51)}},
    ],
)
def test_a_change_that_cannot_be_is_refused(
    http: httpx.Client, image_id: str, changes: JsonDict
) -> None:
    before = http.get(f"/v1/images/{image_id}").json()
    assert patch(http, image_id, changes).status_code == 422
    assert http.get(f"/v1/images/{image_id}").json() == before


def test_nothing_is_changed_that_is_not_there(http: httpx.Client) -> None:
    absent = image_id_of(sha256_of(b"absent"))
    assert patch(http, absent, {"status": "lost"}).status_code == 404


def test_all_images_of_an_animal_are_deleted_and_no_other(
    client: Client, http: httpx.Client
) -> None:
    gone = [add(client, seed, animal_id="rex-17") for seed in range(61_000, 61_003)]
    kept = add(client, 61_010, animal_id="rex-18")
    answer = http.delete("/v1/images", params={"animal_id": "rex-17"})
    assert answer.json() == {"deleted": 3, "remaining": 0}
    for image_id in gone:
        assert http.get(f"/v1/images/{image_id}").status_code == 404
        assert http.get(f"/v1/images/{image_id}/display").status_code == 404
    assert http.get(f"/v1/images/{kept}").status_code == 200
    assert http.delete("/v1/images", params={"animal_id": "rex-17"}).json()["deleted"] == 0


@pytest.mark.parametrize("params", [{}, {"animal_id": ""}, {"animal_id": " "}])
def test_a_delete_without_an_animal_deletes_nothing(
    client: Client, http: httpx.Client, params: dict[str, str]
) -> None:
    before = client.stats()["images"]
    assert http.delete("/v1/images", params=params).status_code == 422
    assert client.stats()["images"] == before


def test_the_original_is_a_download_of_the_very_bytes(client: Client, http: httpx.Client) -> None:
    data = pictures.encoded(pictures.noise(40, 30, 777), "PNG")
    photo = Photo('na"me €.png', data)
    upload(client, PhotoSource(iter([photo]), 1), name="original")
    answer = http.get(f"/v1/images/{image_id_of(sha256_of(data))}/original")
    assert answer.content == data
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    disposition = answer.headers["content-disposition"]
    plain, coded = 'filename="na_me _.png"', "filename*=UTF-8''na%22me%20%E2%82%AC.png"
    assert disposition == f"attachment; {plain}; {coded}"
    assert "private" in answer.headers["cache-control"]


@pytest.mark.parametrize("copy", ["display", "thumbnail", "original"])
def test_bytes_can_be_asked_for_in_parts(http: httpx.Client, image_id: str, copy: str) -> None:
    url = f"/v1/images/{image_id}/{copy}"
    whole = http.get(url)
    size = len(whole.content)
    assert whole.headers["accept-ranges"] == "bytes"
    wanted = {
        "bytes=0-9": whole.content[:10],
        "bytes=10-": whole.content[10:],
        "bytes=-7": whole.content[-7:],
        f"bytes=3-{size + 5}": whole.content[3:],
        f"bytes=-{size + 5}": whole.content,
    }
    for words, part in wanted.items():
        answer = http.get(url, headers={"Range": words})
        assert (answer.status_code, answer.content) == (206, part), words
        first = size - len(part) if words != "bytes=0-9" else 0
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(part) - 1}/{size}"


@pytest.mark.parametrize("words", ["bytes=9-3", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5"])
def test_a_range_in_other_words_is_answered_whole(
    http: httpx.Client, image_id: str, words: str
) -> None:
    assert http.get(f"/v1/images/{image_id}/display", headers={"Range": words}).status_code == 200


@pytest.mark.parametrize("words", ["bytes=99999999-", "bytes=-0"])
def test_a_range_outside_of_the_bytes_is_a_problem(
    http: httpx.Client, image_id: str, words: str
) -> None:
    answer = http.get(f"/v1/images/{image_id}/display", headers={"Range": words})
    assert answer.status_code == 416
    assert answer.headers["content-range"].startswith("bytes */")
    assert answer.json()["status"] == 416


def test_a_range_of_another_version_is_answered_whole(http: httpx.Client, image_id: str) -> None:
    url = f"/v1/images/{image_id}/display"
    etag = http.get(url).headers["etag"]
    headers = {"Range": "bytes=0-9", "If-Range": etag}
    assert http.get(url, headers=headers).status_code == 206
    assert http.get(url, headers=headers | {"If-Range": '"other"'}).status_code == 200


@pytest.mark.parametrize("path", ["", "/display", "/thumbnail", "/original"])
def test_head_says_what_get_would(http: httpx.Client, image_id: str, path: str) -> None:
    get, head = (http.request(m, f"/v1/images/{image_id}{path}") for m in ("GET", "HEAD"))
    assert head.content == b""
    for name in ("etag", "content-length", "content-type"):
        assert head.headers[name] == get.headers[name]


def found(http: httpx.Client, **filters: str) -> list[JsonDict]:
    items: list[JsonDict] = http.get("/v1/images", params=filters).json()["items"]
    return items


@pytest.mark.parametrize("is_same_field", [False, True])
def test_a_change_is_not_refused_because_another_follows_it(
    house: House, monkeypatch: pytest.MonkeyPatch, *, is_same_field: bool
) -> None:
    (image_id,) = house.ingest(photo(1))
    images, write = house.services.images, QdrantEdgeIndex._overwrite
    read, others = images.get(image_id), [{"status": "found"} if is_same_field else {"tags": ["a"]}]

    def overwrite(index: QdrantEdgeIndex, collection: str, changes: Any) -> None:
        write(index, collection, changes)
        while others:  # before who writes has read it back
            images.amend(image_id, others.pop())

    def check(record: ImageRecord) -> None:
        if record != read:
            raise Outdated("It was changed.")

    monkeypatch.setattr(QdrantEdgeIndex, "_overwrite", overwrite)
    if is_same_field:  # nothing is left of the change
        with pytest.raises(Outdated):
            images.amend(image_id, {"status": "lost"}, check)
    else:
        said = images.amend(image_id, {"status": "lost"}, check).metadata
        assert (said.status, said.tags) == ("lost", ("a",))
    assert images.get(image_id).metadata.status == ("found" if is_same_field else "lost")
