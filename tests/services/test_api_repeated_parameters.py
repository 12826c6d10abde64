"""Query parameters that a route does not know, and those that come more than once."""

import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.services.keyed_app import keyed_app


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with keyed_app(tmp_path_factory.mktemp("api")) as opened:
        yield opened.client(opened.app(allow_no_keys=True))


@pytest.mark.parametrize("path", ["/v1/images?", "/v1/facets?by=tag&", "/v1/search?q=cat&"])
def test_a_parameter_that_takes_one_value_is_not_given_twice(api: TestClient, path: str) -> None:
    refused = api.get(f"{path}species=cat&species=dog")
    assert refused.status_code == 422
    assert "species is given more than once" in refused.json()["detail"]
    assert api.get(f"{path}tag=a&tag=b&attr=x=1&attr=y=2&species=cat").status_code == 200


def test_a_deletion_that_names_two_animals_deletes_nothing(api: TestClient) -> None:
    refused = api.delete("/v1/images?animal_id=a&animal_id=b")
    assert refused.status_code == 422
    assert "animal_id is given more than once" in refused.json()["detail"]


def _routes(api: TestClient) -> list[tuple[str, str]]:
    assert isinstance(api.app, FastAPI)
    paths = api.app.openapi()["paths"]
    return [(method.upper(), path) for path, calls in paths.items() for method in calls]


def test_no_route_passes_over_a_name_that_it_does_not_know(api: TestClient) -> None:
    tried = 0
    for method, path in _routes(api):
        address = re.sub(r"\{[^}]*\}", "0" * 32, path)
        answer = api.request(method, f"{address}?stauts=lost")
        # A route whose path or body does not fit either complains about those as well.
        assert answer.status_code in (404, 422), (method, path, answer.status_code)
        if answer.status_code == 422 and method != "HEAD":
            assert "stauts" in answer.text, (method, path, answer.text)
            tried += 1
    assert tried > 30


def test_the_complaint_names_what_was_meant(api: TestClient) -> None:
    detail = api.get("/v1/images?stauts=lost").json()["detail"]
    assert "'stauts'" in detail
    assert "Did you mean 'status'?" in detail
    assert "animal_id" in detail


def test_a_deletion_with_a_second_condition_deletes_nothing(api: TestClient) -> None:
    refused = api.delete("/v1/images?animal_id=D-1&status=adopted")
    assert refused.status_code == 422
    assert "'status'" in refused.json()["detail"]


@pytest.mark.parametrize("selector", ["", "?animal_id=", "?animal_id=%20", "?animal=D-1"])
def test_a_deletion_without_a_selector_is_refused(api: TestClient, selector: str) -> None:
    assert api.delete(f"/v1/images{selector}").status_code == 422
