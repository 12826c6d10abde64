"""Uploads that something stands in the way of: files or a line that are gone, a session's end."""

import itertools
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, expect

from tests import pictures
from tests.server import ServerProcess
from tests.web.pages import new_page, open_add, picked, sign_in


def test_a_file_that_is_gone_is_left_out_and_the_others_are_added(
    page: Page, seed: int, tmp_path: Path
) -> None:
    """The first of a batch and a whole batch; the others keep their own outcomes."""
    files = [tmp_path / f"{n:02}.jpg" for n in range(20)]
    for n, file in enumerate(files):
        file.write_bytes(pictures.HTML if n == 3 else pictures.jpeg(seed + 100 + n))
    gone = {0, *range(9, 18)}

    def open_job(route: Route) -> None:
        for n in gone:
            files[n].unlink()
        route.continue_()

    open_add(page)
    page.route("**/v1/jobs", open_job, times=1)
    page.locator("#add-files").set_input_files(files)
    expect(page.locator(".job-head .state")).to_have_text("Partly failed")
    expect(page.locator(".job-progress")).to_contain_text("10 of 10 photos done")
    expect(page.locator(".job-left-out")).to_contain_text(
        "Left out: 10 files that cannot be read any more: 00.jpg, 09.jpg"
    )
    expect(page.locator(".files .file-state")).to_have_text(
        [
            "cannot be read any more" if n in gone else "refused" if n == 3 else "added"
            for n in range(20)
        ]
    )


def test_an_archive_that_is_gone_is_said(page: Page, tmp_path: Path) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"PK")
    open_add(page)
    # Chosen, but not taken up yet.
    page.evaluate(
        "document.querySelector('#add-archive').addEventListener('change', (event) => "
        "event.stopImmediatePropagation(), { capture: true, once: true })"
    )
    page.locator("#add-archive").set_input_files(archive)
    archive.unlink()
    page.dispatch_event("#add-archive", "change")
    expect(page.locator("#add-status")).to_contain_text("“pets.zip” cannot be read any more")


def test_outcomes_that_did_not_load_are_asked_for_again(page: Page, seed: int) -> None:
    open_add(page)
    asked = itertools.count()

    def answer(route: Route) -> None:
        if next(asked) < 3:
            route.abort("internetdisconnected")
        else:
            route.continue_()

    page.route("**/items?*", answer)
    page.locator("#add-files").set_input_files([picked("one.jpg", pictures.jpeg(seed + 130))])
    expect(page.locator(".job-head .state")).to_have_text("Done")
    expect(page.locator(".files .file-state")).to_have_text("added")


def test_a_request_that_is_cut_off_during_an_upload_is_repeated_and_counted_once(
    browser: Browser, server_url: str
) -> None:
    page = new_page(browser, server_url)
    cut_once = iter([True])

    def cut(route: Route) -> None:
        """The photos arrive; the answer does not."""
        if next(cut_once, False):
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/jobs/*/photos", cut)
    open_add(page)
    page.locator("#add-files").set_input_files(
        [picked(f"{n}.jpg", pictures.jpeg(8100 + n)) for n in range(3)]
    )
    expect(page.locator(".job-head .state")).to_have_text("Done")
    expect(page.locator(".job-progress")).to_contain_text("3 of 3 photos done")
    page.context.close()


def would_lose(page: Page) -> bool:
    """Whether the browser asks before it closes the page."""
    asks = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    return page.evaluate(asks) is True


def test_an_upload_whose_session_ended_is_kept_and_signing_in_goes_on(
    keyed_page: Page, keyed: tuple[ServerProcess, str]
) -> None:
    page = keyed_page
    open_add(page)
    sign_in(page, keyed[1])
    expect(page.locator("#account")).to_contain_text("me")
    asked = itertools.count()

    def end_session(route: Route) -> None:
        if next(asked) == 1:
            page.context.clear_cookies()
            without = {k: v for k, v in route.request.headers.items() if k != "cookie"}
            route.continue_(headers=without)
        else:
            route.continue_()

    page.route("**/v1/jobs/*/photos", end_session)
    page.locator("#add-files").set_input_files(
        [picked(f"{n}.jpg", pictures.jpeg(8200 + n)) for n in range(10)]
    )
    expect(page.locator(".notice")).to_contain_text("The upload stopped")
    expect(page.locator("#account").get_by_role("button", name="Sign in")).to_be_visible()
    assert would_lose(page)
    sign_in(page, keyed[1])
    expect(page.locator(".job-head .state")).to_have_text("Done")
    expect(page.locator(".job-progress")).to_contain_text("10 of 10 photos done")
    assert not would_lose(page)


def test_an_upload_that_stopped_without_a_line_goes_on_with_one(
    browser: Browser, server_url: str
) -> None:
    page = new_page(browser, server_url)
    page.clock.install()
    open_add(page)
    page.route("**/v1/jobs/*/photos", lambda route: route.abort("internetdisconnected"))
    with page.expect_event("requestfailed"):
        page.locator("#add-files").set_input_files([picked("0.jpg", pictures.jpeg(8300))])
    for _ in range(5):
        with page.expect_event("requestfailed"):
            page.clock.fast_forward(20_000)
    expect(page.locator(".notice")).to_contain_text("The upload stopped")
    assert would_lose(page)
    page.unroute("**/v1/jobs/*/photos")
    page.context.set_offline(True)
    page.context.set_offline(False)
    expect(page.locator(".job-head .state")).to_have_text("Done")
    page.context.close()
