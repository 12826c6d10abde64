"""What tests of the page share: looks, complaints, and steps that many of them take."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Browser, FilePayload, Page, Request, Response, expect

from tests.browser import BROWSER_WAIT_MS

CARDS = "#results .card:not(.skeleton)"
_SIZES = {"desktop": (1280, 800), "phone": (390, 844)}


@dataclass(frozen=True)
class Look:
    """A device and a colour scheme."""

    device: Literal["desktop", "phone"]
    scheme: Literal["light", "dark"]

    def __str__(self) -> str:
        return f"{self.device}-{self.scheme}"


LOOKS = [
    Look("desktop", "light"),
    Look("desktop", "dark"),
    Look("phone", "light"),
    Look("phone", "dark"),
]


def new_page(
    browser: Browser, address: str, look: Look = LOOKS[0], *, zone: str | None = None
) -> Page:
    """A page in a context of its own: nothing is kept from the test before.

    Args:
        zone: of its clock; the machine's own if it is None.
    """
    width, height = _SIZES[look.device]
    is_phone = look.device == "phone"
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        color_scheme=look.scheme,
        has_touch=is_phone,
        is_mobile=is_phone,
        timezone_id=zone,
    )
    page = context.new_page()
    page.set_default_timeout(BROWSER_WAIT_MS)
    return page


class Complaints:
    """Errors of scripts and of the server, words in the console, requests to other servers.

    Args:
        expected: statuses of errors that the test provokes on purpose; it may add to them.
    """

    def __init__(self, page: Page, address: str, expected: Collection[int] = ()) -> None:
        self._said: list[str] = []
        self._address = address
        self._expected = expected
        page.on("pageerror", lambda error: self._said.append(str(error)))
        page.on("console", lambda message: self._hear(message.text))
        page.on("request", self._see)
        page.on("response", self._judge)

    def check(self) -> None:
        """Fail if there was anything."""
        assert not self._said, self._said

    def _hear(self, text: str) -> None:
        # Chromium's own word for an answer that is an error; `_judge` looks at those.
        if "Failed to load resource" not in text and "[verbose]" not in text.lower():
            self._said.append(text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((self._address, "blob:", "data:")):
            self._said.append(f"another server was asked: {request.url}")

    def _judge(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self._expected:
            self._said.append(f"{response.status} of {response.request.method} {response.url}")


def picked(name: str, data: bytes, kind: str = "image/jpeg") -> FilePayload:
    """A file as a person picks it."""
    return {"name": name, "mimeType": kind, "buffer": data}


def open_start(page: Page) -> None:
    """The page with the latest photos."""
    page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()


def open_add(page: Page) -> None:
    """The page for adding photos."""
    page.goto("/?page=add")
    expect(page.locator("#add-view")).to_be_visible()


def search(page: Page, words: str) -> None:
    """Search by words, and wait for the results."""
    page.get_by_label("What does the photo show?").fill(words)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(words)
    expect(page.locator(".hit").first).to_be_visible()


def open_filters(page: Page) -> None:
    """On a phone they are a sheet over the results."""
    toggle = page.locator("#filters-toggle")
    if toggle.is_visible():
        toggle.click()
    expect(page.locator("#filters")).to_be_visible()


def close_filters(page: Page) -> None:
    """On a phone, to reach the results."""
    done = page.get_by_role("button", name="Show the photos")
    if done.is_visible():
        done.click()


def sign_in(page: Page, key: str) -> None:
    """With the form that is shown."""
    page.get_by_label("API key").fill(key)
    page.locator(".sign-in").get_by_role("button", name="Sign in").click()


def leave(page: Page) -> None:
    """Before what it shows is deleted: it may still ask for the pictures."""
    page.goto("about:blank")
