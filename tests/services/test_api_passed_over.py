"""Parts of requests that say something: the last part of a form, a condition, a second line."""

import json
import socket
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import image_id_of, sha256_of
from tests import pictures

JSON = {"Content-Type": "Application/JSON"}
NUMBERS = {str(number): number for number in range(1000)}
"""None of them could be an attribute or the meaning of a column."""
KNOWN = {"sha256": "0" * 64, "metadata": {"attributes": NUMBERS}}


@pytest.fixture
def image_id(client: Client) -> str:
    data = pictures.jpeg(95_001)
    upload(client, PhotoSource(iter([Photo("over.jpg", data)]), 1), name="passed over")
    return image_id_of(sha256_of(data))


def newest_job(http: httpx.Client) -> list[str]:
    """Its id: what was uploaded before may still be ingested meanwhile."""
    return [job["job_id"] for job in http.get("/v1/jobs", params={"limit": 1}).json()["items"]]


@pytest.mark.parametrize("path", ["/v1/images", "/v1/search/image"])
def test_a_form_without_its_end_is_refused(http: httpx.Client, path: str) -> None:
    name = "photo" if "search" in path else "photos"
    body = b"".join(
        b'--cut\r\nContent-Disposition: form-data; name="%s"; filename="%d.jpg"\r\n\r\n%s\r\n'
        % (name.encode(), number, pictures.jpeg(95_100 + number))
        for number in range(1 if name == "photo" else 2)
    )
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}
    before = newest_job(http)
    cut = http.post(path, content=body, headers=headers)
    assert cut.status_code == 422
    assert "closing boundary" in cut.json()["detail"]
    assert newest_job(http) == before
    whole = http.post(path, content=body + b"--cut--\r\n", headers=headers)
    assert whole.is_success, whole.text


def test_a_name_given_twice_in_json_is_refused_however_its_type_is_written(
    http: httpx.Client, image_id: str
) -> None:
    body = b'{"status": "lost", "status": "found"}'
    answer = http.patch(f"/v1/images/{image_id}", content=body, headers=JSON)
    assert answer.status_code == 422
    assert "status" in answer.json()["detail"]


def test_a_photo_that_was_changed_meanwhile_is_not_deleted(
    http: httpx.Client, image_id: str
) -> None:
    path = f"/v1/images/{image_id}"
    outdated = http.delete(path, headers={"If-Match": '"another-state"'})
    assert outdated.status_code == 412
    etag = http.get(path).headers["etag"]
    lines = [("If-Match", '"another-state"'), ("If-Match", etag)]
    assert http.delete(path, headers=lines).status_code == 204
    assert http.get(path).status_code == 404


def test_an_attribute_has_one_value(http: httpx.Client) -> None:
    for other in ("collar=blue", "Collar =red"):
        answer = http.get("/v1/images", params={"attr": ["collar=red", other]})
        assert answer.status_code == 422
        assert "more than once" in answer.json()["detail"]


@pytest.mark.parametrize("nothing", ["\u200b", "\u2060 \u00a0"])
def test_what_nobody_sees_is_nothing(http: httpx.Client, image_id: str, nothing: str) -> None:
    path = f"/v1/images/{image_id}"
    said = {"status": "lost", "tags": ["shy"], "attributes": {"collar": "red"}}
    assert http.patch(path, json=said).is_success
    unseen = {"status": nothing, "tags": [nothing], "attributes": {"collar": nothing}}
    image = http.patch(path, json=unseen).json()
    assert (image["status"], image["tags"], image["attributes"]) == (None, [], {})
    assert http.patch(path, json={"attributes": {nothing: "x"}}).status_code == 422


@pytest.mark.parametrize("field", ["breed", "species", "status"])
def test_a_name_is_as_long_as_it_is_stored(http: httpx.Client, image_id: str, field: str) -> None:
    # In lower case it is an i with a dot above: two characters.
    assert http.patch(f"/v1/images/{image_id}", json={field: "\u0130" * 100}).is_success
    refused = http.patch(f"/v1/images/{image_id}", json={field: "\u0130" * 101})
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        f"{field}: must have at most 200 characters.",
    )


def test_a_status_is_found_however_its_letters_are_composed(
    http: httpx.Client, image_id: str
) -> None:
    path = f"/v1/images/{image_id}"
    assert (
        http.patch(path, json={"status": "Re\u0301serve\u0301"}).json()["status"]
        == "r\u00e9serv\u00e9"
    )
    for written in ("R\u00e9serv\u00e9", "re\u0301serve\u0301", "r\u00e9s\u200berv\u00e9"):
        found = http.get("/v1/images", params={"status": written}).json()["items"]
        assert [image["image_id"] for image in found] == [image_id]
    assert http.patch(path, json={"status": None}).is_success


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("Host: 127.0.0.1\r\nHost: evil.test", 421),
        ("Host: 127.0.0.1#.evil.test", 421),
        ("Host: evil@127.0.0.1", 421),
        ("Host: 127.0.0.1:abc", 421),
        ("Host: 127.0.0.1:80", 200),
    ],
)
def test_a_host_is_one_name(server_url: str, lines: str, status: int) -> None:
    address = urlsplit(server_url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        request = f"GET /v1/stats HTTP/1.1\r\n{lines}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        with connection.makefile("rb") as answer:
            assert int(answer.readline().split()[1]) == status


def test_a_second_line_of_codings_counts(http: httpx.Client) -> None:
    lines = [("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]
    answer = http.post("/v1/search", json={"text": "cat"}, headers=lines)
    assert answer.status_code == 415


@pytest.mark.parametrize("expires_at", ["1893456000", 5])
def test_the_end_of_a_key_is_a_date(http: httpx.Client, expires_at: object) -> None:
    body = {"name": "x", "scopes": ["search"], "expires_at": expires_at}
    assert http.post("/v1/keys", json=body).status_code == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"source": 201 * "x"}, "source: must have at most"),
        ({"source": {"type": "urls", "urls": "x"}}, "source.urls: must be a list"),
        ({"source": 5}, "source: must be a JSON object"),
        (
            {"source": {"type": "manifest", "columns": {"constrained-str": 5}}},
            "source.columns.constrained-str: must be text",
        ),
    ],
)
def test_a_source_is_told_by_its_own_name(http: httpx.Client, body: object, said: str) -> None:
    answer = http.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        (
            "search",
            {"filters": {"attributes": NUMBERS}},
            "filters.attributes: must have at most 20",
        ),
        ("search", {"filters": {"missing": [1] * 1000}}, "filters.missing: must have at most 20"),
        ("search", {"filters": {"tags": [""] * 1000}}, "filters.tags: must have at most 20"),
        ("search", {"filters": {"species": [""] * 1000}}, "filters.species: must have at most 20"),
        (
            "jobs",
            {"source": {"type": "manifest", "columns": NUMBERS}},
            "source.columns: must have at most 200",
        ),
        ("jobs/x/known", {"items": [KNOWN]}, "items.0.metadata.attributes: must have at most 50"),
        ("keys", {"name": "x", "scopes": ["x"] * 1000}, "scopes: must have at most 20"),
    ],
)
def test_too_many_entries_are_refused_before_one_is_looked_at(
    http: httpx.Client, path: str, body: object, said: str
) -> None:
    answer = http.post(f"/v1/{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"] == f"{said} items."


@pytest.mark.parametrize("unseen", ["", "\x7f"])
def test_a_name_that_is_too_long_is_not_said_back(http: httpx.Client, unseen: str) -> None:
    said = {"attributes": {unseen + 5000 * "x": "red"}}
    for answer in (
        http.post("/v1/search", json={"text": "cat", "filters": said}),
        http.post("/v1/jobs/x/known", json={"items": [{**KNOWN, "metadata": said}]}),
        http.patch(f"/v1/images/{UUID(int=0)}", json=said),
    ):
        assert answer.status_code == 422
        detail = answer.json()["detail"]
        assert detail.endswith("x: must have at most 200 characters.")
        assert len(detail) < 200


def test_too_many_attributes_of_a_patch_are_refused_before_one_is_looked_at(
    http: httpx.Client,
) -> None:
    answer = http.patch(f"/v1/images/{UUID(int=0)}", json={"attributes": NUMBERS})
    assert answer.json()["detail"] == "attributes: must have at most 50 items."


def test_too_many_columns_of_a_form_are_refused_before_one_is_looked_at(
    http: httpx.Client,
) -> None:
    form = {"kind": "manifest", "columns": json.dumps(NUMBERS)}
    answer = http.post("/v1/jobs/upload", files={"file": ("x.csv", b"path\n")}, data=form)
    assert answer.json()["detail"] == "columns: must have at most 200 items."


def test_a_photo_that_is_no_form_is_told_to_be_one(http: httpx.Client) -> None:
    for path in ("/v1/images", "/v1/search/image"):
        answer = http.post(path, content=pictures.jpeg(1), headers={"Content-Type": "image/jpeg"})
        assert answer.status_code == 422
        assert "multipart/form-data" in answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    ["limit=1_0", "limit=%D9%A1", "near=1_0,2,3", "near=%D9%A1,1,1", "near=1,2", "near=nan,1,1"],
)
def test_numbers_are_in_common_digits(http: httpx.Client, query: str) -> None:
    assert http.get(f"/v1/images?{query}").status_code == 422


def test_what_would_have_no_effect_is_refused(http: httpx.Client) -> None:
    for tier in ("exact", "same_photo"):
        params = {"tier": tier, "min_score": 0.9}
        assert http.get("/v1/duplicates", params=params).status_code == 422
    for name in ("image", "photo", "positive", "negative"):
        answer = http.post("/v1/search", json={"text": "cat", "weights": {name: 2}})
        assert answer.status_code == 422
        assert f"weights.{name}" in answer.json()["detail"]
    weighed = {"text": "cat", "negative": [{"text": "dog"}], "weights": {"text": 2, "negative": 1}}
    assert http.post("/v1/search", json=weighed).status_code == 200


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_path_that_is_also_an_id_has_its_own_methods(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/v1/images/ids", params={"prefix": "3f2a91bc"})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "query", ["attr=red", "status=a%01b", "cursor=%21", "prefix=zzzz", "tag=a%00b"]
)
def test_what_is_wrong_with_a_text_is_said_in_words(http: httpx.Client, query: str) -> None:
    path = "/v1/images/ids" if query.startswith("prefix") else "/v1/images"
    answer = http.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert "^" not in answer.json()["detail"]
