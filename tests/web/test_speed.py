"""How fast and how heavy the page is; the figures are printed (pytest -s)."""

import re
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.web.pages import CARDS, LOOKS, Look, new_page, open_start

MOST_BYTES = 120_000
MOST_MS = 300
MOST_SHIFT = 0.1

OBSERVE = """
window.seen = { lcp: 0, cls: 0, first: 0, answered: 0 };
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.lcp = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.cls += entry.value;
}).observe({ type: "layout-shift", buffered: true });
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
        if (entry.name.includes("/v1/search?")) seen.answered = entry.responseEnd;
    }
}).observe({ type: "resource", buffered: true });
new MutationObserver(() => {
    if (seen.first || !document.querySelector("#results .card.hit")) return;
    seen.first = -1;
    // After the frame that holds it was painted.
    requestAnimationFrame(() => setTimeout(() => { seen.first = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""

SEEN = """async () => {
    while (!(seen.first > 0 && seen.answered > 0)) {
        await new Promise((resolve) => requestAnimationFrame(resolve));
    }
}"""


@pytest.fixture(params=[LOOKS[0], LOOKS[2]], ids=str)
def watched(
    browser: Browser, server_url: str, request: pytest.FixtureRequest
) -> Iterator[tuple[Page, Look]]:
    assert isinstance(request.param, Look)
    page = new_page(browser, server_url, request.param)
    page.add_init_script(OBSERVE)
    yield page, request.param
    page.context.close()


def test_the_first_result_is_seen_soon_after_the_api_answered(watched: tuple[Page, Look]) -> None:
    page, look = watched
    page.route(
        "**/v1/search?*",
        lambda route: route.continue_(url=re.sub(r"limit=\d+", "limit=50", route.request.url)),
    )
    page.goto("/")
    expect(page.locator(CARDS).first).to_be_visible()
    waits = []
    for words in ("pug", "husky", "a black cat", "dalmatian in the snow", "corgi"):
        page.evaluate("seen.first = seen.answered = 0")
        page.get_by_label("What does the photo show?").fill(words)
        page.keyboard.press("Enter")
        page.evaluate(SEEN)  # wait_for_function would want eval, which the page's policy forbids
        waits.append(page.evaluate("seen.first - seen.answered"))
    tell(f"{look}: first result {min(waits):.0f} to {max(waits):.0f} ms after the API answered")
    # The best of some: this machine may be busy with something else, the page is not to blame.
    assert min(waits) <= MOST_MS


def test_nothing_moves_while_the_page_loads(watched: tuple[Page, Look]) -> None:
    page, look = watched
    page.goto("/?q=corgi")
    expect(page.locator(".hit").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    seen = page.evaluate("seen")
    tell(f"{look}: LCP {seen['lcp']:.0f} ms, CLS {seen['cls']:.3f}")
    assert seen["lcp"] > 0
    assert seen["cls"] <= MOST_SHIFT


def test_the_page_weighs_little(browser: Browser, server_url: str) -> None:
    page = new_page(browser, server_url)
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    open_start(page)
    page.wait_for_load_state("networkidle")
    # Not in a handler of requestfinished, whose calls may still wait when the network is idle.
    weights = {request.url: weight_of(request) for request in requests if is_code(request)}
    total_kb = sum(weights.values()) / 1e3
    tell(f"{total_kb:.1f} kB in {len(weights)} files of HTML, CSS and JavaScript")
    assert len(weights) > 30
    assert sum(weights.values()) <= MOST_BYTES
    page.context.close()


def is_code(request: Request) -> bool:
    """Whether it loads HTML, CSS or JavaScript."""
    return re.search(r"(/|\.html|\.js|\.css)$", request.url.partition("?")[0]) is not None


def weight_of(request: Request) -> int:
    """Return the bytes of its response as sent, after waiting for its end."""
    sizes = request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


def tell(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")
