"""Dates of photos, shown and edited by people in other time zones than the server's."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.sample.catalogue import drawing_at
from tests.web.pages import new_page

ZONES = ("Pacific/Kiritimati", "America/Los_Angeles")
AHEAD, BEHIND = ZONES


def add(client: Client, number: int, **metadata: str) -> JsonDict:
    """A photo of a test alone."""
    data = drawing_at(number, seed=11).to_jpeg()
    upload(client, PhotoSource(iter([Photo("pet.jpg", data, metadata)]), 1), name="dates")
    return client.change_image(image_id_of(sha256_of(data)), {"status": None, **metadata})


def open_photo(browser: Browser, address: str, image: JsonDict, zone: str) -> Page:
    page = new_page(browser, address, zone=zone)
    page.goto(f"/?photo={image['image_id']}")
    expect(page.locator("dl")).to_contain_text("Taken")
    return page


def fact(page: Page) -> str:
    return page.locator("dt", has_text="Taken").locator("+ dd").inner_text().replace("\u202f", " ")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2026-05-17", {AHEAD: "May 17, 2026", BEHIND: "May 17, 2026"}),
        (
            "2026-05-17T23:30:05",
            {AHEAD: "May 17, 2026, 11:30 PM", BEHIND: "May 17, 2026, 11:30 PM"},
        ),
        (
            "2026-05-17T23:30:05Z",
            {AHEAD: "May 18, 2026, 1:30 PM", BEHIND: "May 17, 2026, 4:30 PM"},
        ),
    ],
)
@pytest.mark.parametrize("zone", ZONES)
def test_a_date_is_shown_as_what_is_known_of_it(
    browser: Browser,
    server_url: str,
    client: Client,
    zone: str,
    written: str,
    shown: dict[str, str],
) -> None:
    image = add(client, 60 + len(written), taken_at=written)
    page = open_photo(browser, server_url, image, zone)
    assert fact(page) == shown[zone]
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Status").fill("found")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dl")).to_contain_text("found")
    now = client.image(image["image_id"])
    kept = ("taken_at", "taken_at_precision", "taken_at_source")
    assert [now[name] for name in kept] == [image[name] for name in kept]
    assert fact(page) == shown[zone]
    page.context.close()


@pytest.mark.parametrize(
    ("before", "day", "time", "after"),
    [
        ("2026-05-17", "2026-05-18", "", ("2026-05-18T00:00:00Z", "day")),
        ("2026-05-17", "2026-05-17", "10:30", ("2026-05-16T20:30:00Z", "instant")),
        ("2026-05-17T23:30:05", "2026-05-18", None, ("2026-05-18T23:30:05Z", "local")),
        ("2026-05-17T23:30:05Z", "2026-05-19", None, ("2026-05-18T23:30:05Z", "instant")),
        ("2026-05-17T23:30:05", "2026-05-17", "", ("2026-05-17T00:00:00Z", "day")),
        ("2026-05-17", "", "", (None, None)),
    ],
)
def test_an_edited_date_keeps_its_kind(
    browser: Browser,
    server_url: str,
    client: Client,
    before: str,
    day: str,
    time: str | None,
    after: tuple[str | None, str | None],
) -> None:
    image = add(client, 90 + len(before), taken_at=before)
    page = open_photo(browser, server_url, image, AHEAD)
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Taken on").fill(day)
    if time is not None:
        page.locator(".edit").get_by_label("Taken at").fill(time)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".edit")).to_have_count(0)
    now = client.image(image["image_id"])
    assert (now["taken_at"], now["taken_at_precision"]) == after
    page.context.close()


def test_a_time_needs_its_day(browser: Browser, server_url: str, client: Client) -> None:
    page = open_photo(browser, server_url, add(client, 52, taken_at="2026-05-17"), AHEAD)
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Taken on").fill("")
    page.locator(".edit").get_by_label("Taken at").fill("10:30")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("enter the day")
    page.context.close()


def test_a_part_of_a_day_is_typed_anew(browser: Browser, server_url: str) -> None:
    page = new_page(browser, server_url)
    page.goto("/?since=2020-05-17")
    since = page.locator("#since")
    expect(since).to_have_value("2020-05-17")
    since.focus()
    page.keyboard.press("Backspace")  # The month; what is left is no day yet.
    expect(page).not_to_have_url(re.compile("since"))
    page.keyboard.type("06")
    expect(since).to_have_value("2020-06-17")
    expect(page).to_have_url(re.compile("since=2020-06-17"))
    page.context.close()
