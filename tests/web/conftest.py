"""A real Chromium before a real server. Where there is none, tests skip and say what is missing."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.sample.catalogue import catalogue
from tests.server import ServerProcess
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


@pytest.fixture
def seed(look: Look) -> int:
    """Other photos for every look: what is here already is no longer added."""
    return 5000 if look.device == "phone" else 6000


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    """A server that asks for keys, and one of the scope admin; each may send 40 a minute."""
    started = ServerProcess(
        tmp_path_factory.mktemp("keyed"), env={"PETSEARCH_KEY_REQUESTS_PER_MINUTE": "40"}
    )
    assert started.address, started.log
    photos = [Photo(drawing.filename, drawing.to_jpeg()) for drawing in catalogue(3, seed=7)]
    with Client(started.address) as client:
        upload(client, PhotoSource(iter(photos), 3), name="drawings")
        secret: str = client.create_key("me", ["admin"])["secret"]
    yield started, secret
    started.stop()


@pytest.fixture
def keyed_page(browser: Browser, keyed: tuple[ServerProcess, str]) -> Iterator[Page]:
    page = new_page(browser, keyed[0].address)
    yield page
    page.context.close()
