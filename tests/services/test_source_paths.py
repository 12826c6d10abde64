"""The path that a photo had in its folder is shown only to callers with a key."""

from pathlib import Path

import pytest

from petsearch.domain.api_keys import Scope
from tests.services.house import open_house, photo
from tests.services.keyed_app import KeyedApp


@pytest.mark.parametrize("has_key", [True, False])
def test_it_is_shown_with_a_key_alone(tmp_path: Path, *, has_key: bool) -> None:
    with open_house(tmp_path) as house:
        (image_id,) = house.ingest(photo(1, source_path="A-17/1.jpg"))
        keyed = KeyedApp(house.services, house.services.keys.store)
        key = keyed.make_key(Scope.SEARCH)
        client = keyed.client(keyed.app(anonymous_search=True), key if has_key else "")
        expected = "A-17/1.jpg" if has_key else None
        assert client.get(f"/v1/images/{image_id}").json()["source_path"] == expected
        (listed,) = client.get("/v1/images").json()["items"]
        assert listed["source_path"] == expected
        found = client.get("/v1/search", params={"q": "cat"})
        assert found.status_code == 200
        assert "A-17/1.jpg" not in found.text
