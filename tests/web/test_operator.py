"""The operator's page: parts, jobs, counts, duplicates, models."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from petsearch.client import Client
from petsearch.domain import JsonDict
from tests.web.pages import Look


def test_parts_jobs_and_counts_are_shown(page: Page) -> None:
    page.goto("/?page=operator")
    expect(page.locator("#operator-health .part").first).to_contain_text("up")
    expect(page.locator("#operator-jobs .job").first).to_be_visible()
    expect(page.locator("#operator-stats")).to_contain_text("photos")
    bar = page.locator(".chart a").first
    expect(bar).to_have_attribute("aria-label", re.compile(r".+: \d+ photos?"))
    assert bar.locator(".chart-bar").evaluate("bar => bar.getBoundingClientRect().width") > 20
    bar.click()
    expect(page).to_have_url(re.compile("breed="))
    expect(page.locator("#results .card:not(.skeleton)").first).to_be_visible()


def test_photos_of_unsure_species_are_counted_too(page: Page) -> None:
    stats = {"images": 80, "by_species": {"dog": 25, "cat": 12}, "by_breed": {}, "model_id": "m"}
    page.route("**/v1/stats", lambda route: route.fulfill(json={**stats, "seeding": None}))
    page.goto("/?page=operator")
    expect(page.locator("#operator-stats .tile").last).to_have_text("43species unsure")


def test_it_has_two_columns_on_a_desk_and_one_on_a_phone(page: Page, look: Look) -> None:
    page.goto("/?page=operator")
    expect(page.locator("#operator-stats .tile").first).to_be_visible()
    expect(page.locator("#operator-view .bone")).to_have_count(0)
    tops = page.locator(".board > *").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().top)"
    )
    assert len(tops) == 2
    assert (tops[0] == tops[1]) == (look.device == "desktop")


def test_a_part_that_is_away_is_named_among_the_others(page: Page, expected: set[int]) -> None:
    expected.add(503)
    checks = {"index": "Qdrant does not answer", "store": "ok"}
    body = {"status": "unavailable", "checks": checks}
    page.route("**/readyz", lambda route: route.fulfill(status=503, json=body))
    page.goto("/?page=operator")
    expect(page.locator("#operator-health .part.down")).to_have_text("indexQdrant does not answer")
    expect(page.locator("#operator-health .part.good")).to_contain_text("store")


def test_a_job_opens_from_the_list(page: Page, client: Client) -> None:
    client.control_job(client.open_job("from the list")["job_id"], "cancel")
    page.goto("/?page=operator")
    page.locator("#operator-jobs").get_by_role("link", name="from the list").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("from the list")


def test_running_jobs_stay_live_after_an_error(
    page: Page, client: Client, expected: set[int]
) -> None:
    expected.add(503)
    job_id = client.open_job("on and on", expected=9)["job_id"]
    page.clock.install()
    page.goto("/?page=operator")
    jobs = page.locator("#operator-jobs")
    link = jobs.locator(f"a[href*={job_id!r}]")
    expect(link).to_be_visible()
    page.route("**/v1/jobs?*", lambda route: route.fulfill(status=503, json={"detail": "Down."}))
    page.clock.run_for(3000)
    expect(jobs).to_contain_text("A service is down")
    page.unroute("**/v1/jobs?*")
    page.clock.run_for(3000)
    expect(link).to_be_visible()
    client.control_job(job_id, "cancel")


def test_jobs_are_asked_for_once_at_a_time_however_often_one_refreshes(
    page: Page, client: Client
) -> None:
    job_id = client.open_job("on and on", expected=9)["job_id"]
    page.clock.install()
    page.goto("/?page=operator")
    expect(page.locator(f"#operator-jobs a[href*={job_id!r}]")).to_be_visible()
    held: list[Route] = []
    page.route("**/v1/jobs?*", lambda route: held.append(route))
    for _ in range(4):
        page.get_by_role("button", name="Refresh").click()
    wait_until(lambda: len(held) >= 8, page)  # The models' part asks for them, too.
    for _ in range(len(held)):
        with page.expect_event("requestfinished"):
            held.pop().continue_()
    page.clock.run_for(3000)
    page.evaluate("fetch('livez').then(() => null)")  # What was asked before it has been heard of.
    assert len(held) <= 1
    client.control_job(job_id, "cancel")


def wait_until(is_done: Callable[[], bool], page: Page) -> None:
    """While the page goes on."""
    while not is_done():
        page.wait_for_timeout(20)


def test_duplicates_are_looked_for_when_asked(page: Page) -> None:
    page.goto("/?page=operator")
    page.get_by_label("Similarity").select_option("similar")
    page.get_by_role("button", name="Find duplicates").click()
    expect(page.locator("#operator-duplicates .groups .card").first).to_be_visible()


def _model(model_id: str, **state: object) -> JsonDict:
    plain: JsonDict = {"current": False, "previous": False, "published": True, "loaded": True}
    plain |= {"images": None, "published_at": None, "figures": {}}
    return {"model_id": model_id, **plain, **state}


def test_models_are_reindexed_promoted_and_rolled_back(page: Page, expected: set[int]) -> None:
    """As a server answers that has two models; this one has only the sample."""
    expected.add(409)
    figures = {"top1": 0.91612, "precision_at_5": 0.9}
    models = [_model("old-1", current=True, images=40), _model("new-2", figures=figures)]
    asked: list[str] = []

    def answer(route: Route) -> None:
        path = route.request.url.partition("/v1/")[2]
        asked.append(f"{route.request.method} {path}")
        if path == "reindex":
            models[1]["images"] = 40
            route.fulfill(status=202, json={"job_id": "j"})
        elif path.endswith("/promote") and asked.count(asked[-1]) == 1:
            route.fulfill(status=409, json={"detail": "The gate does not pass: recall fell."})
        elif path.endswith(("/promote", "/rollback")):
            models.reverse()
            models[0] |= {"current": True, "previous": False}
            models[1] |= {"current": False, "previous": True}
            moved = {"model_id": models[0]["model_id"], "previous": None, "took_ms": 12.0}
            route.fulfill(json=moved | {"checks": []})
        else:
            route.fulfill(json={"items": models})

    page.route(re.compile("/v1/(models|reindex)"), answer)
    page.goto("/?page=operator")
    row = page.locator(".model-row", has_text="new-2")
    expect(row).to_contain_text("top1 0.916 · precision at 5 0.9")
    row.get_by_role("button", name="Reindex").click()
    expect(row).to_contain_text("40 photos")
    for outcome in ("The gate does not pass", "Serves searches"):
        row.get_by_role("button", name="Promote").click()
        page.get_by_role("dialog").get_by_role("button", name="Promote").click()
        expect(row).to_contain_text(outcome)
    row.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator(".model-row", has_text="old-1")).to_contain_text("Serves searches")
