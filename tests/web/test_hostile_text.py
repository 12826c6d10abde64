"""What strangers write in names, tags and captions is shown as text, whatever it is."""

import pytest
from playwright.sync_api import Page, expect

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import image_id_of, sha256_of
from petsearch.domain.visible_text import visible_text
from tests import pictures
from tests.web.pages import Look

HTML = "<img src=x onerror=alert(1)><script>alert(2)</script>"
RTL = "\u202eכלב אבוד gpj.fdp"
LONG = "ab" * 100
STRINGS = {"html": HTML, "rtl": RTL, "long": LONG, "quotes": "\"'`${alert(1)}&lt;b&gt;"}
TEN_KB = 10_000


@pytest.mark.parametrize("kind", STRINGS)
def test_a_photo_with_hostile_words_shows_them_as_text(
    page: Page, client: Client, kind: str, look: Look
) -> None:
    words = STRINGS[kind]
    data = pictures.jpeg(7000 + [*STRINGS].index(kind) + (50 if look.device == "phone" else 0))
    metadata = {
        "breed": words,
        "status": words,
        "animal_id": words,
        "tags": [words],
        "attributes": {"caption": words},
    }
    photo = Photo(f"{words}.jpg"[:200], data, metadata)
    upload(client, PhotoSource(iter([photo]), 1), name=words)
    page.goto("/")
    first = page.locator("#results .card").first
    for place in (".breed", ".badge"):
        expect(first.locator(place)).to_have_text(visible_text(words))
    page.goto(f"/?photo={image_id_of(sha256_of(data))}")
    expect(page.locator("dl dd", has_text=visible_text(words)).first).to_be_visible()
    assert page.locator("dl dd", has_text=visible_text(words)).count() >= 4
    assert page.locator("main script, main img[src=x]").count() == 0
    page.goto("/?page=operator")
    expect(page.locator("#operator-jobs .job-name", has_text=words).first).to_be_visible()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.evaluate("innerWidth")


def test_ten_kilobytes_of_words_break_nothing(page: Page, client: Client) -> None:
    """More than the API takes: from a server that takes more, it is text all the same."""
    item = client.search("cat", limit=1)["items"][0]
    words = (HTML * TEN_KB)[:TEN_KB]
    item |= {"breed": words, "filename": words, "tags": [words], "attributes": {"caption": words}}
    answer = {"items": [item], "next_cursor": None}
    page.route("**/v1/images?*", lambda route: route.fulfill(json=answer))
    page.route(f"**/v1/images/{item['image_id']}", lambda route: route.fulfill(json=item))
    page.goto("/")
    card = page.locator("#results .card").first
    expect(card.locator(".breed")).to_have_text(words)
    box = card.bounding_box()
    assert box is not None and box["height"] < 600
    page.goto(f"/?photo={item['image_id']}")
    expect(page.locator("dl")).to_contain_text(words)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_words_in_the_address_are_text(page: Page) -> None:
    page.goto("/?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&tag=%3Cb%3Ebold")
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator(".chip.filter")).to_contain_text("<b>bold")
    expect(page.locator("#message")).to_contain_text("No photo matches these filters")


@pytest.mark.parametrize(("name", "case"), [("قطة سوداء", "none"), ("corgi", "uppercase")])
def test_the_first_letter_of_an_arabic_name_stays_joined(
    page: Page, client: Client, name: str, case: str
) -> None:
    item = client.search("cat", limit=1)["items"][0] | {"breed": name, "breed_source": "label"}
    answer = {"items": [item], "next_cursor": None}
    page.route("**/v1/images?*", lambda route: route.fulfill(json=answer))
    page.goto("/")
    shown = page.locator("#results .breed bdi")
    expect(shown).to_have_text(name)
    style = "name => getComputedStyle(name, '::first-letter').textTransform"
    assert shown.evaluate(style) == case
