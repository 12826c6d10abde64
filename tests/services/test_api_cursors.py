"""Cursors of lists: safe in a URL, opaque, and good for one list alone."""

import re

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict
from tests import pictures

TAG = "cursors"
URL_SAFE = re.compile(r"[A-Za-z0-9_-]+")


@pytest.fixture(scope="module")
def job_id(server_url: str) -> str:
    """A job of four photos; two were taken at the same time."""
    photos = [
        Photo(
            f"{number}.jpg",
            pictures.jpeg(95_000 + number),
            {
                "tags": [TAG],
                "taken_at": f"2026-03-0{1 + number // 2}T12:00:00Z",
                "attributes": {"a": "1", "b": "2"},
            },
        )
        for number in range(4)
    ]
    # A second upload of a photo makes it an exact duplicate.
    with Client(server_url) as client:
        job = upload(client, PhotoSource(iter(photos), 4), name=TAG)
        upload(client, PhotoSource(iter(photos), 4), name=TAG)
    return str(job["job_id"])


@pytest.fixture
def lists(job_id: str) -> list[str]:
    """Lists of which at least two pages of one entry are left."""
    return [
        f"/v1/images?tag={TAG}&limit=1",
        f"/v1/images?tag={TAG}&sort=taken_at&limit=1",
        f"/v1/images?tag={TAG}&attr=a=1&attr=b=2&limit=1",
        f"/v1/search?q=cat&tag={TAG}&limit=1",
        "/v1/duplicates?tier=exact&limit=1",
        f"/v1/jobs/{job_id}/items?limit=1",
        f"/v1/jobs/{job_id}/items?status=ingested&limit=1",
    ]


def first_page(http: httpx.Client, address: str) -> JsonDict:
    page: JsonDict = http.get(address).json()
    assert URL_SAFE.fullmatch(page["next_cursor"]), page["next_cursor"]
    return page


def test_a_walk_with_cursors_as_they_are_lists_everything_once(
    http: httpx.Client, lists: list[str]
) -> None:
    for address in lists:
        page = first_page(http, address)
        seen = [str(page["items"])] if "items" in page else [str(page["groups"])]
        for _ in range(3):
            page = http.get(f"{address}&cursor={page['next_cursor']}").json()
            seen.append(str(page.get("items") or page.get("groups")))
        assert len(set(seen)) == 4, address


def test_a_cursor_is_good_for_its_own_list_alone(http: httpx.Client, lists: list[str]) -> None:
    cursors = {address: first_page(http, address)["next_cursor"] for address in lists}
    others = [f"/v1/images?tag={TAG}&tag=x&limit=1", "/v1/duplicates?tier=same_photo&limit=1"]
    for address in (*lists, *others):
        for of, cursor in cursors.items():
            status = http.get(f"{address}&cursor={cursor}").status_code
            assert status == (200 if of == address else 422), (address, of)


def test_neither_the_page_size_nor_the_order_of_attributes_belongs_to_a_walk(
    http: httpx.Client, job_id: str
) -> None:
    page = first_page(http, f"/v1/images?tag={TAG}&attr=a=1&attr=b=2&limit=1")
    address = f"/v1/images?tag={TAG}&attr=b=2&attr=a=1&limit=3&cursor={page['next_cursor']}"
    assert len(http.get(address).json()["items"]) == 3, job_id


def test_cursors_of_the_release_before_go_on(http: httpx.Client, job_id: str) -> None:
    old = "2026-03-02T12:00:00+00:00|"
    params = {"tag": TAG, "sort": "taken_at", "cursor": old}
    images = http.get("/v1/images", params=params).json()["items"]
    assert [image["taken_at"] for image in images] == ["2026-03-01T12:00:00Z"] * 2
    items = http.get(f"/v1/jobs/{job_id}/items").json()["items"]
    later = http.get(f"/v1/jobs/{job_id}/items", params={"cursor": "0.1"}).json()["items"]
    assert later == items[1:]


@pytest.mark.parametrize("cursor", ["x", "a|b", "1.2.3", f"{'9' * 5000}.0", "AgAAAAAAAAAA", "AQ"])
def test_what_is_no_cursor_is_rejected(http: httpx.Client, job_id: str, cursor: str) -> None:
    for path in ("/v1/images", "/v1/duplicates?tier=exact", f"/v1/jobs/{job_id}/items"):
        answer = http.get(httpx.URL(path).copy_merge_params({"cursor": cursor}))
        assert answer.status_code == 422, path
        assert "cursor" in answer.json()["detail"]
