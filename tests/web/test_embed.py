"""The page and its search in pages of other sites, which a real Chromium opens at another host."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict
from petsearch.sample.catalogue import catalogue
from tests.server import ServerProcess
from tests.web.pages import new_page
from tests.web_server import WebServer, gives

_PHOTOS = 15


class Site:
    """A site of its own with a page that holds the widget, and the petsearch server it asks."""

    def __init__(self, pages: WebServer, server: ServerProcess) -> None:
        self._pages = pages
        self.server = server.address
        # Another host than the server's 127.0.0.1, and not only another port.
        self.origin = f"http://localhost:{pages.port}"

    def show(self, page: Page, body: str, policy: str = "", *, head: str = "") -> None:
        """Open a page of the site."""
        title = f"<!doctype html><html lang=en><title>Shelter</title>{head}"
        document = f"{title}<body>{body}".encode()
        given = {"Content_Security_Policy": policy} if policy else {}
        self._pages.answers["/"] = gives(200, document, Content_Type="text/html", **given)
        page.goto(self.origin)

    def widget(self, **data: str) -> str:
        """The one tag."""
        said = "".join(f' data-{name}="{value}"' for name, value in data.items())
        return f'<h1>Our pets</h1><script src="{self.server}/embed.js"{said}></script>'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with WebServer() as pages:
        origin = f"http://localhost:{pages.port}"
        env = {
            "PETSEARCH_ANONYMOUS_SEARCH": "1",
            "PETSEARCH_CORS_ORIGINS": f'["{origin}"]',
            "PETSEARCH_FRAME_ANCESTORS": origin,
        }
        server = ServerProcess(tmp_path_factory.mktemp("embedded"), env=env)
        assert server.address, server.log
        yield Site(pages, server)
        server.stop()


@pytest.fixture(scope="module")
def admin(site: Site) -> str:
    """A key of the scope admin; the photos of the server are there."""
    photos = [
        Photo(drawing.filename, drawing.to_jpeg(), {"breed": drawing.kind, "status": "shelter"})
        for drawing in catalogue(_PHOTOS, seed=7)
    ]
    with Client(site.server) as client:
        upload(client, PhotoSource(iter(photos), _PHOTOS), name="drawings")
        secret: str = client.create_key("me", ["admin"])["secret"]
        return secret


def key_of(site: Site, admin: str, origin: str) -> JsonDict:
    with Client(site.server, api_key=admin) as client:
        return client.create_key("the shelter's site", ["search"], origins=[origin])


@pytest.fixture
def page(browser: Browser, admin: str) -> Iterator[Page]:
    assert admin
    opened = new_page(browser, "http://localhost")
    yield opened
    opened.context.close()


def search(page: Page, words: str) -> None:
    page.get_by_role("searchbox", name="What does the photo show?").fill(words)
    page.keyboard.press("Enter")


def test_one_tag_searches_without_a_key(page: Page, site: Site) -> None:
    site.show(page, site.widget(limit="4"))
    search(page, "cat")
    expect(page.get_by_role("listitem")).to_have_count(4)
    expect(page.get_by_role("status")).to_have_text("Photos shown: 4")
    page.wait_for_function(
        "() => [...document.querySelector('script').nextElementSibling.shadowRoot"
        ".querySelectorAll('img')].every((image) => image.naturalWidth > 0)"
    )
    link = page.get_by_role("listitem").first.get_by_role("link")
    assert re.fullmatch(rf"{site.server}/\?photo=[0-9a-f-]{{36}}", link.get_attribute("href") or "")
    page.get_by_role("button", name="Show more").click()
    expect(page.get_by_role("listitem")).to_have_count(8)


def test_a_key_of_the_site_searches_and_fetches_pictures_under_a_strict_policy(
    page: Page, site: Site, admin: str
) -> None:
    key = key_of(site, admin, site.origin)["secret"]
    policy = (
        f"default-src 'none'; script-src {site.server}; connect-src {site.server}; img-src blob:"
    )
    link = "/pets/{image_id}"
    body = site.widget(key=key, query="dog", status="shelter", limit="3", link=link)
    site.show(page, body, policy)
    expect(page.get_by_role("listitem")).to_have_count(3)
    page.wait_for_function(
        "() => [...document.querySelector('script').nextElementSibling.shadowRoot"
        ".querySelectorAll('img')].every((image) => image.naturalWidth > 0)"
    )
    link = page.get_by_role("listitem").first.get_by_role("link").get_attribute("href") or ""
    assert re.fullmatch(r"/pets/[0-9a-f-]{36}", link)


def test_more_is_of_the_words_that_were_searched(page: Page, site: Site) -> None:
    site.show(page, site.widget(query="cat", limit="4"))
    expect(page.get_by_role("listitem")).to_have_count(4)
    page.get_by_role("searchbox").fill("dog")
    with page.expect_request("**/v1/search?*") as asked:
        page.get_by_role("button", name="Show more").click()
    assert "q=cat" in asked.value.url
    expect(page.get_by_role("listitem")).to_have_count(8)


def test_more_can_be_asked_for_again_after_an_error(page: Page, site: Site) -> None:
    refuse = iter([429, 409])

    def answer(route: Route) -> None:
        is_more = "cursor=" in route.request.url
        if is_more and (status := next(refuse, None)):
            cors = {"Access-Control-Allow-Origin": "*"}
            route.fulfill(status=status, headers=cors, body="{}")
        else:
            route.continue_()

    page.route("**/v1/search?*", answer)
    site.show(page, site.widget(query="cat", limit="4"))
    more = page.get_by_role("button", name="Show more")
    more.click()
    expect(page.get_by_role("status")).to_have_text(re.compile("There are too many searches"))
    # The model changed meanwhile: the list begins anew.
    more.click()
    expect(page.get_by_role("status")).to_have_text("Photos shown: 4")
    more.click()
    expect(page.get_by_role("listitem")).to_have_count(8)


def test_a_tag_in_the_head_shows_it_at_the_end_of_the_page(page: Page, site: Site) -> None:
    script = f'<script src="{site.server}/embed.js" data-query="cat"></script>'
    site.show(page, "<h1>Our pets</h1>", head=script)
    expect(page.get_by_role("listitem").first).to_be_visible()
    assert page.evaluate("document.body.lastElementChild.shadowRoot !== null")


def test_a_key_of_another_site_finds_nothing(page: Page, site: Site, admin: str) -> None:
    key = key_of(site, admin, "https://elsewhere.example")["secret"]
    site.show(page, site.widget(key=key, query="dog"))
    expect(page.get_by_role("status")).to_have_text("The search does not answer. Try again later.")
    expect(page.get_by_role("listitem")).to_have_count(0)


def test_its_words_can_be_those_of_another_language(page: Page, site: Site) -> None:
    words = "{&quot;search&quot;: &quot;Suchen&quot;, &quot;none&quot;: &quot;Nichts&quot;}"
    site.show(page, site.widget(words=words, query="dog", status="lost"))
    expect(page.get_by_role("button", name="Suchen")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Nichts")


def test_the_page_is_framed_by_the_site_that_may_and_by_no_other(page: Page, site: Site) -> None:
    frame = f'<iframe src="{site.server}/" title="Pets" width="900" height="700"></iframe>'
    site.show(page, frame)
    expect(page.frame_locator("iframe").locator("#results .card").first).to_be_visible()
    with WebServer() as other:
        other.answers["/"] = gives(200, frame.encode(), Content_Type="text/html")
        refusals: list[str] = []
        page.on("console", lambda message: refusals.append(message.text))
        page.goto(f"http://localhost:{other.port}")
        page.wait_for_load_state("networkidle")
        assert any("frame-ancestors" in words for words in refusals), refusals


@pytest.mark.parametrize(
    "style",
    [
        "main { display: flex; flex-direction: column; align-items: center }",
        "main { float: left }",
        "main > div { padding: 0 24px; border: 2px solid }",
        "main > * { margin: 0 24px }",
    ],
)
def test_it_fits_into_its_place_in_every_layout(page: Page, site: Site, style: str) -> None:
    site.show(page, f"<style>{style}</style><main>{site.widget()}</main>")
    box = page.get_by_role("search").bounding_box()
    assert box is not None and box["width"] > 200
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
