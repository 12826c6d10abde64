"""Composed search, filters, facets and walks over HTTP against a real standalone server."""

import json
from typing import Any

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict
from petsearch.sample.catalogue import catalogue

BERLIN = {"lat": 52.521, "lon": 13.402}
POTSDAM = {"lat": 52.396, "lon": 13.058}
TAG = "composed"


@pytest.fixture(scope="module", autouse=True)
def animals(server_url: str) -> list[str]:
    """Nineteen drawings, one of each kind, as photos of five animals with everything said."""
    photos = [
        Photo(drawing.filename, drawing.to_jpeg(), {"breed": drawing.kind, **_said(number)})
        for number, drawing in enumerate(catalogue(19, seed=11))
    ]
    with Client(server_url) as client:
        job = upload(client, PhotoSource(iter(photos), len(photos)), name="animals")
    assert job["counts"]["ingested"] + job["counts"]["duplicate"] == 19
    return [photo.filename for photo in photos]


def _said(number: int) -> JsonDict:
    return {
        "animal_id": f"animal-{number % 5}",
        "status": "Lost" if number % 2 else "shelter",
        "tags": [TAG, "shy"] if number % 3 else [TAG],
        "attributes": {"collar": "red" if number % 4 else "blue"},
        "location": BERLIN if number < 10 else POTSDAM,
        "taken_at": f"2026-03-{number + 1:02d}T12:00:00Z",
    }


def breeds(answer: JsonDict) -> list[str]:
    return [hit["breed"] for hit in answer["items"]]


def test_words_and_a_photo_together_find_what_both_say(client: Client) -> None:
    husky = client.search("husky", limit=1)["items"][0]["image_id"]
    both = client.search_composed({"text": "husky in the snow", "image_id": husky, "limit": 2})
    assert breeds(both) == ["husky", "husky"]
    assert husky not in [hit["image_id"] for hit in both["items"]]


def test_the_heavier_part_decides(client: Client) -> None:
    pug = client.search("pug", limit=1)["items"][0]["image_id"]
    words = {"text": "siamese cat", "image_id": pug, "limit": 1}
    by_text = client.search_composed({**words, "weights": {"text": 20}})
    by_photo = client.search_composed({**words, "weights": {"image": 20}})
    assert breeds(by_text) == ["siamese"]
    assert breeds(by_photo) == breeds(client.similar(pug, limit=1)) != ["siamese"]


def test_what_it_should_look_less_like_goes_down(client: Client) -> None:
    plain = client.search_composed({"text": "cat", "limit": 10})
    unwanted = breeds(plain)[0]
    negative = [{"text": unwanted}]
    less = client.search_composed(
        {"text": "cat", "negative": negative, "weights": {"negative": 0.8}, "limit": 10}
    )
    assert unwanted in breeds(plain)
    assert unwanted not in breeds(less)


def test_several_examples_count_each(client: Client) -> None:
    beagle, (siamese, other) = (
        client.search(name, limit=2, tag=TAG)["items"] for name in ("beagle", "siamese")
    )
    firsts = [{"image_id": hit["image_id"]} for hit in (beagle[0], siamese)]

    def rank_of_the_other(examples: list[JsonDict]) -> int:
        query = {"positive": examples, "filters": {"tags": [TAG]}, "limit": 100}
        hits = client.search_composed(query)["items"]
        found = [hit["image_id"] for hit in hits]
        assert not {example["image_id"] for example in examples} & set(found)
        return found.index(other["image_id"])

    assert rank_of_the_other(firsts) < rank_of_the_other(firsts[:1])
    one = client.search_composed({"image_id": firsts[0]["image_id"], "limit": 5})
    same = client.search_composed({"positive": firsts[:1], "limit": 5})
    assert [hit["image_id"] for hit in same["items"]] == [hit["image_id"] for hit in one["items"]]
    assert same["items"][0]["confidence"] is not None


def test_a_photo_goes_with_the_same_json(client: Client, http: httpx.Client) -> None:
    url = client.search("beagle", limit=1)["items"][0]["urls"]["display"]
    photo = http.get(url).content
    dogs = client.search_composed({"text": "dog", "filters": {"species": "dog"}}, photo)
    assert breeds(dogs)[0] == "beagle"
    assert {h["species"] for h in dogs["items"] if h["species_source"] != "unsure"} == {"dog"}
    both = http.post(
        "/v1/search/image",
        files={"photo": ("x.jpg", photo)},
        data={"query": "{}", "limit": "3"},
    )
    assert both.status_code == 422
    assert "inside query" in both.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "what to look for"),
        ({"text": " "}, "what to look for"),
        ({"text": "cat", "colour": "red"}, "colour"),
        ({"text": "cat", "negative": [{"text": "x", "image_id": None, "y": 1}]}, "y"),
        ({"text": "cat", "negative": [{}]}, "either text or image_id"),
        ({"text": "cat", "weights": {"text": 0}}, "greater than 0"),
        ({"text": "cat", "group_by": "breed"}, "animal"),
        ({"text": "cat", "filters": {"near": {"lat": 91, "lon": 0, "km": 1}}}, "lat"),
        ({"text": "cat", "cursor": "abc"}, "cursor"),
        ({"text": "cat", "negative": [{"text": "cat"}], "weights": {"negative": 1}}, "cancel"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_wrong_composition_is_explained(http: httpx.Client, body: JsonDict, words: str) -> None:
    answer = http.post("/v1/search", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    if body:
        beside = http.post(
            "/v1/search/image", files={"photo": ("x", b"")}, data={"query": json.dumps(body)}
        )
        assert beside.status_code == 422


def test_an_image_that_is_not_there_is_named(http: httpx.Client) -> None:
    absent = "6f1f32cf-0000-4000-8000-000000000000"
    answer = http.post("/v1/search", json={"text": "cat", "negative": [{"image_id": absent}]})
    assert answer.status_code == 404
    assert absent in answer.json()["detail"]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"tag": [TAG]}, 19),
        ({"tag": [TAG, "shy"]}, 12),
        ({"tag": [TAG], "status": "LOST"}, 9),
        ({"tag": [TAG], "attr": ["collar=blue"]}, 5),
        ({"animal_id": "animal-4"}, 3),
        ({"tag": [TAG], "near": "52.52,13.40,5"}, 10),
        ({"tag": [TAG], "near": "52.52,13.40,60"}, 19),
        ({"near": "-33.9,151.2,50"}, 0),
        ({"taken_since": "2026-03-05T00:00:00Z", "taken_until": "2026-03-07T00:00:00Z"}, 2),
        # Midnight on the 7th is excluded, and so is noon; the 7th as a date alone is not.
        ({"taken_since": "2026-03-05", "taken_until": "2026-03-07"}, 3),
        ({"taken_since": "2026-03-07", "taken_until": "2026-03-07"}, 1),
        ({"taken_since": "2026-03-07T12:00:00Z", "taken_until": "2026-03-07T12:00:00Z"}, 0),
        ({"tag": [TAG], "taken_until": "9999-12-31"}, 19),
        ({"tag": [TAG], "until": "2001-01-01"}, 0),
        ({"tag": [TAG], "until": "2001-01-01T00:00:00"}, 0),
        ({"tag": [TAG], "since": "2001-01-01T00:00:00"}, 19),
    ],
    ids=lambda value: str(value)[:60],
)
def test_filters_hold_in_lists_and_searches(
    http: httpx.Client, filters: dict[str, Any], count: int
) -> None:
    listed = http.get("/v1/images", params={"limit": 100, **filters}).json()["items"]
    found = http.get("/v1/search", params={"q": "pet", "limit": 100, **filters}).json()["items"]
    assert len(listed) == len(found) == count
    renamed = {"tag": "tags", "attr": "attributes"}
    body = {renamed.get(name, name): value for name, value in filters.items()}
    if not {"attr", "near"} & set(filters):
        query = {"text": "pet", "limit": 100, "filters": body}
        composed = http.post("/v1/search", json=query).json()["items"]
        assert [hit["image_id"] for hit in composed] == [hit["image_id"] for hit in found]
    assert {item["image_id"] for item in listed} == {item["image_id"] for item in found}


@pytest.mark.parametrize("filters", ["attr=red", "near=1,2", "near=95,0,1", "since=soon"])
def test_a_filter_that_says_nothing_is_refused(http: httpx.Client, filters: str) -> None:
    answer = http.get(f"/v1/search?q=cat&{filters}")
    assert answer.status_code == 422
    assert filters.partition("=")[0] in answer.json()["detail"]


def test_metadata_comes_back_with_its_place(http: httpx.Client) -> None:
    item = http.get("/v1/images", params={"animal_id": "animal-4", "sort": "taken_at"}).json()
    assert [one["location"] for one in item["items"]] == [POTSDAM, BERLIN, BERLIN]


def test_a_list_by_time_taken_is_in_its_order(http: httpx.Client) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        params = {"tag": TAG, "sort": "taken_at", "limit": "4"} | (
            {"cursor": cursor} if cursor else {}
        )
        page = http.get("/v1/images", params=params).json()
        seen += [item["taken_at"] for item in page["items"]]
        if not (cursor := page["next_cursor"]):
            break
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 19


def test_facets_count_under_the_filters(client: Client) -> None:
    assert client.facets("status", tag=TAG) == {"shelter": 10, "lost": 9}
    assert client.facets("tag", animal_id="animal-4") == {TAG: 3, "shy": 2}
    assert set(client.facets("species", tag=TAG)) == {"cat", "dog"}
    assert sum(client.facets("breed", tag=TAG, species="cat").values()) == 8


def test_a_walk_by_cursor_repeats_nothing(http: httpx.Client) -> None:
    every = http.get("/v1/search", params={"q": "cat", "tag": TAG, "limit": 100}).json()
    assert every["next_cursor"] is None
    walked: list[str] = []
    params: dict[str, Any] = {"q": "cat", "tag": TAG, "limit": 9}
    while True:
        page = http.get("/v1/search", params=params).json()
        walked += [hit["image_id"] for hit in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert walked == [hit["image_id"] for hit in every["items"]]
    assert len(walked) == 19


def test_a_cursor_belongs_to_its_search(http: httpx.Client) -> None:
    cursor = http.get("/v1/search", params={"q": "cat", "limit": 2}).json()["next_cursor"]
    changes: list[dict[str, str | float]] = [
        {"q": "dog"},
        {"q": "cat", "species": "cat"},
        {"q": "cat", "min_score": 0.1},
    ]
    for changed in changes:
        answer = http.get("/v1/search", params={**changed, "cursor": cursor})
        assert answer.status_code == 422, changed
        assert "another search" in answer.json()["detail"]


def test_grouped_results_show_each_animal_once(client: Client) -> None:
    query = {"text": "dog", "filters": {"tags": [TAG]}, "group_by": "animal", "limit": 3}
    first = client.search_composed(query)
    rest = client.search_composed({**query, "cursor": first["next_cursor"]})
    shown = [hit["animal_id"] for hit in (*first["items"], *rest["items"])]
    assert sorted(shown) == [f"animal-{number}" for number in range(5)]
    assert rest["next_cursor"] is None


def test_a_misspelt_breed_is_searched_for_by_its_name_and_said(client: Client) -> None:
    found = client.search("german shepard", limit=1)
    assert found["searched_for"] == "german shepherd"
    assert breeds(found) == ["german shepherd"]
    as_given = client.search("german shepard", limit=1, spelling="off")
    assert as_given["searched_for"] is None
    assert client.search("german shepherd", limit=1)["searched_for"] is None


def test_a_correction_filters_nothing(client: Client) -> None:
    corrected = client.search("siamease", tag=TAG, limit=100)
    assert len(set(breeds(corrected))) == 19


def test_confidence_is_said_for_breeds_species_and_photos_only(client: Client) -> None:
    siamese = client.search("a Siamese cat", limit=2)["items"]
    assert all(hit["confidence"] > 0.8 for hit in siamese)
    assert client.search("dog", limit=1)["items"][0]["confidence"] > 0.8
    similar = client.similar(siamese[0]["image_id"], limit=1)["items"][0]
    assert 0 < similar["confidence"] < 1
    for other in ("husky in the snow", "red sports car"):
        assert client.search(other, limit=1)["items"][0]["confidence"] is None
    raw = client.search("siamese", limit=1, prompt="raw")["items"][0]
    assert raw["confidence"] is None


def test_a_least_confidence_cuts_where_it_says(client: Client) -> None:
    sure = client.search("dalmatian", limit=100, min_confidence=0.5)["items"]
    every = client.search("dalmatian", limit=100)["items"]
    expected = [hit["image_id"] for hit in every if hit["confidence"] >= 0.5]
    assert [hit["image_id"] for hit in sure] == expected
    assert 0 < len(sure) < len(every)


def test_a_least_confidence_where_none_is_known_is_refused(http: httpx.Client) -> None:
    answer = http.get("/v1/search", params={"q": "husky in snow", "min_confidence": 0.5})
    assert answer.status_code == 422
    assert "min_confidence" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["red sports car", "slice of pizza", "helicopter", "tax invoice"])
def test_a_query_about_something_else_is_said_to_be_one(client: Client, query: str) -> None:
    answer = client.search(query, limit=3)
    assert answer["no_good_match"] is True
    assert len(answer["items"]) == 3


@pytest.mark.parametrize("query", ["siamese", "black dog", "husky in the snow", "kitten"])
def test_a_query_about_pets_is_not(client: Client, query: str) -> None:
    assert client.search(query, limit=3)["no_good_match"] is False
