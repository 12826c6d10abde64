"""What filters ask for: any of several values, none of them, nothing in a field; unknown names."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from petsearch.domain import ImageMetadata, Point
from petsearch.domain.api_keys import Scope
from petsearch.domain.places import distance_m
from tests import pictures
from tests.contract.records import record
from tests.services.keyed_app import KeyedApp, keyed_app

BERLIN, POTSDAM = (52.5213421, 13.4021337), (52.3961234, 13.0581234)
SAID: dict[str, dict[str, Any]] = {
    "lost-rex": {
        **{"status": "lost", "species": "dog", "animal_id": "rex", "location": BERLIN},
        "attributes": {"collar": "red"},
    },
    "found-cat": {
        **{"status": "found", "species": "cat", "tags": ("shy", "old"), "location": POTSDAM},
        "attributes": {"collar": "red", "collar size": "red"},
    },
    "adopted-cat": {
        **{"status": "adopted", "species": "cat", "animal_id": "tom", "taken_at": None},
        "attributes": {"collar": "blue"},
    },
    "bare": {"species": "rabbit", "tags": ("shy",), "taken_at": None},
}
"""By file name; the first was added first."""


def described(number: int, name: str) -> Point:
    one = record(number)
    metadata = replace(
        ImageMetadata(name, taken_at=one.metadata.taken_at), **SAID[name], filename=name
    )
    row = np.array([1, number / 10, 0, 0], np.float32)
    whole = replace(one, metadata=metadata, prediction=None, model_id="tiny-000000000000")
    return Point(whole, row / np.linalg.norm(row))


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("api")) as opened:
        images = opened.services.images
        points = [described(number, name) for number, name in enumerate(SAID)]
        images.writer.insert_everywhere(images.catalogue.collection(), points)
        yield opened


@pytest.fixture(scope="module")
def api(keyed: KeyedApp) -> TestClient:
    return keyed.client(keyed.app(allow_no_keys=True))


def as_json(filters: list[tuple[str, str]]) -> dict[str, Any]:
    """Query parameters as the filters of a search body."""
    lists: dict[str, Any] = {}
    for name, value in filters:
        lists.setdefault({"tag": "tags", "not_tag": "not_tags"}.get(name, name), []).append(value)
    return {
        name: values if len(values) > 1 or "tag" in name else values[0]
        for name, values in lists.items()
    }


def everywhere(api: TestClient, filters: Any) -> dict[str, dict[str, Any]]:
    """The answers of every call that takes filters."""
    body = {"text": "pet", "filters": as_json(filters)}
    fields: dict[str, list[str]] = {}
    for name, value in filters:
        fields.setdefault(name, []).append(value)
    query = {"query": json.dumps({"filters": body["filters"]})}
    files = {"photo": ("a.jpg", pictures.jpeg(1))}
    answers = {
        "list": api.get("/v1/images", params=filters),
        "words": api.get("/v1/search", params=[("q", "pet"), *filters]),
        "composed": api.post("/v1/search", json=body),
        "photo": api.post("/v1/search/image", data=fields, files=files),
        "photo and query": api.post("/v1/search/image", data=query, files=files),
        "facets": api.get("/v1/facets", params=[("by", "species"), *filters]),
    }
    assert {name: a.status_code for name, a in answers.items()} == dict.fromkeys(answers, 200)
    return {name: answer.json() for name, answer in answers.items()}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([("status", "lost"), ("status", "found")], {"lost-rex", "found-cat"}),
        ([("species", "dog"), ("species", "cat"), ("status", "lost")], {"lost-rex"}),
        ([("animal_id", "rex"), ("animal_id", "tom")], {"lost-rex", "adopted-cat"}),
        ([("tag", "shy"), ("tag", "old")], {"found-cat"}),
        ([("not_status", "adopted")], {"lost-rex", "found-cat", "bare"}),
        ([("not_status", "adopted"), ("not_status", "lost")], {"found-cat", "bare"}),
        ([("not_species", "dog")], {"found-cat", "adopted-cat", "bare"}),
        ([("not_animal_id", "rex"), ("not_tag", "old")], {"adopted-cat", "bare"}),
        ([("missing", "location")], {"adopted-cat", "bare"}),
        ([("missing", "animal_id"), ("missing", "status")], {"bare"}),
        ([("missing", "taken_at"), ("status", "adopted")], {"adopted-cat"}),
    ],
)
def test_every_call_takes_any_of_none_of_and_missing(
    api: TestClient, filters: list[tuple[str, str]], names: set[str]
) -> None:
    answers = everywhere(api, filters)
    assert sum(value["count"] for value in answers.pop("facets")["values"]) == len(names)
    found = {call: {item["filename"] for item in said["items"]} for call, said in answers.items()}
    assert found == dict.fromkeys(answers, names)


@pytest.mark.parametrize(
    ("filters", "count", "unknown"),
    [
        ([("breed", "siamesse")], 0, [("breed", "siamesse", "siamese")]),
        ([("species", "unicorn")], 0, [("species", "unicorn", None)]),
        ([("species", "Cats"), ("species", "DOG")], 1, [("species", "Cats", "cat")]),
        ([("not_species", "dgo")], 4, [("not_species", "dgo", "dog")]),
        ([("species", "cat")], 2, []),
        ([("species", "Rabbit")], 1, []),  # no label of the model, but stated
        ([("species", "rabit")], 0, [("species", "rabit", "rabbit")]),
    ],
)
def test_unknown_names_match_nothing_and_are_said(
    api: TestClient,
    filters: list[tuple[str, str]],
    count: int,
    unknown: list[tuple[str, str, str | None]],
) -> None:
    said = [dict(zip(("field", "value", "did_you_mean"), one, strict=True)) for one in unknown]
    for call, answer in everywhere(api, filters).items():
        assert answer["unknown"] == said, call
        if call != "facets":
            assert len(answer["items"]) == count, call


def test_a_delete_takes_one_animal(api: TestClient) -> None:
    for query in ("animal_id=rex&animal_id=tom", "animal_id=rex&not_status=lost", "missing=status"):
        assert api.delete(f"/v1/images?{query}").status_code == 422
    assert len(api.get("/v1/images").json()["items"]) == len(SAID)


def test_a_cursor_goes_on_whatever_the_order_of_the_values(api: TestClient) -> None:
    first = api.get("/v1/images?limit=1&status=lost&status=found").json()
    again = api.get(
        f"/v1/images?limit=1&status=found&status=lost&cursor={first['next_cursor']}"
    ).json()
    assert [page["items"][0]["filename"] for page in (first, again)] == ["found-cat", "lost-rex"]
    other = api.get(f"/v1/images?limit=1&status=found&cursor={first['next_cursor']}")
    assert other.status_code == 422


NEAR = "52.52,13.40,60"


def names_by(api: TestClient, sort: str, **more: Any) -> list[str]:
    """What a search by words, composed or by photo and query shows first, one a page."""
    lat, lon, km = map(float, NEAR.split(","))
    near = {"lat": lat, "lon": lon, "km": km} if more.pop("near", None) else None
    body = {"text": "pet", "sort": sort, "filters": {"near": near}, "limit": 1, **more}
    names: list[str] = []
    while True:
        page = api.post("/v1/search", json=body).json()
        names += [item["filename"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            return names
        body["cursor"] = cursor


def test_a_search_is_ordered_by_distance_or_time(api: TestClient) -> None:
    by_score = ["lost-rex", "found-cat", "adopted-cat", "bare"]
    assert names_by(api, "score") == by_score
    assert names_by(api, "created_at") == by_score[::-1]
    assert names_by(api, "taken_at") == ["found-cat", "lost-rex", "adopted-cat", "bare"]
    assert names_by(api, "distance", near=NEAR) == ["lost-rex", "found-cat"]
    far = api.get("/v1/search?q=pet&near=52.39,13.06,60&sort=distance").json()["items"]
    assert [item["filename"] for item in far] == ["found-cat", "lost-rex"]
    assert names_by(api, "created_at", min_score=0.99) == ["found-cat", "lost-rex"]
    nowhere = api.get("/v1/search?q=pet&sort=distance")
    assert nowhere.status_code == 422
    assert "near" in nowhere.json()["detail"]


def test_distances_are_told_where_a_place_is_asked_for(api: TestClient) -> None:
    for path in ("/v1/images?", "/v1/search?q=pet&"):
        items = api.get(f"{path}near={NEAR}").json()["items"]
        metres = {item["filename"]: item["distance_m"] for item in items}
        assert metres == {
            "lost-rex": pytest.approx(207, abs=2),
            "found-cat": pytest.approx(26_935, abs=40),
        }
        bare = api.get(path.rstrip("?&")).json()["items"]
        assert {item["distance_m"] for item in bare} == {None}


def test_distances_for_others_are_those_of_the_cell(keyed: KeyedApp) -> None:
    nobody = keyed.client(keyed.app(anonymous_search=True))
    keyed.make_key(Scope.ADMIN)
    for query in ("near=52.52,13.40,1", "near=52.5213421,13.4021337,2"):
        lat, lon, _ = map(float, query.removeprefix("near=").split(","))
        (item,) = nobody.get(f"/v1/search?q=pet&sort=distance&{query}").json()["items"]
        assert item["distance_m"] == round(distance_m((lat, lon), (52.52, 13.4)))


def test_attributes_are_facets(api: TestClient) -> None:
    def counts(by: str) -> dict[str, int]:
        values = api.get("/v1/facets", params={"by": by}).json()["values"]
        return {value["value"]: value["count"] for value in values}

    assert counts("attributes") == {"collar=red": 2, "collar=blue": 1, "collar size=red": 1}
    assert counts("attributes.collar") == {"red": 2, "blue": 1}
    assert counts("attributes.nothing") == {}
    wrong = api.get("/v1/facets?by=attributes.a=b")
    assert wrong.status_code == 422
