"""Searching by a photo: chosen, dropped, pasted or taken; framed; with words; like and unlike."""

import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from petsearch.client import Client
from tests import pictures
from tests.web.pages import CARDS, Look, new_page, open_start, search

TRANSFER = """([bytes, name, type]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
    return transfer;
}"""


def choose(page: Page, photo: Path) -> None:
    page.locator("#photo-file").set_input_files(photo)
    expect(page.get_by_role("dialog", name="Search by photo")).to_be_visible()


def start(page: Page) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".chip.like")).to_be_visible()
    expect(page.locator(".hit").first).to_be_visible()


@pytest.fixture
def drawing(client: Client, server_url: str, tmp_path: Path) -> tuple[Path, str]:
    """The display copy of a photo that is here, and the address of its thumbnail."""
    wanted = client.search("corgi", limit=1)["items"][0]
    path = tmp_path / "mine.jpg"
    path.write_bytes(httpx.get(server_url + wanted["urls"]["display"]).content)
    return path, wanted["urls"]["thumbnail"]


def test_a_whole_photo_finds_itself_also_after_a_reload(
    page: Page, drawing: tuple[Path, str]
) -> None:
    open_start(page)
    choose(page, drawing[0])
    page.get_by_role("button", name="Whole photo").click()
    start(page)
    expect(page.locator(".chip.like")).to_contain_text("like mine.jpg")
    image = page.locator(CARDS).first.locator("img")
    expect(image).to_have_attribute("src", drawing[1])
    page.reload()
    expect(page.locator(".chip.like")).to_contain_text("like mine.jpg")
    expect(image).to_have_attribute("src", drawing[1])
    page.locator(".chip.like button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Latest photos")


def test_a_photo_that_is_gone_before_it_is_sent_is_said(
    page: Page, drawing: tuple[Path, str]
) -> None:
    open_start(page)
    choose(page, drawing[0])
    page.get_by_role("button", name="Whole photo").click()
    drawing[0].unlink()
    page.get_by_role("dialog").get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#message")).to_contain_text("“mine.jpg” cannot be read any more")


def test_the_frame_is_moved_by_pointer_and_keys_and_cuts_what_is_sent(
    page: Page, drawing: tuple[Path, str]
) -> None:
    open_start(page)
    choose(page, drawing[0])
    frame = page.locator(".frame")
    expect(frame).to_be_focused()
    before = frame.bounding_box()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowDown")
    moved = frame.bounding_box()
    assert before is not None and moved is not None
    assert moved["width"] < before["width"] and moved["y"] > before["y"]
    corner = page.get_by_role("button", name="Top left corner").bounding_box()
    assert corner is not None
    page.mouse.move(corner["x"] + 17, corner["y"] + 17)
    page.mouse.down()
    page.mouse.move(corner["x"] + 80, corner["y"] + 90)
    page.mouse.up()
    cut = frame.bounding_box()
    assert cut is not None and cut["x"] > moved["x"] + 40
    start(page)
    side, other = page.locator(".chip.like img").evaluate(
        "(image) => image.decode().then(() => [image.naturalWidth, image.naturalHeight])"
    )
    assert side < 512 and other < 512, "what was sent is a part of the drawing"


def test_a_photo_and_words_are_combined(page: Page, drawing: tuple[Path, str]) -> None:
    open_start(page)
    choose(page, drawing[0])
    page.get_by_role("dialog").get_by_role("textbox").fill("in the snow")
    start(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("and “in the snow”")
    expect(page.get_by_label("What does the photo show?")).to_have_value("in the snow")
    search(page, "on a sofa")
    expect(page.locator(".chip.like")).to_be_visible()


def test_a_dropped_and_a_pasted_photo_are_searched(page: Page) -> None:
    open_start(page)
    data = page.evaluate_handle(TRANSFER, [list(pictures.jpeg(3000)), "dropped.jpg", "image/jpeg"])
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    start(page)
    expect(page.locator(".chip.like")).to_contain_text("dropped.jpg")
    page.evaluate(
        """(transfer) => dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }))""",
        page.evaluate_handle(TRANSFER, [list(pictures.jpeg(3001)), "pasted.jpg", "image/jpeg"]),
    )
    start(page)
    expect(page.locator(".chip.like")).to_contain_text("pasted.jpg")


def test_text_that_is_pasted_with_pictures_of_itself_is_text(page: Page) -> None:
    """As office programs copy it."""
    open_start(page)
    copied = page.evaluate_handle(TRANSFER, [list(pictures.jpeg(3001)), "cell.jpg", "image/jpeg"])
    copied.evaluate(
        "(transfer) => { transfer.setData('text/plain', 'shy');"
        " transfer.items.add(new File(['x'], 'cell.png', { type: 'image/png' })); }"
    )
    paste = """([transfer, selector]) => document.querySelector(selector)
        .dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }))"""
    page.evaluate(paste, [copied, "#query"])
    assert page.locator("dialog[open]").count() == 0  # Two files ask at once.
    page.evaluate(paste, [copied, "body"])
    expect(page.get_by_role("dialog", name="Add 2 files to the catalogue?")).to_be_visible()


def test_a_search_that_is_started_twice_is_sent_once(page: Page, drawing: tuple[Path, str]) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_start(page)
    steps = page.evaluate("history.length")
    choose(page, drawing[0])
    page.evaluate(
        "() => { const form = document.querySelector('#dialog form');"
        " form.requestSubmit(); form.requestSubmit(); }"
    )
    expect(page.locator(".hit").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert sum("/v1/search/image" in url for url in asked) == 1
    assert page.evaluate("history.length") == steps + 1


def test_a_phone_offers_its_camera(browser: Browser, server_url: str) -> None:
    page = new_page(browser, server_url, Look("phone", "light"))
    open_start(page)
    expect(page.get_by_role("button", name="Take a photo to search by")).to_be_visible()
    camera = page.locator("#photo-camera")
    expect(camera).to_have_attribute("capture", "environment")
    camera.set_input_files(
        {"name": "shot.jpg", "mimeType": "image/jpeg", "buffer": pictures.jpeg(3002)}
    )
    start(page)
    page.context.close()


def test_an_example_without_a_sure_name_is_called_a_photo(page: Page, client: Client) -> None:
    image_id = client.list_images(limit=1)["items"][0]["image_id"]

    def unsure(route: Route) -> None:
        route.fulfill(json={**route.fetch().json(), "breed": "pug", "breed_source": "unsure"})

    page.route(f"**/v1/images/{image_id}", unsure)
    page.goto(f"/?like={image_id}")
    expect(page.locator(".chip.like")).to_contain_text("like this photo")


def test_more_and_less_like_this_are_chips_that_can_be_removed(page: Page) -> None:
    open_start(page)
    search(page, "siamese")
    page.locator(CARDS).first.get_by_role("button", name="More like this").click()
    expect(page).to_have_url(re.compile("like="))
    expect(page.locator(".chip.like")).to_contain_text("like siamese")
    # The words stay.
    expect(page.get_by_label("What does the photo show?")).to_have_value("siamese")
    expect(page.locator(".hit").first).to_be_visible()
    unwanted = page.locator(CARDS).first.get_attribute("data-id")
    page.locator(CARDS).first.get_by_role("button", name="Less like this").click()
    expect(page).to_have_url(re.compile(f"not={unwanted}"))
    expect(page.locator(".chip.unlike")).to_be_visible()
    expect(page.locator(f'#results [data-id="{unwanted}"]')).to_have_count(0)
    page.locator(".chip.unlike button").click()
    expect(page.locator(".chip.unlike")).to_have_count(0)
    page.go_back()
    expect(page.locator(".chip.unlike")).to_be_visible()
    page.go_back()
    expect(page.locator(".chip.unlike")).to_have_count(0)
    expect(page.locator(".chip.like")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("siamese")
    expect(page.locator(".chip")).to_have_count(0)


def test_a_shared_address_of_a_photo_search_says_what_is_missing(page: Page) -> None:
    page.goto("/?by=123456")
    expect(page.locator("#message")).to_contain_text("The photo you searched by is not available")
    with page.expect_file_chooser():
        page.get_by_role("button", name="Choose a photo").click()


def test_a_file_of_one_byte_is_no_picture(page: Page, expected: set[int]) -> None:
    expected.add(422)
    open_start(page)
    page.locator("#photo-file").set_input_files(
        {"name": "tiny.jpg", "mimeType": "image/jpeg", "buffer": b"\xff"}
    )
    dialog = page.get_by_role("dialog", name="Search by photo")
    expect(dialog).to_contain_text("This browser cannot show the file")
    dialog.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("#message")).to_contain_text("This file is not a picture")
    expect(page.get_by_role("button", name="Choose a photo")).to_be_visible()


def test_several_examples_and_words_make_one_query(page: Page) -> None:
    open_start(page)
    search(page, "siamese")
    for count in (1, 2):
        expect(page.locator(".hit").first).to_be_visible()
        card = page.locator(CARDS).first
        chosen = card.get_attribute("data-id")
        with page.expect_response(lambda answer: answer.url.endswith("/v1/search")) as asked:
            card.get_by_role("button", name="More like this").click()
        sent = asked.value.request.post_data_json
        assert sent is not None
        assert sent["text"] == "siamese"
        assert len(sent["positive"]) == count
        assert sent["positive"][-1] == {"image_id": chosen}
        expect(page.locator(".chip.like")).to_have_count(count)
        expect(page.locator(f'#results [data-id="{chosen}"]')).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_contain_text("look like these 2")
    page.locator(".chip.like button").first.click()
    expect(page.locator(".chip.like")).to_have_count(1)


NO_BLOBS = """{ const { put } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.put = function (entry, key) {
        if (entry.blob instanceof Blob) throw new DOMException("No blobs.", "UnknownError");
        return put.call(this, entry, key);
    }; }"""


def test_a_browser_that_stores_no_blobs_keeps_the_photo_too(
    page: Page, drawing: tuple[Path, str]
) -> None:
    """So are private windows of Safari."""
    page.add_init_script(NO_BLOBS)
    open_start(page)
    choose(page, drawing[0])
    start(page)
    page.reload()
    expect(page.locator(".chip.like")).to_contain_text("like mine.jpg")
    expect(page.locator(".hit").first).to_be_visible()


NOISE = """CanvasRenderingContext2D.prototype.getImageData = (x, y, width, height) => {
    const noise = new ImageData(width, height);
    crypto.getRandomValues(noise.data);
    return noise;
};"""


def test_a_browser_that_gives_noise_for_pictures_sends_the_whole_photo(
    page: Page, drawing: tuple[Path, str]
) -> None:
    """So do Tor Browser and Firefox with resistFingerprinting."""
    page.add_init_script(NOISE)
    open_start(page)
    choose(page, drawing[0])
    expect(page.get_by_role("dialog")).to_contain_text("cannot be cropped")
    expect(page.locator(".frame")).to_have_count(0)
    start(page)
    expect(page.locator(CARDS).first.locator("img")).to_have_attribute("src", drawing[1])
