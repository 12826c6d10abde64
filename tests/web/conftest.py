"""A real Chromium before a real server. Where there is none, tests skip and say what is missing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser import find_chromium, launch
from tests.web.pages import WAIT_MS, Complaints, Look, new_page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium: install it, or set PETSEARCH_CHROMIUM to its path")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        opened = launch(playwright, executable)
        yield opened
        opened.close()


@pytest.fixture(params=[Look("desktop", "light"), Look("phone", "dark")], ids=str)
def look(request: pytest.FixtureRequest) -> Look:
    """Every flow works at a desk by day and on a phone by night."""
    assert isinstance(request.param, Look)
    return request.param


@pytest.fixture
def expected() -> set[int]:
    """Statuses of errors that a test provokes: it adds them here."""
    return set()


@pytest.fixture
def page(browser: Browser, server_url: str, look: Look, expected: set[int]) -> Iterator[Page]:
    """An empty page; at the end it must not have complained, nor asked another server."""
    opened = new_page(browser, server_url, look)
    complaints = Complaints(opened, server_url, expected)
    yield opened
    opened.context.close()
    complaints.check()
