"""Results of a search by photo are opened beside that photo, and both are zoomed as one."""

import base64
import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.photos.opening import register_formats
from petsearch.sample.catalogue import drawing_at
from tests import pictures
from tests.web.pages import CARDS, Look, new_page, open_start, picked

FINGER = {"x": 0, "y": 0, "id": 0}


def search_by(page: Page, data: bytes, words: str = "") -> None:
    """Search by a whole photo, from any page that has the search box."""
    page.locator("#photo-file").set_input_files(picked("mine.jpg", data))
    dialog = page.get_by_role("dialog", name="Search by photo")
    dialog.get_by_role("textbox").fill(words)
    dialog.get_by_role("button", name="Whole photo").click()
    dialog.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".hit").first).to_be_visible()


def open_first(page: Page) -> None:
    page.locator(f"{CARDS} a.open").first.click()
    expect(page.locator(".compare img")).to_have_count(2)


def transforms(page: Page) -> list[str | None]:
    return [shown.get_attribute("style") for shown in page.locator(".sheet-of-pane").all()]


def add(client: Client, number: int, **metadata: object) -> JsonDict:
    """A photo of a test alone."""
    data = drawing_at(number, seed=23).to_jpeg()
    upload(client, PhotoSource(iter([Photo("pet.jpg", data, metadata)]), 1), name="compare")
    return client.image(image_id_of(sha256_of(data)))


def row(page: Page, name: str) -> Locator:
    return page.locator(".agreement tbody tr", has=page.get_by_role("rowheader", name=name))


def captured(page: Page, data: bytes) -> JsonDict:
    """What the page reads of a chosen photo's file."""
    page.goto("/")
    found: JsonDict = page.evaluate(
        """async (text) => {
          const { captureOf } = await import(new URL("js/exif.js", document.baseURI));
          return captureOf(new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]));
        }""",
        base64.b64encode(data).decode(),
    )
    return found


def test_search_compare_and_back_with_the_keyboard_alone(page: Page) -> None:
    open_start(page)
    # The button opens the system's own dialog, which no browser lets a test type into.
    page.locator("#photo-file").set_input_files(picked("mine.jpg", drawing_at(3, seed=7).to_jpeg()))
    expect(page.locator(".frame")).to_be_focused()
    for _ in range(5):  # four corners, then the words
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first).to_be_visible()
    links = page.locator(f"{CARDS} a.open")
    for _ in range(40):
        page.keyboard.press("Tab")
        if links.first.evaluate("link => link === document.activeElement"):
            break
    expect(links.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".compare img")).to_have_count(2)
    whole = transforms(page)
    page.keyboard.press("+")
    closer = transforms(page)
    page.keyboard.press("Shift+ArrowRight")
    moved = transforms(page)
    assert whole != closer != moved
    assert all(one == other for one, other in (whole, closer, moved))
    page.keyboard.press("0")
    assert transforms(page) == whole
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name="Previous photo")).to_be_enabled()
    expect(page.locator(".compare img")).to_have_count(2)
    opened = re.findall("photo=([^&]+)", page.url)[0]
    page.keyboard.press("Escape")
    expect(page.locator(f'[data-id="{opened}"] a.open')).to_be_focused()
    expect(page.locator(".chip.like")).to_contain_text("mine.jpg")


def test_both_are_equally_large_and_zoomed_as_one(page: Page, look: Look) -> None:
    open_start(page)
    search_by(page, pictures.jpeg(3100, 300, 200))
    open_first(page)
    boxes = [pane.bounding_box() for pane in page.locator(".pane").all()]
    one, other = (box for box in boxes if box is not None)
    assert (one["width"], one["height"]) == (other["width"], other["height"])
    assert (one["y"] == other["y"]) == (look.device == "desktop")
    left = page.locator(".pane").first
    left.hover(position={"x": 20, "y": 20})
    page.mouse.wheel(0, -300)
    level = page.locator(".zoom output")
    expect(level).to_have_text("200 %")
    page.mouse.down()
    page.mouse.move(one["x"] + 120, one["y"] + 60)
    page.mouse.up()
    # Dragged beyond the corner they stay, so the corner is still in view.
    assert transforms(page) == ["transform: translate(0%, 0%) scale(2);"] * 2
    page.get_by_role("button", name="Whole photos").click()
    expect(level).to_have_text("100 %")
    expect(page.get_by_role("button", name="Farther")).to_be_disabled()
    page.get_by_role("button", name="Closer").click()
    expect(level).to_have_text("150 %")


@pytest.fixture
def phone(browser: Browser, server_url: str) -> Iterator[Page]:
    page = new_page(browser, server_url, Look("phone", "light"))
    yield page
    page.context.close()


def test_fingers_zoom_and_a_swipe_goes_on(phone: Page) -> None:
    open_start(phone)
    search_by(phone, pictures.jpeg(3101))
    open_first(phone)
    devtools = phone.context.new_cdp_session(phone)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [FINGER | {"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    touch("touchStart", (150, 200), (190, 200))
    touch("touchMove", (130, 200), (210, 200))
    touch("touchEnd")
    expect(phone.locator(".zoom output")).to_have_text("200 %")
    assert len(set(transforms(phone))) == 1
    first = phone.url
    touch("touchStart", (300, 200))
    touch("touchMove", (100, 200))
    touch("touchEnd")
    assert phone.url == first, "a finger moves what is zoomed"
    phone.get_by_role("button", name="Whole photos").click()
    touch("touchStart", (300, 200))
    touch("touchMove", (200, 204))
    touch("touchMove", (100, 204))
    touch("touchEnd")
    expect(phone).not_to_have_url(first)
    expect(phone.get_by_role("button", name="Previous photo")).to_be_enabled()


def test_what_agrees_is_told_of_two_images(page: Page, client: Client) -> None:
    known = {"species": "dog", "location": {"lat": 52.5, "lon": 13.4}}
    one = add(
        client,
        1,
        **known,
        breed="pug",
        taken_at="2026-05-17",
        attributes={"coat colour": "black and white", "collar": "red", "sex": "female"},
    )
    other = add(
        client,
        2,
        **{**known, "location": {"lat": 52.53, "lon": 13.4}},
        breed="beagle",
        animal_id="compared",
        taken_at="2026-05-20",
        attributes={"Color": "white", "collar": "blue", "Sex": "Female"},
    )
    page.goto(f"/?like={one['image_id']}&animal=compared")
    open_first(page)
    expect(page).to_have_url(re.compile(other["image_id"]))
    for name, mark in {
        "Species": "Same",
        "Breed": "Different",
        "Colour": "In common: white",
        "collar": "Different",
        "sex": "Same",
        "Place": "3.3 km apart",
        "Taken": "3 days later",
    }.items():
        expect(row(page, name).locator(".mark")).to_have_text(mark)
    expect(page.locator(".agreement tbody tr")).to_have_count(7)


def test_a_chosen_photo_is_compared_by_its_file_and_the_words(page: Page, client: Client) -> None:
    """Its date and place are read in the browser."""
    place = {"lat": 48.1375, "lon": 11.6}
    tags = ["by file", "grey"]
    add(client, 3, breed="pug", tags=tags, location=place, taken_at="2025-05-10")
    page.goto("/?tag=by+file")
    expect(page.locator(CARDS)).to_have_count(1)
    search_by(page, pictures.phone_photo(3102), "but not black, rather gray")
    open_first(page)
    expect(row(page, "Colour").locator(".mark")).to_have_text("Same")
    expect(row(page, "Colour")).to_contain_text("grey (in your words)")
    expect(row(page, "Place").locator(".mark")).to_have_text("1.9 km apart")
    expect(row(page, "Taken").locator(".mark")).to_have_text("7 days earlier")
    expect(page.locator(".agreement")).to_contain_text("not known of both: species, breed")
    page.reload()
    expect(row(page, "Taken").locator(".mark")).to_have_text("7 days earlier")
    page.get_by_role("button", name="Back").click()
    expect(page.locator(".chip.like")).to_contain_text("mine.jpg")


@pytest.mark.parametrize("size", [(120, 90), (900, 900)], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_exif_of_a_chosen_photo_is_read_in_every_format(
    page: Page, kind: str, size: tuple[int, int]
) -> None:
    register_formats()
    data = pictures.phone_photo(3103, kind, size=size)
    found = captured(page, data)
    assert found["taken_at"] == "2025-05-17T10:00:05"
    assert found["location"] == {"lat": pytest.approx(48.1375), "lon": pytest.approx(11.575)}


@pytest.mark.parametrize(
    "date", ["2025:02:30 10:00:05", "1970:01:01 00:00:00", "2999:01:01 00:00:00"]
)
def test_what_is_no_date_to_the_server_is_none_to_the_page(page: Page, date: str) -> None:
    assert "taken_at" not in captured(page, pictures.phone_photo(3104, date=date))


def test_one_of_several_examples_is_chosen(page: Page, client: Client) -> None:
    one, other = (item["image_id"] for item in client.search("pug", limit=2)["items"])
    page.goto(f"/?like={one}&like={other}")
    open_first(page)
    pictured = page.locator(".compare img").first
    expect(pictured).to_have_attribute("src", re.compile(one))
    page.get_by_label("Compare with").focus()
    page.get_by_label("Compare with").select_option("Example 2")
    expect(pictured).to_have_attribute("src", re.compile(other))
    expect(page.get_by_label("Compare with")).to_be_focused()


def test_without_the_photo_the_result_is_shown_alone(page: Page, client: Client) -> None:
    image_id = client.search("pug", limit=1)["items"][0]["image_id"]
    page.goto(f"/?by=123456&photo={image_id}")
    expect(page.locator(".large img")).to_be_visible()
    expect(page.locator(".compare")).to_have_count(0)


def test_an_example_that_cannot_be_read_now_is_tried_again(
    page: Page, client: Client, expected: set[int]
) -> None:
    one, other = (hit["image_id"] for hit in client.search("pug", limit=2)["items"])
    expected.add(503)
    address = f"**/v1/images/{one}"
    page.route(address, lambda route: route.fulfill(status=503, json={"detail": "No index."}))
    page.goto(f"/?like={one}&photo={other}")
    expect(page.get_by_role("heading", name="A service is down")).to_be_visible()
    page.unroute(address)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".compare img")).to_have_count(2)


def test_an_example_that_was_deleted_leaves_the_result_alone(
    page: Page, client: Client, expected: set[int]
) -> None:
    (hit,) = client.search("pug", limit=1)["items"]
    expected.add(404)
    page.goto(f"/?like={uuid.uuid4()}&photo={hit['image_id']}")
    expect(page.locator(".large img")).to_be_visible()
    expect(page.locator(".compare")).to_have_count(0)


def test_stepping_goes_on_beyond_what_is_loaded(page: Page) -> None:
    page.route(
        "**/v1/search?*",
        lambda route: route.continue_(url=re.sub(r"limit=\d+", "limit=5", route.request.url)),
    )
    # Nothing is loaded by scrolling: the photos are opened before.
    page.add_init_script("window.IntersectionObserver = class { observe() {} disconnect() {} }")
    page.goto("/?q=pug")
    expect(page.locator(CARDS)).to_have_count(5)
    page.locator(f"{CARDS} a.open").nth(4).click()
    following = page.get_by_role("button", name="Next photo")
    expect(following).to_be_enabled()
    last = page.url
    following.press("Enter")
    expect(page).not_to_have_url(last)
    expect(following).to_be_focused()
