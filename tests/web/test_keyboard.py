"""Everything can be done with the keyboard."""

import re

from playwright.sync_api import Page, expect

from tests.web.pages import CARDS, Look, open_start, search


def test_the_results_are_walked_with_arrows_and_opened_with_enter(page: Page) -> None:
    open_start(page)
    links = page.locator(f"{CARDS} a.open")
    links.first.focus()
    page.keyboard.press("ArrowRight")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".large img")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Previous photo")).to_be_enabled()
    opened = page.url.rpartition("photo=")[2]
    page.keyboard.press("Escape")
    expect(page.locator("#results")).to_be_visible()
    expect(page.locator(f'#results [data-id="{opened}"] a.open')).to_be_focused()


def test_a_card_is_one_stop_and_has_keys_for_its_actions(page: Page) -> None:
    open_start(page)
    links = page.locator(f"{CARDS} a.open")
    links.first.focus()
    page.keyboard.press("Tab")
    expect(links.nth(1)).to_be_focused()
    image_id = page.locator(CARDS).nth(1).get_attribute("data-id")
    page.keyboard.press("m")
    expect(page).to_have_url(re.compile(f"like={image_id}"))
    expect(page.locator(".hit").first).to_be_visible()
    links.first.focus()
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile("not="))


def test_a_question_mark_shows_the_keys(page: Page) -> None:
    open_start(page)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("Go to the search box")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_label("What does the photo show?").press("?")
    expect(dialog).to_be_hidden()


def test_a_slash_goes_to_the_box_from_everywhere(page: Page) -> None:
    page.goto("/?page=operator")
    expect(page.get_by_role("heading", name="Operator", exact=True)).to_be_visible()
    page.keyboard.press("/")
    box = page.get_by_label("What does the photo show?")
    expect(box).to_be_focused()
    expect(box).to_have_value("")


def test_the_focus_is_seen(page: Page) -> None:
    open_start(page)
    for _ in range(12):
        page.keyboard.press("Tab")
        shown = page.evaluate(
            """() => {
                const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
                const around = document.activeElement.closest(".box");
                const ring = around ? getComputedStyle(around).boxShadow : "";
                return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 ||
                    ring.includes("0px 0px 0px 2px");
            }"""
        )
        assert shown, page.evaluate("document.activeElement.outerHTML")


def test_a_dialog_is_left_with_escape(page: Page) -> None:
    open_start(page)
    search(page, "pug")
    page.locator(f"{CARDS} a.open").first.click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog", name=re.compile("Delete this photo"))).to_be_visible()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".large img")).to_be_visible()


def test_what_is_scrolled_to_is_not_behind_the_bar_of_a_narrow_page(page: Page, look: Look) -> None:
    """Firefox scrolls what gets the focus just into view; at 400 % every page is narrow."""
    open_start(page)
    last = page.locator(CARDS).nth(7).locator("[data-act=more]")
    bottom = last.evaluate(
        "one => (one.scrollIntoView({ block: 'end' }), one.getBoundingClientRect().bottom)"
    )
    bar = page.locator("nav").bounding_box()
    assert bar is not None and (look.device == "desktop" or bottom <= bar["y"])
