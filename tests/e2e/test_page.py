"""The page in a real browser against a real server."""

import re
import signal
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from petsearch.client import Client
from tests import pictures
from tests.server import ServerProcess

CARDS = ".card:not(.skeleton)"


def open_start(page: Page) -> None:
    page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()


def search(page: Page, words: str) -> None:
    page.get_by_label("What does the photo show?").fill(words)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)
    expect(page.locator(".score").first).to_be_visible()


def test_words_bring_pictures_with_scores_and_breeds(page: Page) -> None:
    open_start(page)
    search(page, "dalmatian")
    first = page.locator(CARDS).first
    expect(first.locator(".breed")).to_have_text("dalmatian")
    expect(first.locator(".score")).to_have_text(re.compile(r"match 0\.\d\d"))
    image = first.locator("img")
    expect(image).to_have_js_property("complete", value=True)
    assert image.evaluate("image => image.naturalWidth") > 0


def test_the_page_is_honest_about_drawings(page: Page) -> None:
    open_start(page)
    banner = page.locator("#banner")
    expect(banner).to_contain_text("drawings with a small demo model")
    expect(banner).to_contain_text("make demo SOURCE=")


def test_filters_narrow_the_results_and_live_in_the_address(page: Page) -> None:
    open_start(page)
    search(page, "on grass")
    page.locator("select#breed").select_option("husky")
    expect(page).to_have_url(re.compile("breed=husky"))
    expect(page.locator(CARDS).first.locator(".breed")).to_have_text("husky")
    assert set(page.locator(f"{CARDS} .breed").all_text_contents()) == {"husky"}


def test_more_like_this_and_back(page: Page) -> None:
    open_start(page)
    search(page, "siamese")
    page.locator(CARDS).first.get_by_role("button", name="More like this").click()
    expect(page).to_have_url(re.compile("like="))
    expect(page.locator("#like")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("siamese")
    expect(page.locator("#like")).to_be_hidden()


def test_an_address_restores_the_search(page: Page) -> None:
    page.goto("/?q=poodle&species=dog")
    expect(page.locator(".score").first).to_be_visible()
    expect(page.get_by_label("What does the photo show?")).to_have_value("poodle")
    expect(page.locator("select#species")).to_have_value("dog")


def test_a_photo_finds_itself(page: Page, client: Client, server_url: str, tmp_path: Path) -> None:
    wanted = client.search("corgi", limit=1)["items"][0]
    photo = tmp_path / "mine.jpg"
    photo.write_bytes(httpx.get(server_url + wanted["urls"]["display"]).content)
    open_start(page)
    page.locator("#photo-file").set_input_files(photo)
    expect(page.locator("#like-text")).to_have_text("like mine.jpg")
    first = page.locator(CARDS).first.locator("img")
    expect(first).to_have_attribute("src", wanted["urls"]["thumbnail"])
    page.locator("#like-remove").click()
    expect(page.locator("#like")).to_be_hidden()


def test_a_dropped_photo_is_searched(page: Page) -> None:
    open_start(page)
    data = page.evaluate_handle(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.jpg"));
            return transfer;
        }""",
        list(pictures.jpeg(3000)),
    )
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.locator("#like-text")).to_have_text("like dropped.jpg")
    expect(page.locator(".score").first).to_be_visible()


def test_an_upload_says_what_was_refused_and_why(page: Page) -> None:
    open_start(page)
    hostile = "<img src=x onerror=alert(1)>.jpg"
    page.locator("#upload-files").set_input_files(
        [
            {"name": "good.jpg", "mimeType": "image/jpeg", "buffer": pictures.jpeg(3001)},
            {"name": hostile, "mimeType": "image/jpeg", "buffer": pictures.HTML},
        ]
    )
    dialog = page.get_by_role("dialog", name="Adding photos")
    expect(dialog).to_contain_text("1 added, 1 refused.")
    problem = dialog.locator(".problems li")
    expect(problem).to_contain_text("not a picture")
    expect(problem.locator("strong")).to_have_text(hostile)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_a_photo_opens_large_with_its_facts(page: Page) -> None:
    open_start(page)
    search(page, "beagle")
    page.locator(f"{CARDS} button.open").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("File")
    expect(dialog.locator("img")).to_have_js_property("complete", value=True)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    open_start(page)
    page.locator("#results button.open").first.focus()
    page.keyboard.press("ArrowRight")
    second = page.locator(f"{CARDS} button.open").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("What does the photo show?")).to_be_focused()


def test_an_unknown_breed_says_what_is_accepted(page: Page) -> None:
    page.goto("/?q=cat&breed=unicorn")
    message = page.locator("#message")
    expect(message).to_contain_text("That did not work")
    expect(message).to_contain_text("siamese")


def test_a_stopped_server_is_said_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    port = server.address.rpartition(":")[2]
    page = browser.new_page(base_url=server.address)
    page.goto("/")
    expect(page.locator("#message")).to_contain_text("No photos yet")
    server.stop(signal.SIGTERM)
    page.get_by_label("What does the photo show?").fill("cat")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("The server does not answer")
    again = ServerProcess(tmp_path / "data", port=int(port))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#message")).to_contain_text("No good match")
    page.close()
    again.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_both_schemes(browser: Browser, server_url: str, scheme: str) -> None:
    page = browser.new_page(
        base_url=server_url,
        viewport={"width": 360, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto("/?q=cat")
    expect(page.locator(".score").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in re.findall(r"\d+", background)[:3]) / 3
    assert (brightness < 80) == (scheme == "dark")
    page.close()


def test_the_page_weighs_little(server_url: str) -> None:
    web = Path(__file__).parents[2] / "web"
    files = [path for path in web.rglob("*") if path.is_file()]
    total = 0
    for path in files:
        answer = httpx.get(f"{server_url}/{path.relative_to(web)}")
        assert answer.status_code == 200
        total += len(answer.content)
    assert total <= 60_000
