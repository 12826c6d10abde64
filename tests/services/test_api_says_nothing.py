"""What says nothing: in reads it is as if it was left out, whatever field it is."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from services.api.filter_parameters import FiltersBody
from services.api.schemas.search import SearchRequest, Weights
from tests import pictures

TAG = "says-nothing"
NOTHING = ["", "%20", "%09", "%E2%80%8B", "%00"]
AS_TEXT = ["", " ", "\u200b", "\u3164"]
UNSEEN = {
    "zero width": "\u200b",
    "right to left": "\u202e",
    "direction marks": "\u200e\u200f",
    "isolates": "\u2066 \u2069",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "joiner": "\u200d",
    "emoji variation": "\ufe0f",
    "NUL": "\x00",
    "controls": "\x1b\x07\x7f",
    "Hangul filler": "\u3164",
    "braille blank": "\u2800",
}
unseen = pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN)


@pytest.fixture(scope="module", autouse=True)
def image_id(server_url: str) -> str:
    data = pictures.jpeg(93_001)
    photo = Photo("nothing.jpg", data, {"tags": [TAG], "status": "lost"})
    with Client(server_url) as client:
        upload(client, PhotoSource(iter([photo]), 1), name=TAG)
    return image_id_of(sha256_of(data))


@pytest.fixture(scope="module")
def document(server_url: str) -> JsonDict:
    found: JsonDict = httpx.get(f"{server_url}/openapi.json").json()
    return found


def optional_parameters(document: JsonDict) -> Iterator[tuple[str, str]]:
    """Path with what it requires, and the name of each parameter that it does not."""
    examples = {"q": "cat", "prompt": "cat", "by": "tag", "tier": "exact", "prefix": "0000"}
    for path, described in document["paths"].items():
        parameters = list(described.get("get", {}).get("parameters", ()))
        query = [p for p in parameters if p["in"] == "query"]
        required = [p["name"] for p in query if p["required"]]
        given = "&".join(f"{name}={examples[name]}" for name in required)
        for parameter in query:
            if not parameter["required"]:
                yield f"{path}?{given}", parameter["name"]


@pytest.mark.parametrize("nothing", NOTHING)
def test_a_parameter_without_a_value_filters_nothing(
    http: httpx.Client, document: JsonDict, image_id: str, nothing: str
) -> None:
    job_id = http.get("/v1/jobs", params={"limit": 1}).json()["items"][0]["job_id"]
    tried = 0
    for path, name in optional_parameters(document):
        address = path.replace("{image_id}", image_id).replace("{job_id}", job_id)
        address = address.replace("{model_id}", "m").replace("{filename}", "nothing.jpg")
        answer = http.get(f"{address}&{name}={nothing}")
        is_damaged = name == "cursor" and nothing not in ("", "%20", "%09")
        assert answer.status_code == (422 if is_damaged else 200), (address, name, answer.text)
        tried += 1
    assert tried > 60


def test_what_says_nothing_must_have_a_known_name(http: httpx.Client) -> None:
    assert "'stauts'" in http.get("/v1/images?stauts=").json()["detail"]
    for filters in ({"stauts": None}, {"near": {"stauts": ""}}):
        answer = http.post("/v1/search", json={"text": "cat", "filters": filters})
        assert "'stauts'" in answer.json()["detail"]


def test_lists_of_results_are_those_without_the_empty_filter(http: httpx.Client) -> None:
    with_filter = http.get(f"/v1/images?tag={TAG}&species=&tag=&near=&since=&limit=").json()
    assert with_filter == http.get(f"/v1/images?tag={TAG}").json()
    assert len(with_filter["items"]) == 1


@pytest.mark.parametrize("nothing", [None, *AS_TEXT, [], {}], ids=ascii)
def test_a_json_field_that_says_nothing_is_absent(http: httpx.Client, nothing: Any) -> None:
    bodies = [
        *({"text": "cat", name: nothing} for name in SearchRequest.model_fields if name != "text"),
        *({"text": "cat", "filters": {name: nothing}} for name in FiltersBody.model_fields),
        *({"text": "cat", "weights": {name: nothing}} for name in Weights.model_fields),
        {"text": "cat", "filters": {"tags": [TAG, nothing], "attributes": {"collar": nothing}}},
    ]
    for body in bodies:
        answer = http.post("/v1/search", json=body)
        is_damaged = body.get("cursor") in ("\u200b", "\u3164")
        assert answer.status_code == (422 if is_damaged else 200), (body, answer.text)
    assert len(answer.json()["items"]) == 1


def test_a_search_for_nothing_is_rejected(http: httpx.Client) -> None:
    for text in (None, *AS_TEXT):
        answer = http.post("/v1/search", json={"text": text})
        assert answer.status_code == 422
        assert "what to look for" in answer.json()["detail"]


@pytest.mark.parametrize("nothing", AS_TEXT, ids=ascii)
def test_a_form_field_that_says_nothing_is_absent(http: httpx.Client, nothing: str) -> None:
    photo = pictures.jpeg(93_001)
    whole = http.post("/v1/search/image", files={"photo": ("x.jpg", photo)}).json()["items"]
    for name in ("query", "limit", "species", "breed", "status", "animal_id", "tag", "min_score"):
        answer = http.post(
            "/v1/search/image", files={"photo": ("x.jpg", photo)}, data={name: nothing}
        )
        assert answer.status_code == 200, (name, answer.text)
        assert answer.json()["items"] == whole


@unseen
def test_a_query_that_nobody_can_see_is_rejected(http: httpx.Client, unseen: str) -> None:
    for answer in (
        http.get("/v1/search", params={"q": unseen}),
        http.get("/search", params={"prompt": f" {unseen}\n{unseen}"}),
        http.post("/v1/search", json={"text": unseen}),
    ):
        assert answer.status_code == 422, answer.text


@unseen
def test_what_nobody_can_see_changes_no_hits(http: httpx.Client, unseen: str) -> None:
    plain = http.get("/v1/search", params={"q": "black cat"}).json()["items"]
    for text in (f"black cat{unseen}", f"{unseen}black cat", f"black {unseen} cat"):
        found = http.get("/v1/search", params={"q": text}).json()["items"]
        assert found == plain, ascii(text)


@pytest.mark.parametrize("broken", ["%ff", "%", "100%", "%zz", "cat%c3", "%ed%a0%80"])
def test_a_broken_percent_encoding_is_rejected(http: httpx.Client, broken: str) -> None:
    for path in (f"/v1/search?q={broken}", f"/v1/images?status={broken}", f"/livez?{broken}=1"):
        status, detail = raw_get(http, path)
        assert status == 422, path
        assert "percent-encoding" in detail


def raw_get(http: httpx.Client, path: str) -> tuple[int, str]:
    """The answer to a target as it is; httpx would repair it."""
    request = http.build_request("GET", "/")
    request.extensions["target"] = path.encode()
    answer = http.send(request)
    return answer.status_code, str(answer.json()["detail"])


@pytest.mark.parametrize(
    "patch", [{}, {"status": "lost"}, {"status": " LOST "}, {"animal_id": None}, {"tags": [TAG]}]
)
def test_a_patch_that_changes_nothing_keeps_the_etag(
    http: httpx.Client, image_id: str, patch: JsonDict
) -> None:
    before = http.get(f"/v1/images/{image_id}")
    answer = http.patch(
        f"/v1/images/{image_id}", json=patch, headers={"If-Match": before.headers["etag"]}
    )
    assert answer.status_code == 200
    assert answer.json() == before.json()
    assert answer.headers["etag"] == before.headers["etag"]
    assert http.get(f"/v1/images/{image_id}").json() == before.json()


def test_null_in_a_patch_clears(http: httpx.Client, image_id: str) -> None:
    url = f"/v1/images/{image_id}"
    said = {"taken_at": "2026-05-17T12:00:00Z", "attributes": {"collar": "red"}}
    before = http.patch(url, json=said)
    cleared = http.patch(url, content=json.dumps(dict.fromkeys(said)), headers=JSON)
    assert before.json()["taken_at"] is not None
    assert (cleared.json()["taken_at"], cleared.json()["attributes"]) == (None, {})
    assert cleared.headers["etag"] != before.headers["etag"]


JSON = {"Content-Type": "application/merge-patch+json"}
