"""One photo: what is known, what is like it, editing, deleting."""

import io

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.sample.catalogue import drawing_at
from tests import pictures
from tests.web.pages import Look, leave


def add(client: Client, data: bytes, **metadata: object) -> JsonDict:
    upload(client, PhotoSource(iter([Photo("pet.jpg", data, metadata)]), 1), name="test")
    return client.image(image_id_of(sha256_of(data)))


@pytest.fixture
def image(client: Client, look: Look) -> JsonDict:
    """A photo of this test alone."""
    number = 900 if look.device == "phone" else 901
    data = drawing_at(number, seed=7).to_jpeg()
    metadata = {"breed": "pug", "species": "dog", "status": "lost", "animal_id": "shelter-9"}
    image = add(client, data, tags=["shy"], location={"lat": 52.5, "lon": 13.4}, **metadata)
    return client.change_image(
        image["image_id"], {**metadata, "tags": ["shy"], "attributes": {"collar": "red"}}
    )


def open_photo(page: Page, image: JsonDict) -> None:
    page.goto(f"/?photo={image['image_id']}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("pug")


def test_it_is_shown_large_with_all_that_is_known(page: Page, image: JsonDict) -> None:
    open_photo(page, image)
    shown = page.locator(".large img")
    expect(shown).to_have_js_property("complete", value=True)
    assert shown.evaluate("image => image.naturalWidth") == 512
    facts = page.locator("dl")
    for words in ("lost", "shelter-9", "shy", "52.5000, 13.4000", "512", "pet.jpg", "red"):
        expect(facts).to_contain_text(words)
    assert page.locator(".strip.similar .card").count() > 0
    facts.get_by_role("link", name="shelter-9").click()
    expect(page.locator(".chip.filter")).to_contain_text("shelter-9")


def test_bones_are_shown_while_it_loads(page: Page, image: JsonDict) -> None:
    held: list[Route] = []
    page.route(f"**/v1/images/{image['image_id']}", lambda route: held.append(route))
    page.goto(f"/?photo={image['image_id']}")
    expect(page.locator("#photo-view .bone").first).to_be_visible()
    held[0].continue_()
    expect(page.locator(".large img")).to_be_visible()
    expect(page.locator("#photo-view .bone")).to_have_count(0)


def test_what_takes_a_right_is_offered_once_the_rights_are_known(
    page: Page, image: JsonDict
) -> None:
    held: list[Route] = []
    page.route("**/v1/session", lambda route: held.append(route))
    open_photo(page, image)
    actions = page.locator("#photo-view .panel .actions").locator("a, button")
    more = page.get_by_role("button", name="More like this")
    expect(actions).to_have_text(["More like this", "Copy link"])
    more.focus()
    held[0].continue_()
    expect(actions).to_have_text(["More like this", "Edit", "Copy link", "Original", "Delete"])
    expect(more).to_be_focused()


def test_what_is_said_about_it_can_be_changed(page: Page, image: JsonDict, client: Client) -> None:
    open_photo(page, image)
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Status").fill("adopted")
    page.locator(".edit").get_by_label("Tags").fill("shy, indoor")
    page.locator(".edit").get_by_label("Other facts").fill("chip = 42")
    page.locator(".edit").get_by_label("Place").fill("not a place")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("latitude and longitude")
    page.locator(".edit").get_by_label("Place").fill("48.1, 11.6")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dl")).to_contain_text("adopted")
    now = client.image(image["image_id"])
    assert (now["status"], now["tags"], now["attributes"]) == (
        "adopted",
        ["shy", "indoor"],
        {"chip": "42"},
    )
    assert now["location"] == {"lat": 48.1, "lon": 11.6}
    assert now["breed"] == "pug"


def test_what_is_not_touched_stays_as_the_api_took_it(
    page: Page, image: JsonDict, client: Client
) -> None:
    """A tag with a comma, a fact of several lines."""
    facts = {"collar": None, "chip": None, "note": "shy = yes\n\n  with others", "coat": "short"}
    client.change_image(image["image_id"], {"tags": ["black, white", "shy"], "attributes": facts})
    open_photo(page, image)
    page.get_by_role("button", name="Edit").click()
    tags = page.locator(".edit").get_by_label("Tags")
    expect(tags).to_have_value("black, white, shy")
    tags.fill("indoor, black, white, black")
    attributes = page.locator(".edit").get_by_label("Other facts")
    attributes.fill(attributes.input_value().replace("coat = short", "coat = long\nage = 3"))
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dl")).to_contain_text("long")
    now = client.image(image["image_id"])
    assert now["tags"] == ["indoor", "black, white", "black"]
    assert now["attributes"] == {"note": facts["note"], "coat": "long", "age": "3"}


def test_a_change_of_somebody_else_is_merged_with_ones_own(
    page: Page, image: JsonDict, client: Client, expected: set[int]
) -> None:
    expected.add(412)
    open_photo(page, image)
    page.get_by_role("button", name="Edit").click()
    edit = page.locator(".edit")
    edit.get_by_label("Status").fill("found")
    edit.get_by_label("Tags").fill("mine, shy")
    client.change_image(
        image["image_id"], {"status": "home again", "animal_id": "theirs", "tags": ["shy", "old"]}
    )
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Someone else changed this photo meanwhile.")
    expect(alert).to_contain_text("Both of you changed: Status.")
    expect(edit.get_by_label("Animal")).to_have_value("theirs")
    expect(edit.get_by_label("Status")).to_have_value("found")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dl")).to_contain_text("theirs")
    now = client.image(image["image_id"])
    assert (now["status"], now["animal_id"]) == ("found", "theirs")
    assert set(now["tags"]) == {"shy", "old", "mine"}


def test_edits_outlast_esc_and_other_pages(page: Page, image: JsonDict, client: Client) -> None:
    open_photo(page, image)
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Status").fill("seen today")
    page.keyboard.press("Escape")
    expect(page.locator("#toast")).to_contain_text("Your changes are kept")
    page.get_by_role("link", name="Add photos").click()
    expect(page.get_by_role("heading", name="Add photos")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Edit (not saved)").click()
    expect(page.locator(".edit").get_by_label("Status")).to_have_value("seen today")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Edit", exact=True).click()
    status = client.image(image["image_id"])["status"]
    expect(page.locator(".edit").get_by_label("Status")).to_have_value(status)


def test_other_photos_of_the_animal_are_shown(page: Page, image: JsonDict, client: Client) -> None:
    other = add(client, drawing_at(903, seed=8).to_jpeg(), animal_id="shelter-9")
    open_photo(page, image)
    animal = page.locator(".strip.animal")
    expect(animal.locator(f'a[href*="{other["image_id"]}"]')).to_be_visible()
    expect(animal.locator(f'a[href*="{image["image_id"]}"]')).to_have_count(0)
    leave(page)
    client.delete_image(other["image_id"])


def test_copies_of_it_are_shown(page: Page, image: JsonDict, client: Client) -> None:
    original = client.image(image["image_id"])
    data = page.request.get(original["urls"]["display"]).body()
    smaller = pictures.encoded(Image.open(io.BytesIO(data)).resize((256, 256)), quality=80)
    copy = add(client, smaller)
    open_photo(page, image)
    copies = page.locator(".strip.copies")
    expect(copies).to_be_visible()
    expect(copies.locator(f'a[href*="{copy["image_id"]}"]')).to_be_visible()
    leave(page)
    client.delete_image(copy["image_id"])


def test_it_is_deleted_after_a_question(
    page: Page, image: JsonDict, client: Client, expected: set[int]
) -> None:
    expected.add(404)
    open_photo(page, image)
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this photo?")
    dialog.get_by_role("button", name="Keep it").click()
    assert client.image(image["image_id"])
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Status").fill("seen today")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator("#toast")).to_have_text("The photo was deleted.")
    expect(page.locator("#results")).to_be_visible()
    assert page.request.get(f"/v1/images/{image['image_id']}").status == 404
    # Nothing of it is left to save.
    asks = "() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert page.evaluate(asks) is False
    page.goto(f"/?photo={image['image_id']}")
    expect(page.locator("#photo-view")).to_contain_text("Not found")


def test_a_question_goes_with_the_photo_that_it_is_about(page: Page, client: Client) -> None:
    image_id = client.list_images(limit=1)["items"][0]["image_id"]
    page.goto("/")
    page.locator(f'[data-id="{image_id}"] .open').click()
    page.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete this photo?")
    expect(dialog).to_be_visible()
    page.go_back()
    expect(page.locator("#results")).to_be_visible()
    expect(dialog).to_be_hidden()
    assert client.image(image_id)


def test_the_list_stays_where_it_was_after_a_change_and_a_delete(
    page: Page, client: Client, look: Look
) -> None:
    number = 910 if look.device == "phone" else 930
    added = [add(client, drawing_at(number + n, seed=9).to_jpeg()) for n in range(2)]
    page.goto("/")
    expect(page.locator(f'[data-id="{added[1]["image_id"]}"]')).to_be_visible()
    page.evaluate("window.isSamePage = true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def open_from_list(image: JsonDict) -> None:
        page.locator(f'[data-id="{image["image_id"]}"] .open').click()
        expect(page.locator(".large img")).to_be_visible()

    open_from_list(added[0])
    page.get_by_role("button", name="Edit").click()
    page.locator(".edit").get_by_label("Status").fill("adopted")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("dl")).to_contain_text("adopted")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.get_by_role("button", name="Back").click()
    changed = page.locator(f'[data-id="{added[0]["image_id"]}"]')
    expect(changed.locator(".badge")).to_have_text("adopted")

    open_from_list(added[1])
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(changed).to_be_visible()
    expect(page.locator(f'[data-id="{added[1]["image_id"]}"]')).to_have_count(0)
    assert page.evaluate("window.isSamePage")
    assert not [url for url in asked if "/v1/images?" in url]
    leave(page)
    client.delete_image(added[0]["image_id"])
