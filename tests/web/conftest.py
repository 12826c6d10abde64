"""A real Chromium before a real server. Where there is none, tests skip and say what is missing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.web.pages import Complaints, Look, new_page


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
    # A route that still fetches would fail once its context is closed; one that never answers
    # could not be waited for.
    opened.unroute_all(behavior="ignoreErrors")
    opened.context.close()
    complaints.check()
