"""Who does not see exact places learns the cell of a fixed grid, and no call tells more."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from petsearch.adapters.redis import RedisKeys
from petsearch.domain import ImageRecord, Point, SureFrom
from petsearch.domain.api_keys import Scope
from services.api.routes.images import image_etag
from services.api.schemas.common import View
from tests import pictures
from tests.contract.records import record
from tests.services.keyed_app import KeyedApp, keyed_app

CELL = (52.52, 13.4)
PLACES = [(52.5151234, 13.4049876), (52.5249321, 13.3950456), (52.5200001, 13.4012345678901234)]
"""All in the cell, nearly as far apart as that allows."""


def placed(number: int) -> Point:
    one = record(number)
    metadata = replace(one.metadata, location=PLACES[number])
    row = np.array([1, number / 10, 0, 0], np.float32)
    whole = replace(one, metadata=metadata, phash=record(0).phash, model_id="tiny-000000000000")
    return Point(whole, row / np.linalg.norm(row))


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("api")) as opened:
        images = opened.services.images
        points = [placed(number) for number in range(len(PLACES))]
        images.writer.insert_everywhere(images.catalogue.collection(), points)
        yield opened


def caller(keyed: KeyedApp, *scopes: Scope) -> TestClient:
    key = keyed.make_key(*scopes) if scopes else ""
    return keyed.client(keyed.app(anonymous_search=True), key)


def images_shown(api: TestClient) -> dict[str, list[dict[str, Any]]]:
    """Everywhere that images are shown."""
    image_id = record(0).image_id
    answers = {
        "list": api.get("/v1/images"),
        "words": api.get("/v1/search?q=pet"),
        "composed": api.post("/v1/search", json={"text": "pet"}),
        "similar": api.get(f"/v1/images/{image_id}/similar"),
        "copies": api.get(f"/v1/images/{image_id}/duplicates"),
    }
    shown = {name: a.json()["items"] for name, a in answers.items() if a.status_code == 200}
    groups = api.get("/v1/duplicates?tier=same_photo")
    if groups.status_code == 200:
        shown["duplicates"] = groups.json()["items"][0]["images"]
    return shown | {"one": [api.get(f"/v1/images/{image_id}").json()]}


@pytest.mark.parametrize(
    ("scopes", "precision"),
    [
        ((), "cell"),
        ((Scope.SEARCH, Scope.INGEST, Scope.DELETE), "cell"),
        ((Scope.SEARCH, Scope.PLACES), "exact"),
        ((Scope.ADMIN,), "exact"),
    ],
)
def test_places_are_shown_exactly_only_to_the_scope_places(
    keyed: KeyedApp, scopes: tuple[Scope, ...], precision: str
) -> None:
    shown = images_shown(caller(keyed, *scopes))
    assert len(shown) == (7 if scopes else 5)
    for call, items in shown.items():
        assert {item["location_precision"] for item in items} == {precision}, call
        places = {(item["location"]["lat"], item["location"]["lon"]) for item in items}
        assert (places == {CELL}) is (precision == "cell"), call


def count_near(api: TestClient, near: dict[str, float], number: int) -> int:
    """How many photos the list, a search or the facets find, in turn."""
    query = "{lat},{lon},{km}".format(**near)
    if number % 3 == 0:
        return len(api.get("/v1/images", params={"near": query}).json()["items"])
    if number % 3 == 1:
        body = {"text": "pet", "filters": {"near": near}}
        return len(api.post("/v1/search", json=body).json()["items"])
    values = api.get("/v1/facets", params={"by": "tag", "near": query}).json()["values"]
    return sum(value["count"] for value in values)


def test_a_thousand_queries_find_no_more_than_the_cell(keyed: KeyedApp) -> None:
    """Photos of one cell are found by the same queries, wherever in it they are."""
    rng = random.Random(17)
    nobody, exact = caller(keyed), caller(keyed, Scope.ADMIN)
    told_apart = 0
    for number in range(1000):
        lat, lon = (degrees + rng.uniform(-0.02, 0.02) for degrees in CELL)
        near = {"lat": lat, "lon": lon, "km": rng.uniform(0.05, 2.5)}
        seen = count_near(nobody, near, number)
        assert seen in (0, len(PLACES)), near
        if number % 5 == 0:
            told_apart += count_near(exact, near, number) != seen
    assert told_apart > 10


def test_etags_hold_no_trace_of_the_place_and_any_of_them_permits_a_change(keyed: KeyedApp) -> None:
    path = f"/v1/images/{record(1).image_id}"
    nobody, editor = caller(keyed), caller(keyed, Scope.INGEST)
    tags = {api.get(path).headers["ETag"] for api in (nobody, caller(keyed, Scope.ADMIN))}
    assert len(tags) == 2
    assert len(set(map(_state, tags))) == 1
    view = View(SureFrom(0.9, 0.9), sees_places=True)
    assert len({image_etag(_at(placed(1).record, place), view) for place in PLACES}) == 1
    for tag in tags:
        assert editor.patch(path, json={}, headers={"If-Match": tag}).status_code == 200
    changed = editor.patch(path, json={"status": "found"}, headers={"If-Match": tags.pop()})
    assert (changed.status_code, changed.json()["location_precision"]) == (200, "cell")
    assert _state(nobody.get(path).headers["ETag"]) == _state(changed.headers["ETag"])
    moved = editor.patch(path, json={"location": {"lat": 52.5240001, "lon": 13.3990001}})
    assert _state(nobody.get(path).headers["ETag"]) == _state(moved.headers["ETag"])
    assert moved.headers["ETag"] != changed.headers["ETag"]


def _state(tag: str) -> str:
    return tag.strip('"').partition(".")[0]


def test_who_signs_in_keeps_no_answer_from_before(keyed: KeyedApp) -> None:
    path = f"/v1/images/{record(0).image_id}"
    nobody = caller(keyed)
    seen = {"If-None-Match": nobody.get(path).headers["ETag"]}
    assert nobody.get(path, headers=seen).status_code == 304
    answer = caller(keyed, Scope.SEARCH, Scope.PLACES).get(path, headers=seen)
    assert (answer.status_code, answer.json()["location_precision"]) == (200, "exact")


def _at(one: ImageRecord, place: tuple[float, float]) -> ImageRecord:
    return replace(one, metadata=replace(one.metadata, location=place))


def test_a_patch_of_something_else_leaves_the_place_alone(keyed: KeyedApp) -> None:
    image_id = record(2).image_id
    images = keyed.services.images
    before = images.get(image_id).metadata.location
    editor = caller(keyed, Scope.INGEST)
    assert editor.patch(f"/v1/images/{image_id}", json={"status": "lost"}).status_code == 200
    assert images.get(image_id).metadata.location == before


def test_a_record_that_is_sent_back_with_its_cell_leaves_the_place_alone(keyed: KeyedApp) -> None:
    image_id = record(2).image_id
    path, images = f"/v1/images/{image_id}", keyed.services.images
    before = images.get(image_id).metadata.location
    editor, exact = caller(keyed, Scope.INGEST), caller(keyed, Scope.ADMIN)
    shown = editor.get(path).json()["location"]
    answer = editor.patch(path, json={"status": "back", "location": shown})
    assert (answer.status_code, answer.json()["status"]) == (200, "back")
    assert images.get(image_id).metadata.location == before
    assert exact.patch(path, json={"location": shown}).status_code == 200
    assert images.get(image_id).metadata.location == CELL


@pytest.mark.parametrize("scopes", [(Scope.INGEST,), (Scope.INGEST, Scope.PLACES)])
def test_jobs_keep_whether_who_opened_them_sees_exact_places(
    keyed: KeyedApp, scopes: tuple[Scope, ...]
) -> None:
    """So that a photo that is sent again with its cell keeps its place."""
    api = caller(keyed, *scopes)
    photos = {"photos": ("a.jpg", pictures.jpeg(61_000))}
    table = {"file": ("a.csv", b"url\nhttps://example.org/a.jpg\n")}
    answers = [
        api.post("/v1/jobs", json={"source": "again"}),
        api.post("/v1/images", files=photos),
        api.post("/v1/jobs/upload", files=table, data={"kind": "manifest"}),
    ]
    for answer in answers:
        job = keyed.services.jobs.get(answer.json()["job_id"])
        assert job.sees_places is (Scope.PLACES in scopes)


@pytest.mark.parametrize("scopes", [(), (Scope.SEARCH, Scope.INGEST), (Scope.PLACES, Scope.SEARCH)])
def test_attributes_that_name_a_place_take_the_scope_places(
    keyed: KeyedApp, scopes: tuple[Scope, ...]
) -> None:
    said = {"Found location": "12 Elm Street", "note": "location=12 Elm Street"}
    for number in range(len(PLACES)):
        path = f"/v1/images/{record(number).image_id}"
        assert caller(keyed, Scope.ADMIN).patch(path, json={"attributes": said}).is_success
    api, sees = caller(keyed, *scopes), Scope.PLACES in scopes
    for call, items in images_shown(api).items():
        assert items, call
        for item in items:
            assert item["attributes"].keys() >= {"note"}, call
            assert ("Found location" in item["attributes"]) is sees, call
    counted = api.get("/v1/facets?by=attributes").json()["values"]
    names = {value["value"].partition("=")[0] for value in counted}
    assert names >= {"note"}
    assert ("Found location" in names) is sees
    tells = [
        api.get("/v1/facets", params={"by": "attributes.Found location"}),
        api.get("/v1/images", params={"attr": "Found location=12 Elm Street"}),
        api.get("/v1/search", params={"q": "pet", "attr": "found_location=12 Elm Street"}),
        api.post(
            "/v1/search", json={"text": "pet", "filters": {"attributes": {"address": "here"}}}
        ),
    ]
    assert {answer.status_code for answer in tells} == {200 if sees else 422}
    assert sees or all("scope places" in answer.json()["detail"] for answer in tells)


def test_an_edit_by_who_does_not_see_an_address_leaves_it_alone(keyed: KeyedApp) -> None:
    path = f"/v1/images/{record(1).image_id}"
    caller(keyed, Scope.ADMIN).patch(path, json={"attributes": {"address": "here", "note": "a"}})
    editor = caller(keyed, Scope.INGEST)
    shown = editor.patch(path, json={"attributes": {"note": "b"}}).json()["attributes"]
    assert "address" not in shown
    kept = caller(keyed, Scope.ADMIN).get(path).json()["attributes"]
    assert (kept["address"], kept["note"]) == ("here", shown["note"]) == ("here", "b")


def test_a_clear_by_who_does_not_see_an_address_leaves_it_alone(keyed: KeyedApp) -> None:
    path = f"/v1/images/{record(1).image_id}"
    caller(keyed, Scope.ADMIN).patch(path, json={"attributes": None})
    said = {"attributes": {"address": "here", "note": "a"}}
    caller(keyed, Scope.ADMIN).patch(path, json=said)
    cleared = caller(keyed, Scope.INGEST).patch(path, json={"attributes": None})
    assert cleared.json()["attributes"] == {}
    assert caller(keyed, Scope.ADMIN).get(path).json()["attributes"] == {"address": "here"}
    caller(keyed, Scope.ADMIN).patch(path, json={"attributes": None})
    assert caller(keyed, Scope.ADMIN).get(path).json()["attributes"] == {}


def test_attributes_are_edited_in_any_spelling(keyed: KeyedApp) -> None:
    path, api = f"/v1/images/{record(1).image_id}", caller(keyed, Scope.ADMIN)
    api.patch(path, json={"attributes": None})
    api.patch(path, json={"attributes": {"Collar": "red", "Note": "a"}})
    edited = api.patch(path, json={"attributes": {"collar": "blue", "NOTE": None}})
    assert edited.json()["attributes"] == {"collar": "blue"}


def test_originals_take_the_scope_places(keyed: KeyedApp) -> None:
    path = f"/v1/images/{record(0).image_id}/original"
    answers = [
        caller(keyed, *scopes).get(path)
        for scopes in ((), (Scope.SEARCH, Scope.INGEST), (Scope.PLACES,))
    ]
    assert [answer.status_code for answer in answers] == [401, 403, 404]  # no bytes are stored
    assert "places" in answers[1].json()["detail"]


def test_what_is_shown_to_a_key_is_not_for_shared_caches(keyed: KeyedApp) -> None:
    for path in ("/v1/images", f"/v1/images/{record(0).image_id}", "/v1/search?q=pet"):
        answer = caller(keyed, Scope.PLACES, Scope.SEARCH).get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Authorization" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("scopes", "sees"), [(Scope.SEARCH, True), (Scope.INGEST, False), (Scope.DELETE, False)]
)
def test_earlier_keys_that_search_keep_exact_places(
    keyed: KeyedApp, scopes: Scope, *, sees: bool
) -> None:
    key = keyed.make_key(scopes)
    assert isinstance(keyed.store, RedisKeys)
    stored = f"petsearch:key:{key.split('_')[1]}"
    assert keyed.store._redis.hdel(stored, "format") == 1
    precision = "exact" if sees else "cell"
    app = keyed.app(anonymous_search=True)
    assert keyed.client(app, key).get("/v1/images").json()["items"][0]["location_precision"] == (
        precision
    )
