"""What chats show of a link to a photo, and of what there is no preview."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from html import unescape
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from petsearch.domain import ImageMetadata, Prediction
from petsearch.domain.errors import Unavailable
from petsearch.jobs import Upload
from services.api.app import build_app
from services.api.page import web_dir
from tests import pictures
from tests.services.house import A, House

Client = Callable[..., TestClient]


@pytest.fixture
def page_dir() -> Path:
    found = web_dir()
    assert found is not None
    return found


@pytest.fixture
def opened(house: House, page_dir: Path) -> Iterator[Client]:
    """Opens the API under settings of a test's own, for a visitor without a key."""
    with ExitStack() as stack:

        def client(**more: Any) -> TestClient:
            asked = {"anonymous_search": True, **more}
            settings = house.services.settings.model_copy(update=asked)
            app = build_app(replace(house.services, settings=settings), web_dir=page_dir)
            return stack.enter_context(TestClient(app, base_url="http://127.0.0.1"))

        yield client


def add(house: House, seed: int = 1, **said: Any) -> str:
    """A photo of which this was said."""
    (image_id,) = house.ingest(Upload(pictures.jpeg(seed), ImageMetadata(**said)))
    return image_id


def tags_of(client: TestClient, path: str, **headers: str) -> dict[str, str]:
    """The Open Graph tags of a page."""
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text.count("<title>") == 1
    found = re.findall(r'<meta property="(og:[\w:]+)" content="([^"]*)">', answer.text)
    assert len({name for name, _ in found}) == len(found)
    return {name: unescape(content) for name, content in found}


def test_a_link_to_a_photo_shows_it(house: House, opened: Client) -> None:
    photo, client = add(house, breed="shiba inu", status="lost"), opened()
    tags = tags_of(client, f"/?q=dog&photo={photo}")
    assert tags["og:title"] == "Shiba Inu, lost"
    assert tags["og:description"].startswith("Photo of a dog. ")
    assert tags["og:url"] == f"http://127.0.0.1/?photo={photo}"
    picture = client.get(tags["og:image"])
    assert picture.headers["content-type"] == tags["og:image:type"] == "image/jpeg"


def test_addresses_are_those_of_the_proxy(house: House, opened: Client) -> None:
    photo = add(house)
    client = opened(trusted_proxies=(IPv4Network("192.0.2.0/24"),), allowed_hosts=("pets.example",))
    client = TestClient(client.app, base_url="http://10.0.0.1", client=("192.0.2.1", 5000))
    tags = tags_of(
        client,
        f"/pets/?photo={photo}",
        **{
            "X-Forwarded-Host": "pets.example",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Prefix": "/pets",
        },
    )
    assert tags["og:url"] == f"https://pets.example/pets/?photo={photo}"
    assert tags["og:image"] == f"https://pets.example/pets/v1/images/{photo}/display"


def test_it_says_no_place_no_file_and_no_guess(house: House, opened: Client) -> None:
    photo = add(
        house,
        location=(52.123456, 13.654321),
        filename="my-street.jpg",
        tags=("Elm Street",),
        attributes={"address": "Elm Street 5"},
    )
    record = house.index.get(A, [photo])[photo]
    guess = Prediction("siamese", "cat", 0.4, 0.6, "m")
    house.index.replace_records(A, [replace(record, prediction=guess)])
    page = opened().get(f"/?photo={photo}").text
    head = page[: page.index("</head>")]
    for private in ("52.1", "13.6", "street", "Street", "Siamese", "siamese", "of a cat"):
        assert private not in head
    assert 'content="Pet"' in page


def test_what_people_wrote_stays_text(house: House, opened: Client) -> None:
    photo = add(house, breed='<script>"', status="\\1 'lost'")
    page = opened().get(f"/?photo={photo}").text
    assert "<script>&quot;" not in page
    assert "&lt;script&gt;&quot;" in page
    assert "\\1 &#x27;lost&#x27;" in page


@pytest.mark.parametrize(
    "query",
    ["", "?photo=", "?photo=../x", "?photo=5f3a", "?photo={gone}", "?photo={photo}&shared=a"],
)
def test_all_other_pages_show_the_site_alone(house: House, opened: Client, query: str) -> None:
    gone = "00000000-0000-4000-8000-000000000000"
    client = opened()
    answer = client.get("/" + query.format(photo=add(house), gone=gone))
    assert answer.content == client.get("/").content
    assert ("noindex" in answer.headers.get("x-robots-tag", "")) == ("shared" in query)


def test_where_visitors_may_not_search_nothing_is_shown(house: House, opened: Client) -> None:
    photo, client = add(house), opened(anonymous_search=False)
    assert "og:image" not in tags_of(client, f"/?photo={photo}")


def test_a_picture_that_chats_refuse_is_shown_small(house: House, opened: Client) -> None:
    photo = add(house)
    house.store.put(f"display/{photo[:2]}/{photo}.jpg", b"\xff" * 600_000)
    assert tags_of(opened(), f"/?photo={photo}")["og:image"].endswith("/thumbnail")


def test_the_page_is_served_while_the_index_does_not_answer(house: House, opened: Client) -> None:
    photo, client = add(house), opened()

    def away(*_: str) -> None:
        raise Unavailable("The index does not answer.")

    house.index.on_call = away
    assert "og:image" not in tags_of(client, f"/?photo={photo}")
