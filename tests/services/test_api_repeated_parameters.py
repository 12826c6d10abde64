"""Query parameters that come more than once."""

from collections.abc import Iterator

import pytest
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
