"""No route ignores a part of its input that it does not understand.

Every route is sent a valid request with one thing wrong, and must reject it for that thing.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from petsearch.domain import Point
from tests import pictures
from tests.contract.records import record
from tests.services.api_calls import Answer, Call, described_call, example_of, valid_calls
from tests.services.keyed_app import KeyedApp, keyed_app

ANIMAL = "D-1"
PHOTO = replace(record(1), model_id="tiny-000000000000")
ZERO_WIDTH = "%E2%80%8B"
MAY_BE_REPEATED = {"species", "breed", "status", "animal_id", "tag", "attr", "missing"} | {
    f"not_{name}" for name in ("species", "breed", "status", "animal_id", "tag")
}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    """One photo is in the index, and one job is open."""
    with keyed_app(tmp_path_factory.mktemp("api")) as opened:
        services = opened.services
        photo = replace(PHOTO, metadata=replace(PHOTO.metadata, animal_id=ANIMAL))
        point = Point(photo, np.array([1, 0, 0, 0], np.float32))
        services.images.writer.insert_everywhere(services.images.catalogue.collection(), [point])
        yield opened


@pytest.fixture(scope="module")
def api(keyed: KeyedApp) -> TestClient:
    return keyed.client(keyed.app(allow_no_keys=True))


@pytest.fixture(scope="module")
def job_id(api: TestClient) -> str:
    return str(api.post("/v1/jobs", json={"source": "strict"}).json()["job_id"])


@pytest.fixture(scope="module")
def calls(api: TestClient, job_id: str) -> list[Call]:
    return valid_calls(api, PHOTO.image_id, job_id)


def _state(api: TestClient) -> list[object]:
    paths = ("/v1/images", "/v1/jobs", "/v1/keys", "/v1/models")
    return [api.get(path).json() for path in paths]


@pytest.fixture(autouse=True)
def changes_nothing(api: TestClient, job_id: str) -> Iterator[None]:
    assert job_id in str(_state(api))
    before = _state(api)
    yield
    assert _state(api) == before


def check_rejected(call: Call, answer: Answer, words: str) -> None:
    assert answer.status_code == 422, (str(call), answer.status_code, answer.text)
    if call.method != "HEAD":
        assert words in answer.json()["detail"], (str(call), answer.text)


def test_an_unknown_query_parameter(api: TestClient, calls: list[Call]) -> None:
    assert len(calls) > 40
    for call in calls:
        check_rejected(call, call.send(api, "stauts=lost"), "'stauts'")


def test_a_single_value_given_twice(api: TestClient, calls: list[Call]) -> None:
    assert isinstance(api.app, FastAPI)
    document = api.app.openapi()
    tried = 0
    for call in calls:
        described = described_call(document, call)
        for parameter in described.get("parameters", ()):
            is_list = "array" in json.dumps(parameter["schema"])
            is_filter = call.method in ("GET", "HEAD") and parameter["name"] in MAY_BE_REPEATED
            assert is_list == (is_filter and "/jobs" not in call.path), (str(call), parameter)
            if parameter["in"] == "query" and not is_list:
                name = parameter["name"]
                value = call.params.get(name) or example_of(document, parameter["schema"])
                twice = f"{name}={value}" if name in call.params else f"{name}=1&{name}=1"
                check_rejected(call, call.send(api, twice), f"{name} is given more than once")
                tried += 1
    assert tried > 30


def test_an_unknown_json_field(api: TestClient, calls: list[Call]) -> None:
    for call in calls:
        body = json.dumps({**(call.body or {}), "stauts": "lost"}).encode()
        if call.form is None:
            words = "'stauts'" if call.body is not None else "takes no body"
            check_rejected(call, call.send(api, body=body), words)
        else:
            bare = replace(call, form=None, body={"stauts": "lost"})
            check_rejected(call, bare.send(api), "send a form")


def test_a_json_field_given_twice(api: TestClient, calls: list[Call]) -> None:
    tried = 0
    for call in calls:
        if call.body:
            said = json.dumps(call.body)
            twice = f"{said[:-1]}, {said[1:]}".encode()
            check_rejected(call, call.send(api, body=twice), "more than once")
            tried += 1
    assert tried > 5


def test_an_unknown_form_field(api: TestClient, calls: list[Call]) -> None:
    for call in calls:
        words = "'stauts'" if call.form is not None else ""
        check_rejected(call, call.send(api, stauts="lost"), words)


def test_a_form_field_given_twice(api: TestClient, calls: list[Call]) -> None:
    for call in calls:
        for name in ("status", "metadata", "query", "on_duplicate", "kind", "limit"):
            is_any_of = name == "status" and call.path == "/v1/search/image"
            if call.form is not None and not is_any_of:
                answer: Answer = replace(call, form={name: ["a", "a"]}).send(api)
                is_known = "more than once" in answer.text
                check_rejected(call, answer, name if is_known else "There is no form field")
    answer = api.post("/v1/search/image", files=[("photo", b"a"), ("photo", b"b")])
    assert "photo is given more than once" in answer.json()["detail"]


@pytest.mark.parametrize("nothing", ["", "%20", "%09%0A", ZERO_WIDTH, "%00", "%E3%85%A4"])
def test_an_empty_selector_of_a_change(api: TestClient, calls: list[Call], nothing: str) -> None:
    assert isinstance(api.app, FastAPI)
    document = api.app.openapi()
    tried = []
    for call in calls:
        if call.method == "GET" or call.path.startswith("/v1/search"):
            continue
        for parameter in described_call(document, call).get("parameters", ()):
            if parameter["in"] == "query":
                bare = replace(call, params={})
                check_rejected(call, bare.send(api, f"{parameter['name']}={nothing}"), "is empty")
                tried.append(parameter["name"])
    assert "animal_id" in tried


def test_an_empty_name_in_the_path_of_a_change(api: TestClient) -> None:
    for path in (f"/v1/jobs/{ZERO_WIDTH}", "/v1/keys/%20", "/v1/models/%20/collection"):
        assert api.delete(path).status_code == 422


@pytest.mark.parametrize("field", ["stauts", "image_id", "created_at"])
def test_an_unknown_field_of_a_patch(api: TestClient, field: str) -> None:
    answer = api.patch(f"/v1/images/{PHOTO.image_id}", json={"status": "lost", field: "x"})
    assert answer.status_code == 422
    assert f"There is no field {field!r} here" in answer.json()["detail"]


def test_the_error_names_what_was_meant_and_what_there_is(api: TestClient) -> None:
    photo = {"photo": ("a.jpg", pictures.jpeg(1))}
    for answer in (
        api.get("/v1/images?stauts=lost"),
        api.post("/v1/search", json={"text": "cat", "filters": {"stauts": "lost"}}),
        api.post("/v1/search/image", files=photo, data={"stauts": "lost"}),
        api.post("/v1/search/image", files=photo, data={"query": '{"filters": {"stauts": "x"}}'}),
        api.patch(f"/v1/images/{PHOTO.image_id}", json={"stauts": "lost"}),
    ):
        assert answer.status_code == 422
        detail = answer.json()["detail"]
        assert "'stauts'" in detail
        assert "Did you mean 'status'?" in detail
        assert "animal_id" in detail


def test_a_second_condition_of_a_deletion(api: TestClient) -> None:
    address = f"/v1/images?animal_id={ANIMAL}"
    assert "'status'" in api.delete(f"{address}&status=adopted").json()["detail"]
    answer = api.request("DELETE", address, json={"status": "adopted"})
    assert "takes no body" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b" \n", b"{}", b"null"])
def test_a_body_that_says_nothing_is_none(api: TestClient, body: bytes) -> None:
    assert api.request("GET", "/v1/jobs", content=body).status_code == 200


@pytest.mark.parametrize(
    ("metadata", "plain", "words"),
    [
        ('{"species": "cat"}', {"species": "cat"}, "species is in metadata and beside it"),
        ('{"breed": "a", "breed": "b"}', {}, "'breed' is given more than once"),
        ("{", {}, "metadata is not valid JSON"),
        ('{"stauts": "a"}', {}, "metadata: There is no field 'stauts' here"),
    ],
)
def test_descriptions_of_an_upload(
    api: TestClient, job_id: str, metadata: str, plain: dict[str, str], words: str
) -> None:
    for path in ("/v1/images", f"/v1/jobs/{job_id}/photos"):
        files = {"photos": ("a.jpg", pictures.jpeg(1))}
        answer = api.post(path, files=files, data={"metadata": metadata, **plain})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


def test_what_may_be_repeated(api: TestClient) -> None:
    assert api.get("/v1/images?tag=a&tag=b&attr=x=1&attr=y=2&species=cat").status_code == 200
