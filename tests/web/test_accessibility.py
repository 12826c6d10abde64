"""axe-core finds nothing in any state, on any device, by day and by night."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from petsearch.client import Client, Photo
from tests import pictures
from tests.web.pages import CARDS, LOOKS, Look, new_page, open_add, open_filters, picked

Step = Callable[[Page, Client], None]
_VIOLATIONS = {"resultTypes": ["violations"]}
_OPTIONS: dict[Literal["dark", "light"], dict[str, Any]] = {
    "dark": _VIOLATIONS | {"runOnly": ["color-contrast"]},
    "light": _VIOLATIONS,
}
"""By night the page has other colours, and nothing else changes."""


@pytest.fixture(params=[LOOKS[0], LOOKS[2]], ids=lambda look: look.device)
def look(request: pytest.FixtureRequest) -> Look:
    assert isinstance(request.param, Look)
    return request.param


@pytest.fixture
def page(browser: Browser, server_url: str, look: Look) -> Iterator[Page]:
    opened = new_page(browser, server_url, look)
    yield opened
    opened.context.close()


def results(page: Page, _client: Client) -> None:
    page.goto("/?q=corgi&species=dog&status=")
    expect(page.locator(".hit").first).to_be_visible()
    open_filters(page)


def suggestions(page: Page, _client: Client) -> None:
    page.goto("/")
    expect(page.locator("#catalogue")).to_contain_text("drawings")
    page.get_by_label("What does the photo show?").press_sequentially("p")
    expect(page.locator("#suggestions")).to_be_visible()
    page.keyboard.press("ArrowDown")


def chips(page: Page, client: Client) -> None:
    one, other = client.search("cat", limit=2)["items"]
    page.goto(f"/?like={one['image_id']}&not={other['image_id']}&breed=tabby")
    expect(page.locator(".chip")).to_have_count(3)
    expect(page.locator(CARDS).first).to_be_visible()


def nothing_found(page: Page, _client: Client) -> None:
    page.goto("/?q=dog&min=0.9")
    expect(page.locator("#message")).to_contain_text("No photo matches these filters")


def framing(page: Page, _client: Client) -> None:
    page.goto("/")
    page.locator("#photo-file").set_input_files(picked("a.jpg", pictures.jpeg(4000)))
    expect(page.locator(".frame")).to_be_visible()


def sharing(page: Page, _client: Client) -> None:
    framing(page, _client)
    page.get_by_role("dialog").get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("button", name="Share …").click()
    expect(page.get_by_role("dialog", name="Share this search?")).to_be_visible()


def shared(page: Page, _client: Client) -> None:
    sharing(page, _client)
    page.get_by_role("dialog").get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("dialog", name="The search is shared")).to_be_visible()


def shared_page(page: Page, _client: Client) -> None:
    page.goto(page.get_by_role("textbox", name="Link to delete it").input_value())
    expect(page.locator(".shared img")).to_be_visible()
    expect(page.locator(CARDS).first).to_be_visible()


def photo(page: Page, client: Client) -> None:
    page.goto(f"/?photo={client.search('pug', limit=1)['items'][0]['image_id']}")
    expect(page.locator(".strip.similar .card").first).to_be_visible()


def comparing(page: Page, client: Client) -> None:
    one, other = client.search("pug", limit=2)["items"]
    page.goto(f"/?like={one['image_id']}&photo={other['image_id']}")
    expect(page.locator(".compare img")).to_have_count(2)
    page.keyboard.press("+")
    expect(page.locator(".agreement .mark").first).to_be_visible()


def editing(page: Page, client: Client) -> None:
    photo(page, client)
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("form.edit")).to_be_visible()


def deleting(page: Page, client: Client) -> None:
    photo(page, client)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def adding(page: Page, _client: Client) -> None:
    open_add(page)
    page.get_by_text("Details for all of them").click()
    expect(page.locator("#recent-jobs .job").first).to_be_visible()


def paused_job(page: Page, client: Client) -> None:
    job_id = client.open_job("for axe", expected=2)["job_id"]
    client.control_job(job_id, "pause")
    page.goto(f"/?job={job_id}")
    expect(page.locator(".notice")).to_be_visible()


def refused_photos(page: Page, client: Client) -> None:
    job_id = client.open_job("refused", expected=1)["job_id"]
    client.add_photos(job_id, [Photo("page.jpg", pictures.HTML)])
    client.seal_job(job_id)
    page.goto(f"/?job={job_id}")
    expect(page.locator(".refused .problems li")).to_be_visible()


def operator(page: Page, _client: Client) -> None:
    page.goto("/?page=operator")
    expect(page.locator("#operator-jobs .job").first).to_be_visible()
    expect(page.locator(".chart a").first).to_be_visible()


STATES: list[Step] = [
    *(results, suggestions, chips, nothing_found, framing),
    *(sharing, shared, shared_page, photo, comparing),
    *(editing, deleting, adding, paused_job, refused_photos, operator),
]


def test_axe_finds_nothing(page: Page, client: Client) -> None:
    axe = Axe()
    found = {}
    # Colours that are still on their way have another contrast than those that stay.
    page.emulate_media(reduced_motion="reduce")
    for state in STATES:
        state(page, client)
        for scheme, options in _OPTIONS.items():
            page.emulate_media(color_scheme=scheme)
            answer = axe.run(page, options=options)
            if answer.violations_count:
                found[f"{state.__name__}, {scheme}"] = answer.generate_report()
    assert not found, "\n".join(f"{name}:\n{report}" for name, report in found.items())


def test_movement_stops_for_those_who_asked_for_that(browser: Browser, server_url: str) -> None:
    page = new_page(browser, server_url)
    page.emulate_media(reduced_motion="reduce")
    page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
    moving = page.locator(".card .open img").first.evaluate(
        "image => getComputedStyle(image).transitionDuration"
    )
    assert moving in ("0s", "1e-05s")
    page.context.close()


def test_forced_colours_show_the_focus_and_the_marked_suggestion(
    browser: Browser, server_url: str
) -> None:
    page = new_page(browser, server_url)
    page.emulate_media(forced_colors="active")
    suggestions(page, Client(server_url))
    for place in (".box", ".suggestion[aria-selected=true]"):
        style, colour = page.locator(place).evaluate(
            "place => [getComputedStyle(place).outlineStyle, getComputedStyle(place).outlineColor]"
        )
        assert style == "solid" and colour != "rgba(0, 0, 0, 0)", place
    page.context.close()
