"""Takes the pictures of docs/screenshots from a real server with drawings: `make screenshots`.

Look at them before you commit them.
"""

import os
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from petsearch.client import Client, Photo
from petsearch.photo_sources import PhotoSource
from petsearch.sample.catalogue import DEMO_SEED, catalogue
from petsearch.uploading import upload
from tests.browser import find_chromium, launch
from tests.server import ServerProcess

_FOLDER = Path(__file__).parent.parent / "docs/screenshots"
_DRAWINGS = 480


def main() -> None:
    """Take every picture."""
    _FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data_dir:
        server = ServerProcess(Path(data_dir) / "data")
        _fill(server.address)
        with sync_playwright() as playwright:
            executable = find_chromium()
            assert executable is not None, "no Chromium: install it, or set PETSEARCH_CHROMIUM"
            browser = launch(playwright, executable)
            _take(browser, server.address, "search", query="grey tabby cat on grass")
            _take(
                browser,
                server.address,
                "phone",
                query="husky in the snow",
                size=(390, 844),
                dark=True,
            )
            browser.close()
        server.stop()


def _fill(address: str) -> None:
    photos = (
        Photo(drawing.filename, drawing.to_jpeg(), {"breed": drawing.kind})
        for drawing in catalogue(_DRAWINGS, DEMO_SEED)
    )
    with Client(address) as client:
        upload(client, PhotoSource(photos, _DRAWINGS), name="screenshots")


def _take(
    browser: Browser,
    address: str,
    name: str,
    *,
    query: str,
    size: tuple[int, int] = (1280, 860),
    dark: bool = False,
) -> None:
    page = browser.new_page(
        base_url=address,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
    )
    page.goto(f"/?q={query.replace(' ', '+')}")
    expect(page.locator(".score").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=os.fspath(_FOLDER / f"{name}.png"))
    page.close()


if __name__ == "__main__":
    main()
