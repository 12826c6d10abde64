"""Searching by words: results, filters, addresses, pages that come while one scrolls."""

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import image_id_of, sha256_of
from petsearch.sample.catalogue import drawing_at
from tests.web.pages import (
    CARDS,
    Look,
    close_filters,
    leave,
    new_page,
    open_filters,
    open_start,
    search,
)

_FOUR_FRAMES = """
() => new Promise((resolve) => {
  const wait = (frames) => (frames ? requestAnimationFrame(() => wait(frames - 1)) : resolve());
  wait(4);
})
"""


def test_words_bring_pictures_with_breeds_and_how_alike_they_are(page: Page) -> None:
    open_start(page)
    search(page, "dalmatian")
    first = page.locator(CARDS).first
    expect(first.locator(".breed")).to_have_text("dalmatian")
    expect(first.locator(".confidence")).to_have_text("looks very alike")
    image = first.locator("img")
    expect(image).to_have_js_property("complete", value=True)
    assert image.evaluate("image => image.naturalWidth") > 0
    for name in ("width", "height"):
        expect(image).to_have_attribute(name, "320")


def test_the_page_is_honest_about_drawings(page: Page) -> None:
    open_start(page)
    expect(page.locator("#catalogue")).to_contain_text(
        "a small demo model that knows only drawings"
    )
    expect(page.locator("#catalogue")).to_contain_text("make demo SOURCE=")


def test_filters_narrow_the_results_and_live_in_the_address(page: Page) -> None:
    open_start(page)
    search(page, "on grass")
    open_filters(page)
    breed = page.locator("select#breed")
    expect(breed.locator("option", has_text="husky")).to_have_text(re.compile(r"husky \(\d+\)"))
    breed.select_option("husky")
    expect(page).to_have_url(re.compile("breed=husky"))
    expect(page.locator(f"{CARDS} .breed", has_text="husky").first).to_be_visible()
    ids = [card.get_attribute("data-id") for card in page.locator(CARDS).all()]
    images = [page.request.get(f"/v1/images/{image_id}").json() for image_id in ids]
    # A guess of another breed leaves a photo out only where it is sure.
    assert {image["breed"] for image in images if image["breed_source"] == "label"} == {"husky"}
    close_filters(page)
    page.get_by_role("button", name="Remove the filter Breed").click()
    expect(page).not_to_have_url(re.compile("breed="))
    expect(page.get_by_label("What does the photo show?")).to_have_value("on grass")


def test_filters_are_a_sheet_on_a_phone(browser: Browser, server_url: str) -> None:
    page = new_page(browser, server_url, Look("phone", "light"))
    open_start(page)
    toggle = page.get_by_role("button", name="Filters")
    toggle.press("Enter")
    sheet = page.get_by_role("dialog", name="Filters")
    expect(sheet.get_by_role("heading")).to_be_focused()
    sheet.get_by_label("Species").select_option("cat")
    expect(sheet.get_by_role("heading")).to_have_text("Filters (1)")
    listed = page.request.get("/v1/images?species=cat&limit=100").json()["items"]
    expect(sheet.locator("#filter-sheet-count")).to_have_text(f"{len(listed)} photos")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(toggle).to_be_focused()
    expect(toggle).to_have_text("Filters (1)")
    toggle.click()
    sheet.get_by_role("button", name="Clear filters").click()
    expect(page).not_to_have_url(re.compile("species="))
    page.touchscreen.tap(195, 40)  # beside the sheet
    expect(sheet).to_be_hidden()
    page.context.close()


def test_back_and_forward_walk_through_searches(page: Page) -> None:
    open_start(page)
    search(page, "siamese")
    search(page, "husky")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("siamese")
    expect(page.locator(CARDS).first.locator(".breed")).to_have_text("siamese")
    page.go_forward()
    expect(page.locator(CARDS).first.locator(".breed")).to_have_text("husky")


def test_an_address_restores_every_part_of_a_search(page: Page) -> None:
    page.goto("/?q=poodle&species=dog&since=2020-01-01&least=0.5")
    expect(page.locator(".hit").first).to_be_visible()
    expect(page.get_by_label("What does the photo show?")).to_have_value("poodle")
    open_filters(page)
    expect(page.locator("select#species")).to_have_value("dog")
    expect(page.locator("#since")).to_have_value("2020-01-01")
    expect(page.locator("#least")).to_have_value("0.5")
    assert page.locator(".chip.filter").count() == 3


def test_a_place_and_a_radius_filter(page: Page) -> None:
    page.context.grant_permissions(["geolocation"])
    page.context.set_geolocation({"latitude": 10.0, "longitude": 20.0})
    open_start(page)
    open_filters(page)
    page.get_by_role("button", name="Use my position").click()
    expect(page).to_have_url(re.compile("near=10.000%2C20.000%2C10"))
    expect(page.locator("#message")).to_contain_text("No photo matches these filters")
    page.locator("#km").select_option("500")
    expect(page).to_have_url(re.compile("near=10.000%2C20.000%2C500|near=10%2C20%2C500"))
    close_filters(page)
    page.locator("#message").get_by_role("button", name="Clear filters").click()
    expect(page.locator(CARDS).first).to_be_visible()


def test_photos_without_a_query_can_be_put_in_order(page: Page) -> None:
    open_start(page)
    open_filters(page)
    page.locator("#sort").select_option("taken_at")
    expect(page).to_have_url(re.compile("sort=taken_at"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("by date taken")


def test_a_line_divides_what_is_less_alike(page: Page) -> None:
    page.goto("/?q=dalmatian")
    divider = page.get_by_text("Less alike from here")
    expect(divider).to_have_count(1)
    expect(divider.locator("xpath=following-sibling::li[1]")).to_contain_text("less alike")
    expect(divider.locator("xpath=preceding-sibling::li[1]")).not_to_contain_text("less alike")
    page.goto("/?q=dalmatian&least=0.5")
    expect(page.locator(CARDS).first).to_be_visible()
    expect(page.locator("#end")).to_contain_text("End of results")
    expect(divider).to_have_count(0)
    expect(page.locator(".confidence", has_text="less alike")).to_have_count(0)


@pytest.mark.parametrize("words", ["grey tabby cat on grass", "dalmatian"])
def test_no_cosine_is_shown(page: Page, words: str) -> None:
    page.goto(f"/?q={words}")
    expect(page.locator(".hit").first).to_be_visible()
    assert not re.search(r"0\.\d", page.locator("main").inner_text())
    ranked = page.locator("#note", has_text="Ranked only")
    is_judged = words == "dalmatian"
    expect(ranked).to_have_count(0 if is_judged else 1)
    open_filters(page)
    expect(page.locator("#least")).to_be_visible(visible=is_judged)


def test_a_filter_says_how_many_unsure_photos_it_keeps(page: Page) -> None:
    def unsure(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "unsure": 3})

    page.route("**/v1/facets?by=species*", unsure)
    page.goto("/?species=dog")
    open_filters(page)
    expect(page.locator("#species-hint")).to_have_text("Includes up to 3 unsure photos.")
    page.locator("select#species").select_option("")
    expect(page.locator("#species-hint")).to_be_empty()


def test_a_guess_that_is_probably_wrong_names_no_photo(page: Page, client: Client) -> None:
    image_id = client.search("dalmatian", limit=1)["items"][0]["image_id"]

    def unsure(route: Route) -> None:
        image = {**route.fetch().json(), "breed": "pug", "breed_source": "unsure"}
        guess = {"breed": "pug", "species": "cat", "confidence": 0.1}
        route.fulfill(
            json={**image, "species": "cat", "species_source": "unsure", "predicted": guess}
        )

    page.route(f"**/v1/images/{image_id}", unsure)
    page.goto(f"/?photo={image_id}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Breed unsure")
    expect(page.locator(".large img")).to_have_attribute("alt", re.compile("^Breed unsure"))
    expect(page.locator("dl")).to_contain_text("unsure; perhaps pug")
    expect(page.locator("dl")).to_contain_text("unsure; perhaps cat")


@pytest.mark.parametrize(
    ("confidence", "shown"), [(0.9987, "over 99 %"), (0.994, "99 %"), (0.506, "51 %")]
)
def test_no_guess_is_called_certain(
    page: Page, client: Client, confidence: float, shown: str
) -> None:
    image_id = client.search("dalmatian", limit=1)["items"][0]["image_id"]

    def guessed(route: Route) -> None:
        image = {**route.fetch().json(), "breed": "pug", "breed_source": "predicted"}
        guess = {"breed": "pug", "species": "dog", "confidence": confidence}
        route.fulfill(json={**image, "species_source": "predicted", "predicted": guess})

    page.route(f"**/v1/images/{image_id}", guessed)
    page.goto(f"/?photo={image_id}")
    expect(page.locator("dl")).to_contain_text(f"pug (predicted, {shown})")


def test_a_corrected_breed_is_said(page: Page) -> None:
    page.goto("/?q=dalmation")
    expect(page.locator("#note")).to_contain_text("Searched for “dalmatian”.")


def test_what_fits_nothing_is_said_plainly(page: Page) -> None:
    page.goto("/?q=dog&min=0.9")
    expect(page.locator("#message")).to_contain_text("No photo matches these filters")
    page.locator("#message").get_by_role("button", name="Clear filters").click()
    expect(page.locator(".hit").first).to_be_visible()


def test_an_unknown_breed_is_named_with_those_that_are_like_it(page: Page) -> None:
    page.goto("/?q=cat&breed=siamees")
    expect(page.locator("#message")).to_contain_text("No photo has the breed siamees.")
    expect(page.locator("#message")).to_contain_text("Did you mean siamese")


def test_suggestions_are_breeds_and_recent_searches(page: Page) -> None:
    open_start(page)
    expect(page.locator("#catalogue")).to_contain_text("drawings")
    box = page.get_by_role("combobox", name="What does the photo show?")
    box.press_sequentially("white dalm")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#suggestions").get_by_role("option", selected=True)).to_have_text(
        "dalmatian"
    )
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"q=white\+dalmatian"))
    expect(box).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".hit").first).to_be_visible()
    box.fill("")
    expect(page.get_by_role("option", name="white dalmatian")).to_be_visible()
    page.get_by_role("option", name="Clear recent searches").click()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#suggestions")).to_be_hidden()


def test_the_next_page_comes_while_one_scrolls(page: Page) -> None:
    page.route(
        "**/v1/images?*",
        lambda route: route.continue_(url=re.sub(r"limit=\d+", "limit=12", route.request.url)),
    )
    open_start(page)
    for shown in (12, 24, 36):
        page.locator(CARDS).nth(shown - 1).scroll_into_view_if_needed()
        expect(page.locator(CARDS).nth(shown)).to_be_attached()
    seen = page.locator(CARDS).evaluate_all("cards => cards.map((card) => card.dataset.id)")
    assert len(seen) == len(set(seen))


def test_a_list_begins_anew_when_the_model_has_changed(page: Page, expected: set[int]) -> None:
    expected.add(409)
    asked: list[bool] = []

    def answer(route: Route) -> None:
        """The model changes after the first page: cursors of before are worth nothing."""
        asked.append("cursor=" in route.request.url)
        if asked[-1] and asked.count(False) == 1:
            route.fulfill(status=409, json={"detail": "The cursor is of another model."})
        else:
            route.continue_(url=re.sub(r"limit=\d+", "limit=12", route.request.url))

    page.route("**/v1/search?*", answer)
    page.set_viewport_size({"width": 800, "height": 4000})  # The end of the first page is in view.
    page.goto("/?q=cat")
    expect(page.locator(".hit").nth(12)).to_be_attached()
    expect(page.locator("#message")).to_be_empty()
    assert asked[:4] == [False, True, False, True]


def test_the_same_address_again_is_asked_anew(page: Page, client: Client, look: Look) -> None:
    open_start(page)
    steps = page.evaluate("history.length")
    photo = drawing_at(950 if look.device == "phone" else 951, seed=9).to_jpeg()
    upload(client, PhotoSource(iter([Photo("new.jpg", photo, {})]), 1), name="test")
    image_id = image_id_of(sha256_of(photo))
    page.get_by_role("link", name="petsearch").first.click()
    expect(page.locator(CARDS).first).to_have_attribute("data-id", image_id)
    assert page.evaluate("history.length") == steps
    leave(page)
    client.delete_image(image_id)


def test_how_alike_goes_with_the_query(page: Page) -> None:
    page.goto("/?q=cat&min=0.1&least=0.8")
    expect(page.locator(".chip.filter")).to_have_text(
        ["Match: closer ones only", "How alike: very alike"]
    )
    search_box = page.get_by_label("What does the photo show?")
    search_box.fill("")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/$"))
    expect(page.locator(".chip.filter")).to_have_count(0)


def test_the_results_stay_where_they_were_behind_a_photo(page: Page) -> None:
    open_start(page)
    picture = page.locator(CARDS).nth(20).locator(".open")
    # What is clicked, or the click itself would scroll.
    picture.scroll_into_view_if_needed()
    page.evaluate(_FOUR_FRAMES)  # in which cards that came near get their real heights
    picture.scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 0
    before = picture.bounding_box()
    picture.click()
    expect(page.locator(".large img")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(picture).to_be_in_viewport()
    page.evaluate(_FOUR_FRAMES)  # in which the list finds its place
    after = picture.bounding_box()
    assert before and after
    assert abs(after["y"] - before["y"]) < 50
