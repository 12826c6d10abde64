"""What goes wrong has a face of its own, and ends as soon as what caused it does."""

import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from petsearch.client import Client, Photo
from tests import pictures
from tests.server import ServerProcess
from tests.tcp_proxy import TcpProxy
from tests.web.pages import CARDS, new_page, open_add, open_start, sign_in


def make_key(server: ServerProcess, admin: str, **options: str) -> tuple[str, str]:
    with Client(server.address, api_key=admin) as client:
        made = client.create_key("volunteer", ["search"], **options)
        return made["key"]["key_id"], made["secret"]


def test_a_server_with_keys_asks_for_one_and_keeps_it_from_scripts(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    _, key = make_key(*keyed)
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "ps_wrong")
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    sign_in(page, key)
    expect(page.locator(CARDS)).to_have_count(3)
    expect(page.locator("#account")).to_contain_text("volunteer")
    expect(page.get_by_role("link", name="Search", exact=True)).to_be_visible()
    for name in ("Add photos", "Operator"):
        expect(page.get_by_role("link", name=name)).to_be_hidden()
    assert "petsearch" not in page.evaluate("document.cookie")
    assert key not in page.content()
    page.reload()
    expect(page.locator(CARDS)).to_have_count(3)


def test_the_operators_page_asks_for_a_key_once(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    page.goto("/?page=operator")
    expect(page.get_by_role("heading", name="Sign in")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_label("API key")).to_have_count(1)
    expect(page.get_by_role("heading", name="Jobs")).to_be_hidden()
    sign_in(page, keyed[1])
    expect(page.locator("#operator-jobs .job")).to_have_count(1)
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    expect(page.get_by_label("API key")).to_have_count(0)


def test_a_key_that_may_only_search_is_told_so(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    _, key = make_key(*keyed)
    open_add(page)
    sign_in(page, key)
    expect(page.locator("#recent-jobs")).to_contain_text("Your key does not allow this")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_key_that_ended_says_so_and_signing_in_again_goes_on(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    server, admin = keyed
    page = keyed_page
    key_id, key = make_key(
        server, admin, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()
    )
    page.goto("/")
    sign_in(page, key)
    expect(page.locator(CARDS)).to_have_count(3)
    with Client(server.address, api_key=admin) as client:
        client.revoke_key(key_id)
    page.get_by_label("What does the photo show?").fill("cat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You were signed out")).to_be_visible()
    sign_in(page, make_key(server, admin)[1])
    expect(page.locator(".hit").first).to_be_visible()


@contextmanager
def asking_too_often(address: str, key: str) -> Iterator[None]:
    """Somebody else with the same key asks again and again; from the first refusal on."""
    refused, ending = threading.Event(), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}) as http:
            while not ending.is_set():
                if http.get("/v1/stats").status_code == 429:
                    refused.set()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        assert refused.wait(60)
        yield
    finally:
        ending.set()
        thread.join()


def test_too_many_requests_are_waited_for(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    _, key = make_key(*keyed)
    page.goto("/")
    sign_in(page, key)
    expect(page.locator(CARDS)).to_have_count(3)
    with asking_too_often(keyed[0].address, key):
        page.get_by_label("What does the photo show?").fill("cat")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Too many requests")).to_be_visible()
        again = re.compile(r"Trying again in \d+ seconds? …")
        expect(page.get_by_role("timer")).to_have_text(again)
    expect(page.locator(".hit").first).to_be_visible()


def test_a_stopped_server_is_said_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    port = urlsplit(server.address).port
    assert port is not None
    page = new_page(browser, server.address)
    page.goto("/")
    expect(page.locator("#message")).to_contain_text("No photos yet")
    server.stop(signal.SIGTERM)
    page.get_by_label("What does the photo show?").fill("cat")
    page.keyboard.press("Enter")
    expect(page.locator("#message")).to_contain_text("The server does not respond")
    again = ServerProcess(tmp_path / "data", port=port)
    # By itself, once it is back.
    expect(page.locator("#message")).to_contain_text("No photos yet")
    page.context.close()
    again.stop()


def second_for(name: str) -> Callable[[Request], bool]:
    """Whether a request is the second one for a file."""
    asked: list[str] = []

    def is_second(request: Request) -> bool:
        asked.extend([request.url] * request.url.endswith(f"/{name}"))
        return len(asked) == 2

    return is_second


@pytest.mark.parametrize("name", ["js/walk.js", "css/base.css"])
def test_a_file_of_the_page_that_did_not_arrive_is_fetched_again(page: Page, name: str) -> None:
    """A network that changes ends what is under way."""
    page.route(f"**/{name}", lambda route: route.abort("failed"), times=1)
    with page.expect_request(second_for(name)):
        page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()


def test_a_style_sheet_of_an_extension_is_not_missed(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/extension.css", lambda route: route.fulfill(body="", content_type="text/css"))
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
          const link = { rel: "stylesheet", href: "/extension.css" };
          document.head.append(Object.assign(document.createElement("link"), link));
        })"""
    )
    open_start(page)
    page.wait_for_timeout(1000)  # The page would load itself again after half a second.
    assert [url.rpartition("/")[2] for url in asked].count("main.js") == 1
    assert any(url.endswith("/extension.css") for url in asked)


SHEETS_COME_LATE = """() => {
    const { get } = Object.getOwnPropertyDescriptor(HTMLLinkElement.prototype, "sheet");
    const late = function () { return document.readyState === "complete" ? get.call(this) : null; };
    Object.defineProperty(HTMLLinkElement.prototype, "sheet", { get: late });
}"""


def test_a_style_sheet_that_comes_after_the_scripts_is_waited_for(page: Page) -> None:
    """Safari does not let a deferred script wait for style sheets."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(f"({SHEETS_COME_LATE})()")
    open_start(page)
    page.wait_for_timeout(1000)  # The page would load itself again after half a second.
    assert sum(url.endswith("/js/main.js") for url in asked) == 1


def test_a_style_sheet_that_did_not_arrive_is_an_empty_one_in_firefox(page: Page) -> None:
    page.route(
        "**/css/base.css",
        lambda route: route.fulfill(body="", content_type="text/css"),
        times=1,
    )
    with page.expect_request(second_for("css/base.css")):
        page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()


def test_a_later_file_that_did_not_arrive_is_fetched_again_when_it_is_needed(page: Page) -> None:
    with page.expect_event("requestfailed"):
        page.route("**/js/views/photo.js", lambda route: route.abort("failed"), times=1)
        open_start(page)
    page.locator(CARDS).first.locator(".open").click()
    expect(page.locator("#photo-view h1")).to_be_visible()


@pytest.mark.parametrize(
    ("url", "name", "shown"),
    [("/", "js/walk.js", CARDS), ("/?page=add", "js/views/job.js", "#add-view")],
)
def test_a_page_that_stays_incomplete_says_so(page: Page, url: str, name: str, shown: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route(f"**/{name}", lambda route: route.abort("failed"))
    page.goto(url)
    expect(page.get_by_role("alert")).to_contain_text("did not load completely")
    assert sum(url.endswith("/js/main.js") for url in asked) == 4
    page.unroute(f"**/{name}")
    page.reload()
    expect(page.locator(shown).first).to_be_visible()


def test_a_line_that_is_cut_while_a_job_runs_is_said_and_taken_up_again(
    browser: Browser, server_url: str, client: Client
) -> None:
    job = client.open_job("cut", expected=2)
    port = urlsplit(server_url).port
    assert port is not None
    with TcpProxy(port) as proxy:
        page = new_page(browser, f"http://127.0.0.1:{proxy.port}")
        page.goto(f"/?job={job['job_id']}")
        expect(page.locator(".job-line")).to_have_text("Live")
        client.add_photos(job["job_id"], [Photo("0.jpg", pictures.jpeg(8000))])
        expect(page.locator(".job-progress")).to_contain_text("1 of 2")  # an event came
        proxy.cut()
        expect(page.locator(".job-line")).to_contain_text("Connection lost; trying again in")
        client.add_photos(job["job_id"], [Photo("1.jpg", pictures.jpeg(8001))])
        with page.expect_request("**/events") as again:
            proxy.restore()
        assert again.value.headers["last-event-id"].isdigit()
        client.seal_job(job["job_id"])
        expect(page.locator(".job-head .state")).to_have_text("Done")
        page.context.close()


def test_what_is_not_tried_again_does_not_promise_it(
    browser: Browser, server_url: str, client: Client
) -> None:
    page = new_page(browser, server_url)
    image_id = client.list_images(limit=1)["items"][0]["image_id"]
    page.goto(f"/?photo={image_id}")
    page.get_by_role("button", name="Delete").click()
    page.context.set_offline(True)
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#toast")).to_contain_text("The server does not respond")
    expect(page.locator("#toast")).not_to_contain_text("tries again")
    page.context.close()


def test_signing_out_without_a_line_says_that_it_failed(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    page.goto("/")
    sign_in(page, make_key(*keyed)[1])
    expect(page.locator(CARDS)).to_have_count(3)
    page.context.set_offline(True)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#toast")).to_contain_text("The server does not respond")
    page.context.set_offline(False)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_answer_without_words_is_named_by_its_status(browser: Browser, server_url: str) -> None:
    """HTTP/2 has no reasons; Playwright cannot answer without one, so the page drops it."""
    page = new_page(browser, server_url)
    page.add_init_script("Object.defineProperty(Response.prototype, 'statusText', { value: '' })")
    page.route("**/v1/search?*", lambda route: route.fulfill(status=502, body=""))
    page.goto("/?q=cat")
    expect(page.locator("#message")).to_contain_text("The server answered 502.")
    page.context.close()


@pytest.mark.parametrize("status", [503, 507])
def test_a_part_that_is_down_is_named(browser: Browser, server_url: str, status: int) -> None:
    page = new_page(browser, server_url)
    body = json.dumps({"detail": "The embedder does not answer."})
    page.route("**/v1/search?*", lambda route: route.fulfill(status=status, body=body))
    page.goto("/?q=cat")
    title = {503: "A service is down", 507: "The server's disk is full"}[status]
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.locator("#message")).to_contain_text("The embedder does not answer.")
    page.context.close()


NO_STORAGE = """for (const name of ["sessionStorage", "localStorage"]) Object.defineProperty(
    window, name, { get() { throw new DOMException("It is forbidden.", "SecurityError"); } })"""


def test_a_browser_that_keeps_nothing_of_the_site_is_asked_for_its_cookies(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    page.add_init_script(NO_STORAGE)

    def without_cookie(route: Route) -> None:
        route.fulfill(json={}) if route.request.method == "POST" else route.fallback()

    page.route("**/v1/session", without_cookie)
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, keyed[1])
    expect(page.get_by_role("alert")).to_contain_text("keeps no cookie")


def test_without_scripts_the_page_says_that_it_needs_them(
    browser: Browser, server_url: str
) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(server_url)
    expect(page.locator("noscript p")).to_be_visible()
    page.close()
