"""Search over HTTP against a real standalone server: right answers, and clear errors."""

import re
from io import BytesIO

import httpx
import pytest
from PIL import Image

from petsearch.client import Client
from tests import pictures


def test_words_find_what_the_pictures_show(client: Client) -> None:
    answer = client.search("dalmatian", limit=2)
    assert [hit["breed"] for hit in answer["items"]] == ["dalmatian", "dalmatian"]
    scores = [hit["score"] for hit in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["no_good_match"] is False
    assert answer["model_id"].startswith("sample-")


def test_a_photo_finds_itself_first(client: Client, http: httpx.Client) -> None:
    wanted = client.search("husky", limit=1)["items"][0]
    display = http.get(wanted["urls"]["display"]).content
    found = client.search_photo(display, limit=3)["items"]
    assert found[0]["image_id"] == wanted["image_id"]
    assert found[0]["score"] > 0.95


def test_similar_leaves_the_photo_itself_out(client: Client) -> None:
    wanted = client.search("siamese cat", limit=1)["items"][0]
    similar = client.similar(wanted["image_id"], limit=39)["items"]
    assert wanted["image_id"] not in [hit["image_id"] for hit in similar]
    assert "siamese" in [hit["breed"] for hit in similar[:10]]


def test_filters_hold_for_every_hit(client: Client) -> None:
    cats = client.search("dalmatian", species="cat", limit=50)["items"]
    assert {hit["species"] for hit in cats if hit["species_source"] != "unsure"} == {"cat"}
    huskies = client.search("on grass", breed="Husky", limit=50)["items"]
    assert {hit["breed"] for hit in huskies if hit["breed_source"] == "label"} == {"husky"}
    assert {hit["species"] for hit in huskies if hit["species_source"] != "unsure"} == {"dog"}


def test_min_score_cuts_and_says_when_nothing_is_left(client: Client) -> None:
    every = client.search("corgi", limit=20)["items"]
    between = (every[0]["score"] + every[-1]["score"]) / 2
    cut = client.search("corgi", limit=20, min_score=between)["items"]
    assert 0 < len(cut) < len(every)
    assert all(hit["score"] >= between for hit in cut)
    nothing = client.search("corgi", min_score=1.0)
    assert nothing["items"] == []
    assert nothing["no_good_match"] is True


def test_a_hit_is_not_left_out_by_what_it_is_shown_with(client: Client) -> None:
    query = client.search("corgi", limit=1)["items"][0]["image_id"]
    shown = client.similar(query, limit=20)["items"]
    for least, field, unit in (
        ("min_score", "score", 1e-6),
        ("min_confidence", "confidence", 1e-4),
    ):
        for hit in shown:
            found = client.similar(query, limit=39, **{least: hit[field]})["items"]
            assert hit["image_id"] in [one["image_id"] for one in found], (least, hit[field])
            assert all(one[field] >= hit[field] - 1.01 * unit for one in found)


def test_the_ancestors_calls_still_work(http: httpx.Client) -> None:
    answer = http.get("/search", params={"prompt": "bulldog"}).json()
    assert len(answer["results"]) == 5
    filename = answer["results"][0]["filename"]
    assert filename.startswith("bulldog")
    by_name = http.get(f"/images/{filename}")
    assert by_name.headers["content-type"] == "image/jpeg"
    assert by_name.content == http.get(answer["results"][0]["url"]).content


def test_the_list_pages_through_every_image_once(http: httpx.Client) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = http.get("/v1/images", params=params).json()
        seen += [item["image_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == http.get("/v1/stats").json()["images"]


def test_stats_count_by_species_and_breed(http: httpx.Client) -> None:
    stats = http.get("/v1/stats").json()
    assert stats["images"] >= 40
    assert stats["predictions_calibrated"] is True
    for by in ("breed", "species"):
        facets = http.get("/v1/facets", params={"by": by}).json()
        counts = {value["value"]: value["count"] for value in facets["values"]}
        assert counts == stats[f"by_{by}"]
        assert sum(counts.values()) + facets["unsure"] == stats["images"]
    assert stats["sample"] is True


def test_public_copies_can_be_cached(client: Client, http: httpx.Client) -> None:
    urls = client.search("poodle", limit=1)["items"][0]["urls"]
    first = http.get(urls["thumbnail"])
    assert "max-age" in first.headers["cache-control"]
    again = http.get(urls["thumbnail"], headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = http.get(urls["display"], headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/search?q=", 422, "q: "),
        ("/v1/search?q=%20%20", 422, "q: "),
        ("/v1/search", 422, "q: is missing"),
        ("/v1/search?q=" + "cat" * 1000, 413, "at most 1000"),
        ("/v1/search?q=cat&limit=0", 422, "limit"),
        ("/v1/search?q=cat&limit=1000000000", 422, "must be at most 100"),
        ("/v1/search?q=cat&limit=many", 422, "limit"),
        ("/v1/search?q=cat&missing=place", 422, "missing.*'location'"),
        ("/v1/search?q=cat&min_score=7", 422, "min_score"),
        ("/v1/images/6f1f32cf-0000-4000-8000-000000000000", 404, "no image"),
        ("/v1/images/6f1f32cf-0000-4000-8000-000000000000/similar", 404, "no image"),
        ("/v1/images/6f1f32cf-0000-4000-8000-000000000000/display", 404, ""),
        ("/v1/images/not-an-id", 422, "image_id"),
        ("/v1/images?cursor=x", 422, "cursor"),
        ("/images/no-such-file.jpg", 404, "no image named"),
        ("/v1/jobs/nothing", 404, "no job"),
        ("/v1/nowhere", 404, ""),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_requests_get_a_problem_document(
    http: httpx.Client, path: str, status: int, words: str
) -> None:
    answer = http.get(path)
    problem = answer.json()
    assert answer.status_code == problem["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert re.search(words, problem["detail"]), problem["detail"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 422),
        (pictures.HTML, 422),
        (pictures.jpeg(width=400, height=300)[:2000], 422),
        (pictures.huge_png_header(), 413),
    ],
    ids=["empty", "html", "truncated", "50000 x 50000"],
)
def test_a_bad_photo_is_refused_with_a_reason(http: httpx.Client, data: bytes, status: int) -> None:
    answer = http.post("/v1/search/image", files={"photo": ("x.jpg", data)})
    assert answer.status_code == status
    assert len(answer.json()["detail"]) > 20


def test_a_search_by_photo_is_filtered(client: Client) -> None:
    photo = pictures.jpeg()
    assert client.search_photo(photo, animal_id="nobody's")["items"] == []
    assert client.search_photo(photo, tag=["small", "nobody has it"])["items"] == []
    assert client.search_photo(photo, species="dog")["items"]


def test_a_filter_that_is_misspelt_is_not_passed_over(http: httpx.Client) -> None:
    photo = {"photo": ("x.jpg", pictures.jpeg())}
    answer = http.post("/v1/search/image", files=photo, data={"animal": "A-18"})
    assert answer.status_code == 422
    assert "There is no form field 'animal'" in answer.json()["detail"]
    assert "animal_id" in answer.json()["detail"]


@pytest.mark.parametrize("mode", ["CMYK", "I;16", "L", "P", "1", "RGBA", "LA"])
def test_photos_of_every_mode_are_searched(http: httpx.Client, mode: str) -> None:
    picture = Image.new("L", (90, 70), 120).convert("I;16" if mode == "I;16" else mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    data = pictures.encoded(picture, kind)
    assert Image.open(BytesIO(data)).mode == mode
    answer = http.post("/v1/search/image", files={"photo": ("x", data)}, data={"limit": "1"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == 1


def test_braces_and_odd_characters_in_a_query_are_only_text(client: Client) -> None:
    for query in ("{} {0}", "%s", "🐈‍⬛", "кошка", "猫" * 300, "\u202ecat", "a\x00b"):
        assert client.search(query, limit=1)["items"]


def test_a_text_that_is_longer_than_the_model_reads_is_said_to_be_cut(http: httpx.Client) -> None:
    for short in ("a grey cat", "a grey long-haired cat " * 3):
        answer = http.get("/v1/search", params={"q": short, "limit": 1}).json()
        assert (answer["truncated"], answer["tokens_read"]) == (False, None)
    read = "cat and dog " * 30
    for text in (read, f"{read} that nobody reads"):
        answer = http.get("/v1/search", params={"q": text, "limit": 1}).json()
        assert answer["truncated"] is True
        assert 30 < answer["tokens_read"] <= 77
    body = {"text": "cat", "negative": [{"text": read}], "limit": 1}
    assert http.post("/v1/search", json=body).json()["truncated"] is True
    many_bytes = http.get("/v1/search", params={"q": "wonderful " * 15, "limit": 1}).json()
    assert many_bytes["truncated"] is False
