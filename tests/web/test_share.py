"""A search by photo is shared: what is said before, the links, and the page behind them."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests import pictures
from tests.web.pages import CARDS, open_start, picked

SHARES = "/v1/shared-searches"


@pytest.fixture
def dialog(page: Page) -> Locator:
    """The dialog before anything is shared, over the results of a photo and a filter."""
    page.goto("/?species=dog")
    expect(page.locator(CARDS).first).to_be_visible()
    page.locator("#photo-file").set_input_files(picked("secret-name.jpg", pictures.jpeg(5000)))
    asked = page.get_by_role("dialog", name="Search by photo")
    asked.get_by_role("textbox").fill("in the snow")
    asked.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".hit").first).to_be_visible()
    page.get_by_role("button", name="Share …").click()
    return page.get_by_role("dialog", name="Share this search?")


@pytest.fixture
def links(page: Page, dialog: Locator, server_url: str) -> Iterator[tuple[str, str]]:
    """The link to share and the one to delete, which is followed at the end if it still works."""
    dialog.get_by_role("button", name="Share", exact=True).click()
    done = page.get_by_role("dialog", name="The search is shared")
    expect(done).to_contain_text("This search is shared until")
    link, delete = (
        done.get_by_role("textbox", name=name).input_value()
        for name in ("Link to share", "Link to delete it")
    )
    yield link, delete
    share_id = re.findall(r"shared=([\w-]+)", link)[0]
    token = delete.rpartition("delete=")[2]
    httpx.delete(f"{server_url}{SHARES}/{share_id}", params={"token": token})


def width_of(photo: Locator) -> int:
    width: int = photo.evaluate("(image) => image.decode().then(() => image.naturalWidth)")
    return width


def test_nothing_is_sent_before_share_is_pressed_beside_what_is_kept(
    page: Page, dialog: Locator
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    for words in ("kept nothing", "24 hours", "800 pixels", "without date, place", "embedding"):
        expect(dialog).to_contain_text(words)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    assert "POST" not in sent


def test_the_link_shows_photo_results_and_end_to_somebody_else(
    page: Page, links: tuple[str, str], server_url: str
) -> None:
    link, delete = links
    assert link.startswith(f"{server_url}/?") and "by=" not in link
    assert re.fullmatch(re.escape(link) + r"#delete=[\w-]{43}", delete)
    before = [card.get_attribute("data-id") for card in page.locator(CARDS).all()]
    somebody = page.context.browser
    assert somebody is not None
    context = somebody.new_context(base_url=server_url)
    other = context.new_page()
    other.goto(link)
    expect(other.get_by_role("heading", level=1)).to_have_text(
        "Photos that look like the shared one, and “in the snow”"
    )
    expect(other.locator(".hit").first).to_be_visible()
    assert [card.get_attribute("data-id") for card in other.locator(CARDS).all()] == before
    expect(other.locator(".chip.filter")).to_contain_text("dog")
    assert width_of(other.locator(".shared img")) == width_of(page.locator(".chip.like img"))
    expect(other.locator(".shared")).to_contain_text("This search is shared until")
    expect(other.locator(".shared button")).to_have_count(0)
    expect(other.locator("#share")).to_be_hidden()
    expect(other.locator('meta[name="robots"]')).to_have_attribute("content", "noindex")
    expect(other.locator('meta[property="og:image"]')).to_have_count(0)
    other.locator(".hit .open").first.click()
    expect(other.locator(".compare figcaption").first).to_contain_text("Shared photo")
    expect(other.locator(".compare img")).to_have_count(2)
    open_start(other)
    expect(other.locator('meta[name="robots"]')).to_have_count(0)
    context.close()


def test_the_links_are_copied(page: Page, links: tuple[str, str]) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    for name, link in zip(("Link to share", "Link to delete it"), links, strict=True):
        page.get_by_role("button", name=f"Copy: {name}").click()
        expect(page.get_by_role("status").filter(has_text=f"Copied: {name}")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == link


def test_the_other_link_deletes_it(
    page: Page, links: tuple[str, str], expected: set[int], server_url: str
) -> None:
    link, delete = links
    expected.add(404)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    # Only a new document reads what is behind the #.
    page.goto("about:blank")
    page.goto(delete)
    expect(page).to_have_url(link)
    page.get_by_role("button", name="Delete the shared photo").click()
    expect(page.locator("#toast")).to_have_text("The shared search was deleted.")
    expect(page.locator(".shared")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("in the snow")
    page.goto(link)
    expect(page.locator("#message")).to_contain_text("it has expired or was deleted")
    with_token = [url for url in asked if "delete=" in url.partition("#")[0]]
    assert with_token == [], "no server sees the token of a link"
    share_id = re.findall(r"shared=([\w-]+)", link)[0]
    assert httpx.get(f"{server_url}{SHARES}/{share_id}/photo").status_code == 404


def test_what_went_wrong_is_said_in_the_dialog(
    page: Page, dialog: Locator, expected: set[int]
) -> None:
    expected.add(429)
    problem = {"status": 429, "detail": "Too many searches are shared."}
    page.route(f"**{SHARES}", lambda route: route.fulfill(status=429, json=problem))
    share = dialog.get_by_role("button", name="Share", exact=True)
    share.click()
    expect(dialog.get_by_role("alert")).to_have_text("Too many searches are shared.")
    expect(share).to_be_enabled()
