"""What is said about wrong input: sentences for people, none of the framework's words."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from petsearch.domain import JsonDict
from tests.services.api_calls import Answer, Call, described_call, valid_calls
from tests.services.keyed_app import keyed_app

IMAGE_ID = "6f1f32cf-0000-4000-8000-000000000000"
WRONG_TEXTS = ["x", "-1", "1e400", "NaN", "0.5", "x" * 5000, "2026-13-45", "[", "a\x1bb", "ü|"]
WRONG_VALUES: list[Any] = [7, -1, 0.5, True, "x", "x" * 5000, "a\x00b", [], [[]], [7], {}, {"x": 7}]
FRAMEWORK = re.compile(
    r"Input should|Input tag|Value error|UploadFile|<class|dictionary|Extra inputs|Field required"
    r"|String should|List should|Dictionary should|unable to|parsing|function-|tagged-union"
    r"|constrained|pydantic|decode error|unexpected extra|Expected|^Not Found|Invalid JSON"
    r"|boundary in multipart|after validation|valid (string|integer|number|list|UUID)|None"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with keyed_app(tmp_path_factory.mktemp("words")) as opened:
        yield opened.client(opened.app(allow_no_keys=True))


@pytest.fixture(scope="module")
def calls(api: TestClient) -> list[Call]:
    job_id = api.post("/v1/jobs", json={"source": "words"}).json()["job_id"]
    calls = valid_calls(api, IMAGE_ID, job_id)
    # The events of a job that is open never end.
    return [call for call in calls if not call.path.endswith("/events")]


@pytest.fixture(scope="module")
def document(api: TestClient) -> JsonDict:
    assert isinstance(api.app, FastAPI)
    return api.app.openapi()


def check_words(call: object, answer: Answer) -> None:
    if answer.status_code >= 400:
        detail = answer.json()["detail"]
        found = FRAMEWORK.search(detail)
        assert found is None, (str(call), detail)
        assert re.match(r"[\w.]+:? \S|[A-Z]", detail), (str(call), detail)
        assert answer.status_code < 500, (str(call), detail)


def test_wrong_parameters(api: TestClient, calls: list[Call], document: JsonDict) -> None:
    tried = 0
    for call in calls:
        for parameter in described_call(document, call).get("parameters", ()):
            for value in WRONG_TEXTS:
                if parameter["in"] == "query":
                    params = {**call.params, parameter["name"]: value}
                    check_words(call, replace(call, params=params).send(api))
                    tried += 1
    assert tried > 500


def test_missing_parameters_and_bodies(api: TestClient, calls: list[Call]) -> None:
    for call in calls:
        check_words(call, replace(call, params={}, body=None, form=None).send(api))


def _wrong_bodies(document: JsonDict, name: str, *, deep: int = 2) -> Iterator[JsonDict]:
    """Objects of the schema `name`, each with one field wrong."""
    properties = document["components"]["schemas"][name].get("properties", {})
    for field, schema in properties.items():
        for value in WRONG_VALUES:
            yield {field: value}
        for inner in re.findall(r"#/components/schemas/(\w+)", json.dumps(schema)) if deep else ():
            for body in _wrong_bodies(document, inner, deep=deep - 1):
                yield {field: body}
                yield {field: [body]}


def test_wrong_bodies(api: TestClient, calls: list[Call], document: JsonDict) -> None:
    tried = 0
    for call in calls:
        content = described_call(document, call).get("requestBody", {}).get("content", {})
        for schema in (part["schema"] for kind, part in content.items() if "json" in kind):
            for wrong in _wrong_bodies(document, schema["$ref"].rpartition("/")[2]):
                body = json.dumps({**(call.body or {}), **wrong}).encode()
                check_words((str(call), wrong), call.send(api, body=body))
                tried += 1
    assert tried > 500


@pytest.mark.parametrize("body", [b"", b"[1]", b"7", b'"x"', b"{", b'{"a":}', b"\xff", b"[" * 5000])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", ""])
def test_bodies_of_another_kind(api: TestClient, calls: list[Call], body: bytes, kind: str) -> None:
    for call in calls:
        if call.method != "GET":
            headers = {"Content-Type": kind} if kind else {}
            answer = api.request(call.method, call.path, content=body, headers=headers)
            check_words((str(call), body, kind), answer)


def test_wrong_form_fields(api: TestClient, calls: list[Call], document: JsonDict) -> None:
    tried = 0
    for call in calls:
        if call.form is None:
            continue
        content = described_call(document, call)["requestBody"]["content"]["multipart/form-data"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        for field in document["components"]["schemas"][name]["properties"]:
            for value in (*WRONG_TEXTS, *map(json.dumps, WRONG_VALUES)):
                # A field that should be a file is text, and one that should be text is wrong.
                files = tuple(other for other in call.files if other != field)
                wrong = replace(call, files=files, form={field: value})
                check_words((str(call), field, value), wrong.send(api))
                tried += 1
    assert tried > 200


def test_where_nothing_is(api: TestClient) -> None:
    for path in ("/v1/nothing", "/v1/images/x/y", "/v1/images/x", "/v1/jobs/-/items?limit=x"):
        check_words(path, api.get(path))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/images?limit=0", "limit: must be at least 1."),
        ("/v1/images?limit=many", "limit: must be a whole number."),
        ("/v1/images?sort=x", "sort: must be 'created_at' or 'taken_at'."),
        ("/v1/search", "q: is missing or empty."),
        ("/v1/images/x", "image_id: must be a UUID such as"),
        ("/v1/images?since=soon", "since: must be a date and time such as 2026-05-01T12:30:00Z."),
        ("/v1/nothing", "There is nothing at this address."),
    ],
)
def test_what_is_said_of_parameters(api: TestClient, path: str, words: str) -> None:
    assert words in api.get(path).json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"text=cat", "The body must be a JSON object, sent with Content-Type: application/json."),
        (b'{"text": 7}', "text: must be text."),
        (b'{"text":', "The body is not valid JSON, at character 8."),
        (b'{"filters": {"near": {"lat": 91, "lon": 0, "km": 1}}}', "filters.near.lat: must be at"),
    ],
)
def test_what_is_said_of_json(api: TestClient, body: bytes, words: str) -> None:
    headers = {"Content-Type": "application/json" if body.startswith(b"{") else "text/plain"}
    assert words in api.post("/v1/search", content=body, headers=headers).json()["detail"]


def test_what_is_said_of_a_photo_that_is_text(api: TestClient) -> None:
    for path, name in (("/v1/search/image", "photo"), ("/v1/images", "photos")):
        answer = api.post(path, files={"x": ("", b"")}, data={name: "hello"})
        detail = api.post(path, data={name: "hello"}).json()["detail"]
        assert f"{name}" in detail
        assert "must be a file" in detail
        check_words(path, answer)
