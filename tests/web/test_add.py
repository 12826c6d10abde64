"""Adding photos: files, folders, archives; the job as it runs; what was refused or failed."""

import io
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from petsearch.client import Client, Photo
from petsearch.domain import JsonDict, image_id_of, sha256_of
from tests import pictures
from tests.web.pages import open_add, picked


def counts(page: Page) -> dict[str, int]:
    """The four figures of a job's page, by their words."""
    tiles = page.locator(".job-counts .tile")
    return {
        tile.locator("span").inner_text(): int(tile.locator("strong").inner_text())
        for tile in tiles.all()
    }


def test_every_file_says_what_became_of_it_and_why(page: Page, seed: int) -> None:
    open_add(page)
    hostile = "<img src=x onerror=alert(1)>.jpg"
    page.get_by_text("Details for all of them").click()
    page.locator("#said").get_by_label("Status").fill("found")
    page.locator("#said").get_by_label("Tags").fill("shy, new here")
    page.locator("#add-files").set_input_files(
        [
            picked("good.jpg", pictures.jpeg(seed)),
            picked("byte.jpg", b"\xff"),
            picked(hostile, pictures.HTML),
        ]
    )
    expect(page.locator(".job-head .state")).to_have_text("Partly failed")
    assert counts(page) == {"added": 1, "already there": 0, "refused": 2, "failed": 0}
    problems = page.locator(".refused .problems li")
    expect(problems).to_have_count(2)
    expect(problems.nth(0)).to_contain_text("not a picture")
    expect(problems.nth(1).locator("strong")).to_have_text(hostile)
    states = page.locator(".files .file-state")
    expect(states).to_have_text(["added", "refused", "refused"])
    page.get_by_role("link", name="See the newest photos").click()
    expect(page.locator("#results .card .badge").first).to_have_text("found")


def test_a_folder_is_added_and_what_is_no_photo_left_out(
    page: Page, seed: int, tmp_path: Path
) -> None:
    (tmp_path / "pets/inner").mkdir(parents=True)
    (tmp_path / "pets/one.jpg").write_bytes(pictures.jpeg(seed + 1))
    (tmp_path / "pets/inner/two.jpg").write_bytes(pictures.jpeg(seed + 2))
    (tmp_path / "pets/notes.txt").write_text("no photo")
    (tmp_path / "pets/inventory.csv").write_text("name,cage\none,7\n")
    open_add(page)
    page.locator("#add-folder").set_input_files(tmp_path / "pets")
    expect(page.locator("#toast")).to_contain_text("2 files were skipped")
    expect(page.locator(".job-head .state")).to_have_text("Done")
    assert counts(page)["added"] == 2


def test_an_archive_is_added(page: Page, seed: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(3):
            archive.writestr(f"{n}.jpg", pictures.jpeg(seed + 10 + n))
    open_add(page)
    page.locator("#add-archive").set_input_files(
        {"name": "pets.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    expect(page.locator(".job-head .state")).to_have_text("Done")
    assert counts(page)["added"] == 3
    open_add(page)
    expect(page.locator("#recent-jobs .job").first).to_contain_text("pets.zip")


def test_dates_are_read_from_photos_and_places_where_they_are_asked_for(
    page: Page, client: Client, seed: int
) -> None:
    def add(number: int) -> JsonDict:
        data = pictures.phone_photo(seed + number)
        page.locator("#add-files").set_input_files([picked(f"{number}.jpg", data)])
        expect(page.locator(".job-head .state")).to_have_text("Done")
        return client.image(image_id_of(sha256_of(data)))

    open_add(page)
    dates = page.get_by_role("checkbox", name="Read the date from each photo")
    places = page.get_by_role("checkbox", name="Read the place (GPS) from each photo")
    expect(dates).to_be_checked()
    expect(places).not_to_be_checked()
    usual = add(70)
    assert (usual["taken_at_source"], usual["location"]) == ("exif", None)
    open_add(page)
    dates.uncheck()
    places.check()
    other = add(71)
    assert (other["taken_at"], other["location"]) == (None, {"lat": 48.1375, "lon": 11.575})
    open_add(page)
    expect(dates).to_be_checked()
    expect(places).not_to_be_checked()


def test_an_archive_is_read_with_the_same_switches(page: Page, client: Client, seed: int) -> None:
    packed, data = io.BytesIO(), pictures.phone_photo(seed + 72)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.jpg", data)
    open_add(page)
    page.get_by_role("checkbox", name="Read the date").uncheck()
    page.get_by_role("checkbox", name="Read the place").check()
    page.locator("#add-archive").set_input_files(
        [picked("pets.zip", packed.getvalue(), "application/zip")]
    )
    expect(page.locator(".job-head .state")).to_have_text("Done")
    image = client.image(image_id_of(sha256_of(data)))
    assert image["taken_at"] is None
    assert image["location"] is not None


def test_columns_of_a_table_are_stated(page: Page) -> None:
    table = picked("tiere.csv", b"Bild;Tier;Notiz\n/nowhere/a.jpg;A-1;x\n", "text/csv")
    open_add(page)
    page.get_by_text("Columns of a table").click()
    columns = page.get_by_label("column = field")
    columns.fill("Bild path")
    page.locator("#add-archive").set_input_files([table])
    expect(page.locator("#add-status")).to_contain_text("“Bild path” is not of the form")
    columns.fill("Bild = path\n\nTier =")
    page.locator("#add-archive").set_input_files([table])
    expect(page.locator(".refused .problems li")).to_contain_text("a.jpg")
    expect(page.locator(".job-left-out")).to_have_text("Left out: 1 column: Notiz")


def test_what_is_said_is_not_lost_on_an_archive(page: Page) -> None:
    open_add(page)
    page.get_by_text("Details for all of them").click()
    page.locator("#said").get_by_label("Status").fill("found")
    archive = picked("pets.zip", b"PK", "application/zip")
    page.locator("#add-archive").set_input_files([archive])
    expect(page.locator("#add-status")).to_contain_text("apply to photos only")


def test_an_archive_on_its_way_can_be_stopped(page: Page, client: Client) -> None:
    open_add(page)
    before = client.jobs(limit=1)
    page.route("**/v1/jobs/upload", lambda _route: None)  # It never gets an answer.
    archive = picked("pets.zip", b"PK", "application/zip")
    page.locator("#add-archive").set_input_files([archive])
    expect(page.locator("#add-status")).to_contain_text("Sending pets.zip")
    page.locator("#add-stop").get_by_role("button", name="Cancel").click()
    expect(page.locator("#toast")).to_contain_text("nothing was added")
    expect(page.locator("#add-status")).to_have_text("")
    expect(page.locator("#add-stop button")).to_have_count(0)
    assert client.jobs(limit=1) == before


def drop(page: Page, photos: list[bytes]) -> None:
    """Drop JPEGs on the page."""
    data = page.evaluate_handle(
        """(photos) => {
            const transfer = new DataTransfer();
            for (const [n, bytes] of photos.entries()) {
                const type = "image/jpeg";
                transfer.items.add(new File([new Uint8Array(bytes)], `${n}.jpg`, { type }));
            }
            return transfer;
        }""",
        [list(photo) for photo in photos],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": data})


def test_one_photo_that_is_dropped_asks_for_its_like_on_every_other_page(page: Page) -> None:
    page.goto("/?page=operator")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    drop(page, [pictures.jpeg(1)])
    expect(page.locator("dialog[open] canvas, dialog[open] img").first).to_be_visible()


def test_several_dropped_photos_are_added_after_a_question(
    page: Page, seed: int, client: Client
) -> None:
    page.goto("/")
    before = client.jobs(limit=1)
    photos = [pictures.jpeg(seed + 20 + n) for n in range(2)]
    drop(page, photos)
    dialog = page.get_by_role("dialog", name="Add 2 files to the catalogue?")
    dialog.get_by_role("button", name="Do not add").click()
    expect(dialog).to_be_hidden()
    assert client.jobs(limit=1) == before
    drop(page, photos)
    dialog.get_by_role("button", name="Add them").click()
    expect(page.locator(".job-head .state")).to_have_text("Done")
    assert counts(page)["added"] == 2


def test_a_finished_job_shows_its_own_photos(page: Page, seed: int) -> None:
    open_add(page)
    photos = [pictures.jpeg(seed + 60 + n) for n in range(2)]
    page.locator("#add-files").set_input_files(
        [picked(f"{n}.jpg", photo) for n, photo in enumerate(photos)]
    )
    expect(page.locator(".job-head .state")).to_have_text("Done")
    links = page.get_by_role("region", name="Photos of this job").locator("a.open")
    expect(links).to_have_count(2)
    shown = {links.nth(n).get_attribute("href") or "" for n in range(2)}
    assert shown == {f"?photo={image_id_of(sha256_of(photo))}" for photo in photos}


def test_a_paused_job_says_so_survives_a_reload_and_goes_on(
    page: Page, client: Client, seed: int
) -> None:
    job = client.open_job("holiday photos", expected=2)
    page.goto(f"/?job={job['job_id']}")
    expect(page.locator(".job-line")).to_have_text("Live")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".notice")).to_contain_text("Paused")
    client.add_photos(
        job["job_id"], [Photo(f"{n}.jpg", pictures.jpeg(seed + 30 + n)) for n in range(2)]
    )
    client.seal_job(job["job_id"])
    page.reload()
    expect(page.locator(".notice")).to_contain_text("Someone paused this job")
    expect(page.locator(".job-progress")).to_contain_text("0 of 2 photos done")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job-head .state")).to_have_text("Done")
    assert counts(page)["added"] == 2


def test_failed_photos_are_listed_and_tried_again(page: Page, client: Client) -> None:
    """Nothing fails for ever in a standalone server: the outcomes are those of a broken one."""
    job_id = client.open_job("fragile", expected=1)["job_id"]
    client.seal_job(job_id)
    ended = client.job(job_id)
    failed = {**ended, "state": "failed", "total": 1, "done": 1}
    failed["counts"] = {**ended["counts"], "failed": 1}
    item = {"item_no": 0, "filename": "lost.jpg", "status": "failed", "image_id": None}
    item |= {"reason": "The embedder failed on it.", "stage": "embed", "error": "X", "attempts": 3}
    page.route(f"**/v1/jobs/{job_id}", lambda route: route.fulfill(json=failed))
    page.route(
        f"**/v1/jobs/{job_id}/items?*",
        lambda route: route.fulfill(json={"items": [item], "next_cursor": None}),
    )
    page.route(f"**/v1/jobs/{job_id}/retry", lambda route: route.fulfill(status=202, json=ended))
    page.goto(f"/?job={job_id}")
    listed = page.locator(".failed .problems li")
    for words in ("lost.jpg", "The embedder failed on it.", "step: embed", "tried 3 times"):
        expect(listed).to_contain_text(words)
    page.get_by_role("button", name="Retry 1 failed photo").click()
    expect(page.locator(".job-head .state")).to_have_text("Done")
    expect(page.locator(".failed")).to_be_hidden()


def test_a_job_can_be_cancelled_after_a_question(page: Page, client: Client) -> None:
    job = client.open_job("endless", expected=9)
    page.goto(f"/?job={job['job_id']}")
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog", name="Cancel this job?")
    dialog.get_by_role("button", name="Cancel the job").click()
    expect(page.locator(".job-head .state")).to_have_text("Cancelled")


def test_an_upload_that_was_broken_off_can_be_finished(
    page: Page, client: Client, seed: int
) -> None:
    job_id = client.open_job("page", expected=5)["job_id"]
    client.add_photos(job_id, [Photo("first.jpg", pictures.jpeg(seed + 50))])
    page.goto(f"/?job={job_id}")
    expect(page.locator(".notice")).to_contain_text("Not all photos were sent")
    page.get_by_role("button", name="Finish without the rest").click()
    expect(page.locator(".job-head .state")).to_have_text("Done")


def test_an_upload_that_the_server_waits_for_can_still_be_finished(
    page: Page, client: Client
) -> None:
    job_id = client.open_job("page", expected=5)["job_id"]
    said = {**client.job(job_id), "reason": "It waits for its client."}
    page.route(f"**/v1/jobs/{job_id}", lambda route: route.fulfill(json=said))
    page.route("**/events", lambda route: route.abort())
    page.goto(f"/?job={job_id}")
    expect(page.get_by_role("button", name="Finish without the rest")).to_be_visible()
    client.control_job(job_id, "cancel")


def test_a_job_that_waits_says_for_what(page: Page, client: Client, expected: set[int]) -> None:
    expected.add(503)
    job = client.open_job("waiting", expected=1)
    said = {
        **client.job(job["job_id"]),
        "state": "running",
        "reason": "The object store does not answer.",
    }
    # The parts of a standalone server do not fail one by one.
    page.route(f"**/v1/jobs/{job['job_id']}", lambda route: route.fulfill(json=said))
    page.route("**/events", lambda route: route.fulfill(status=503, json={"detail": "later"}))
    page.goto(f"/?job={job['job_id']}")
    expect(page.locator(".notice")).to_contain_text("Waiting for a service")
    expect(page.locator(".notice")).to_contain_text("The object store does not answer.")
    client.control_job(job["job_id"], "cancel")
