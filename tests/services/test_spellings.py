"""Photos whose tags and attributes people spell differently, some of an earlier version."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from petsearch.adapters.qdrant import payload
from petsearch.domain import ImageMetadata, Point
from petsearch.maintenance.payloads import PayloadUpdater
from tests.contract.records import record
from tests.services.keyed_app import KeyedApp, keyed_app

SAID: list[tuple[tuple[str, ...], dict[str, str]]] = [
    (("Shy", "Old"), {"Collar": "Red"}),
    (("Shy",), {"Collar": "red"}),
    (("shy",), {"COLLAR": "RED", "chip": "Yes"}),
    (("shy", "SHY"), {"collar": "red"}),
    (("bold",), {}),
    ((), {}),
]
"""Photos 0 to 2 are of an earlier version."""


def described(number: int) -> Point:
    tags, attributes = SAID[number]
    said = ImageMetadata(f"{number}.jpg", tags=tags, attributes=attributes)
    row = np.array([1, number / 10, 0, 0], np.float32)
    whole = replace(record(number), metadata=said, model_id="tiny-000000000000")
    return Point(whole, row / np.linalg.norm(row))


@pytest.fixture
def keyed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("api")) as opened:
        images = opened.services.images
        collection = images.catalogue.collection()
        with monkeypatch.context() as before:
            before.setattr(payload, "derived_fields", lambda _: {"payload_version": 2})
            images.writer.insert_everywhere(collection, [described(n) for n in range(3)])
        images.writer.insert_everywhere(collection, [described(n) for n in (3, 4)])
        yield opened


@pytest.fixture
def api(keyed: KeyedApp) -> TestClient:
    return keyed.client(keyed.app(allow_no_keys=True))


def names(api: TestClient, path: str, **parameters: str) -> set[str]:
    return {item["filename"][0] for item in api.get(path, params=parameters).json()["items"]}


def counts(api: TestClient, by: str, **filters: str) -> dict[str, int]:
    values = api.get("/v1/facets", params={"by": by, **filters}).json()["values"]
    return {value["value"]: value["count"] for value in values}


def answers(api: TestClient) -> dict[str, Any]:
    """What must be the same before, during and after the update."""
    composed = {"text": "pet", "filters": {"not_tags": ["SHY"], "attributes": {}}}
    shown: dict[str, Any] = {
        "list": names(api, "/v1/images", tag=" shy "),
        "words": names(api, "/v1/search", q="pet", tag="sHY", not_tag="old"),
        "tags": counts(api, "tag", not_tag="OLD"),
        "collars": counts(api, "attributes.Collar"),
        "all attributes": counts(api, "attributes"),
    }
    items = api.post("/v1/search", json=composed).json()["items"]
    return shown | {"composed": {item["filename"][0] for item in items}}


def test_words_mean_the_same_before_during_and_after_the_update(
    keyed: KeyedApp, api: TestClient
) -> None:
    right = {
        "list": {"0", "1", "2", "3"},
        "words": {"1", "2", "3"},
        "tags": {"shy": 3, "bold": 1},
        "collars": {"red": 4},
        "all attributes": {"COLLAR=RED": 4, "chip=Yes": 1},
        "composed": {"4"},
    }
    path = f"/v1/images/{record(2).image_id}"
    before = api.get(path)
    assert before.json()["tags"] == ["shy"]
    assert before.json()["attributes"] == SAID[2][1]
    assert answers(api) == right
    storage = keyed.services.storage
    collection = keyed.services.images.catalogue.collection()
    assert storage.index.update_payloads(collection, limit=1) == 1
    assert answers(api) == right
    update = PayloadUpdater(index=storage.index, write_set=storage.write_set)
    update()
    assert storage.index.update_payloads(collection, limit=1) == 0
    assert answers(api) == right
    assert names(api, "/v1/images", attr="collar= RED") == {"0", "1", "2", "3"}
    after = api.get(path)
    assert (after.json(), after.headers["ETag"]) == (before.json(), before.headers["ETag"])


def test_a_name_that_an_earlier_version_stored_as_it_came_is_found(keyed: KeyedApp) -> None:
    name = "Ka\u0308tzchen.jpg"
    images, earlier = keyed.services.images, described(5)
    whole = replace(earlier.record, metadata=ImageMetadata(name))
    images.writer.insert_everywhere(images.catalogue.collection(), [replace(earlier, record=whole)])
    assert images.find_by_name(name).image_id == whole.image_id


def test_a_spelling_that_is_changed_is_shown(api: TestClient) -> None:
    path = f"/v1/images/{record(4).image_id}"
    before = api.get(path)
    changed = api.patch(path, json={"tags": ["Bold "], "attributes": {"Toy": "Ball"}})
    assert (changed.json()["tags"], changed.json()["attributes"]) == (["Bold"], {"Toy": "Ball"})
    assert changed.headers["ETag"] != before.headers["ETag"]
    assert names(api, "/v1/images", tag="bold", attr="TOY=ball") == {"4"}
    both = api.patch(path, json={"tags": ["Bold", "old", "BOLD ", "bold"]})
    assert both.json()["tags"] == ["Bold", "old"]
    api.patch(path, json={"tags": ["Bold"]})
    assert counts(api, "tag", tag="BOLD") == {"Bold": 1}
