"""A real Chromium for the browser tests. Where there is none they skip and say what is missing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import find_chromium, launch


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium: install it, or set PETSEARCH_CHROMIUM to its path")
    with sync_playwright() as playwright:
        opened = launch(playwright, executable)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, server_url: str) -> Iterator[Page]:
    """An empty page; at the end it must not have complained, nor asked another server."""
    opened = browser.new_page(base_url=server_url, viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(15_000)
    complaints: list[str] = []
    foreign: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda message: complaints.append(message.text) if _is_bug(message.text) else None,
    )
    opened.on(
        "request",
        lambda request: None if _is_ours(request.url, server_url) else foreign.append(request.url),
    )
    yield opened
    opened.close()
    assert not complaints
    assert not foreign


def _is_bug(text: str) -> bool:
    # Chromium itself reports every answer that is an error; tests provoke some on purpose.
    return "Failed to load resource" not in text and "[verbose]" not in text.lower()


def _is_ours(url: str, server_url: str) -> bool:
    return url.startswith((server_url, "blob:", "data:"))
