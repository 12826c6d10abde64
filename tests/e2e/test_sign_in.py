"""Signing in on the page of a server that asks for keys, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from petsearch.client import Client, Photo
from petsearch.photo_sources import PhotoSource
from petsearch.sample.catalogue import catalogue
from petsearch.uploading import upload
from tests.server import ServerProcess


@pytest.fixture(params=["0"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """On loopback, without a key at first; the parameter opens searching to everybody."""
    started = ServerProcess(tmp_path, env={"PETSEARCH_ANONYMOUS_SEARCH": request.param})
    assert started.address, started.log
    yield started
    started.stop()


@pytest.fixture
def key(server: ServerProcess) -> str:
    """Of an admin, made on loopback where nobody needed one before."""
    photos = [Photo(drawing.filename, drawing.to_jpeg()) for drawing in catalogue(3, seed=7)]
    with Client(server.address) as client:
        upload(client, PhotoSource(iter(photos), 3), name="drawings")
        secret: str = client.create_key("me", ["admin"])["secret"]
        return secret


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    opened = browser.new_page(base_url=server.address)
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


def test_the_page_asks_for_a_key_and_keeps_it_from_scripts(page: Page, key: str) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    field, submit = page.get_by_label("API key"), page.get_by_role("button", name="Sign in")
    field.fill("ps_wrong")
    submit.click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    field.fill(key)
    submit.click()
    expect(page.locator(".card:not(.skeleton) img")).to_have_count(3)
    picture = page.locator(".card img").first
    expect(picture).to_have_js_property("complete", value=True)
    assert picture.evaluate("image => image.naturalWidth") > 0
    assert "petsearch" not in page.evaluate("document.cookie")
    assert key not in page.content()
    page.reload()
    expect(page.locator(".card:not(.skeleton)")).to_have_count(3)


@pytest.mark.parametrize("server", ["1"], indirect=True)
def test_where_searching_is_open_only_adding_photos_takes_a_key(
    page: Page, key: str, tmp_path: Path
) -> None:
    page.goto("/")
    expect(page.locator(".card:not(.skeleton)")).to_have_count(3)
    drawing = next(iter(catalogue(1, seed=8)))
    (tmp_path / "new.jpg").write_bytes(drawing.to_jpeg())
    page.get_by_label("Photos to add").set_input_files(tmp_path / "new.jpg")
    dialog = page.get_by_role("dialog", name="Adding photos")
    dialog.get_by_label("API key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_text("1 added")).to_be_visible()
