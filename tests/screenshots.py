"""Takes the pictures of docs/screenshots from a real server with drawings: `make screenshots`.

Look at them before you commit them.
"""

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.sample.catalogue import DEMO_SEED, catalogue, drawing_at
from tests import pictures
from tests.browser import find_chromium, launch
from tests.server import ServerProcess
from tests.web.pages import CARDS, Look, new_page, open_add, picked

_FOLDER = Path(__file__).parent.parent / "docs/screenshots"
_DRAWINGS = 480
_STATUSES = ("shelter", "shelter", "lost", "shelter", "found", "adopted", "shelter")
_MOST_BYTES = 150_000
_COLOURS = (256, 192, 128, 96, 64, 48, 32)

_DAY_DESK, _NIGHT_DESK = Look("desktop", "light"), Look("desktop", "dark")
_DAY_PHONE, _NIGHT_PHONE = Look("phone", "light"), Look("phone", "dark")


def main() -> None:
    """Take every picture."""
    _FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data_dir:
        server = ServerProcess(Path(data_dir) / "data")
        with Client(server.address) as client:
            _fill(client)
        with sync_playwright() as playwright:
            executable = find_chromium()
            assert executable is not None, "no Chromium: install it, or set PETSEARCH_CHROMIUM"
            browser = launch(playwright, executable)
            for name, (look, prepare) in _STATES.items():
                _take(browser, server.address, name, look, prepare)
            browser.close()
        server.stop()


def _fill(client: Client) -> None:
    def photos() -> PhotoSource:
        made = (
            Photo(
                drawing.filename,
                drawing.to_jpeg(),
                {
                    "breed": drawing.kind,
                    "status": _STATUSES[number % len(_STATUSES)],
                    "animal_id": f"shelter-{number // 2}",
                    "tags": [drawing.attributes.background, drawing.attributes.pose],
                    "location": {"lat": 52.5 + number % 40 / 100, "lon": 13.4},
                },
            )
            for number, drawing in enumerate(catalogue(_DRAWINGS, DEMO_SEED))
            # A catalogue as they are: of some breeds there are more than of others.
            if number % 19 < 12 or number % (number % 19) < 5
        )
        return PhotoSource(made, None)

    upload(client, photos(), name="Autumn photos of the shelter")


def _take(
    browser: Browser, address: str, name: str, look: Look, prepare: Callable[[Page], None]
) -> None:
    page = new_page(browser, address, look)
    prepare(page)
    page.wait_for_load_state("networkidle")
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.context.close()
    (_FOLDER / f"{name}.png").write_bytes(_small(picture))


def _small(picture: Image.Image) -> bytes:
    """As a PNG with as many colours as its size allows."""
    for colours in _COLOURS:
        buffer = io.BytesIO()
        reduced = picture.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        reduced.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= _MOST_BYTES:
            break
    return buffer.getvalue()


def _results(query: str) -> Callable[[Page], None]:
    def prepare(page: Page) -> None:
        page.goto(f"/?{query}")
        expect(page.locator(".hit").first).to_be_visible()
        page.wait_for_load_state("networkidle")

    return prepare


def _suggestions(page: Page) -> None:
    _results("q=grey+cat")(page)
    box = page.get_by_label("What does the photo show?")
    box.press("Enter")
    box.fill("")
    box.press_sequentially("sleepy c")
    expect(page.locator("#suggestions")).to_be_visible()
    page.keyboard.press("ArrowDown")


def _framing(page: Page) -> None:
    page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()
    mine = picked("mine.jpg", drawing_at(9001, 7).to_jpeg())
    page.locator("#photo-file").set_input_files(mine)
    expect(page.locator(".frame")).to_be_visible()
    for _ in range(7):
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("ArrowRight")
    for _ in range(4):
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("ArrowDown")
    page.get_by_role("dialog").get_by_role("textbox").fill("but black")


def _comparison(page: Page) -> None:
    _framing(page)
    page.get_by_role("dialog").get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".hit").first).to_be_visible()
    page.locator(f"{CARDS} a.open").nth(1).click()
    expect(page.locator(".compare img")).to_have_count(2)


def _more_and_less(page: Page) -> None:
    _results("q=husky+in+the+snow")(page)
    page.locator(CARDS).nth(0).get_by_role("button", name="More like this").click()
    expect(page.locator(".chip.like")).to_be_visible()
    page.locator(CARDS).nth(1).get_by_role("button", name="Less like this").click()
    expect(page.locator(".chip.unlike")).to_be_visible()
    expect(page.locator(".hit").first).to_be_visible()


def _photo(query: str) -> Callable[[Page], None]:
    def prepare(page: Page) -> None:
        _results(query)(page)
        page.locator(f"{CARDS} a.open").nth(1).click()
        expect(page.locator(".strip.similar .card").first).to_be_visible()

    return prepare


def _adding(page: Page) -> None:
    open_add(page)
    expect(page.locator("#recent-jobs .job").first).to_be_visible()


def _job(page: Page) -> None:
    open_add(page)
    photos = [(f"IMG_{4310 + n}.jpg", drawing_at(9100 + n, 7).to_jpeg()) for n in range(6)]
    photos += [("holiday.jpg", pictures.HTML), ("broken.jpg", photos[0][1][:2000])]
    page.locator("#add-files").set_input_files([picked(name, data) for name, data in photos])
    expect(page.locator(".job-head .state")).to_have_text("Partly failed")
    expect(page.locator(".refused .problems li")).to_have_count(2)


def _operator(page: Page) -> None:
    page.goto("/?page=operator")
    expect(page.locator("#operator-jobs .job").first).to_be_visible()
    expect(page.locator(".chart a").first).to_be_visible()


_STATES = {
    "search": (_DAY_DESK, _results("q=grey+tabby+cat+on+grass")),
    "filters": (_NIGHT_DESK, _results("q=on+a+sofa&species=dog&status=shelter&near=52.5,13.4,25")),
    "suggestions": (_DAY_PHONE, _suggestions),
    "frame": (_DAY_DESK, _framing),
    "phone": (_NIGHT_PHONE, _more_and_less),
    "compare": (_DAY_DESK, _comparison),
    "compare-phone": (_NIGHT_PHONE, _comparison),
    "photo": (_DAY_DESK, _photo("q=dalmatian")),
    "photo-phone": (_NIGHT_PHONE, _photo("q=calico")),
    "add": (_DAY_PHONE, _adding),
    "job": (_DAY_DESK, _job),
    "operator": (_NIGHT_DESK, _operator),
}


if __name__ == "__main__":
    main()
