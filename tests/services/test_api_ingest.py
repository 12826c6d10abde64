"""Uploads over HTTP against a real standalone server: every file is accounted, nothing leaks."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JobState, JsonDict, image_id_of, sha256_of
from tests import pictures
from tests.server import ServerProcess


def wait_for(client: Client, job_id: str) -> JsonDict:
    """The job when everything is accounted."""
    pause = threading.Event()
    for _ in range(600):
        job = client.job(job_id)
        if JobState(job["state"]).is_final:
            return job
        pause.wait(0.05)
    raise AssertionError(f"the job does not end: {job}")


def send(client: Client, *photos: Photo) -> tuple[JsonDict, list[JsonDict]]:
    """Ingest `photos` as one job; the job, and what became of each photo."""
    job = upload(client, PhotoSource(iter(photos), len(photos)), name="test")
    return job, list(client.job_items(job["job_id"]))


def test_an_upload_is_found_and_keeps_its_metadata(client: Client, http: httpx.Client) -> None:
    metadata = {"breed": "Maine_Coon", "tags": ["shy"], "status": "Lost", "animal_id": "A-17"}
    answer = http.post(
        "/v1/images",
        files=[("photos", ("dir/coon.jpg", pictures.jpeg(1001), "image/jpeg"))],
        data={"metadata": json.dumps(metadata)},
    )
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['job_id']}"
    job = wait_for(client, answer.json()["job_id"])
    assert job["state"] == "succeeded"
    image = client.image(image_id_of(sha256_of(pictures.jpeg(1001))))
    assert image["filename"] == "coon.jpg"
    assert (image["breed"], image["species"], image["breed_source"]) == (
        "maine coon",
        "cat",
        "label",
    )
    assert (image["tags"], image["status"], image["animal_id"]) == (["shy"], "lost", "A-17")


def test_plain_fields_of_an_upload_describe_every_photo(client: Client, http: httpx.Client) -> None:
    answer = http.post(
        "/v1/images",
        files=[("photos", (f"{n}.jpg", pictures.jpeg(n))) for n in (1003, 1004)],
        data={
            "metadata": '[{"breed": "pug"}, {}]',
            "animal_id": "A-19",
            "status": "",
            "tag": ["shy", "old"],
        },
    )
    assert wait_for(client, answer.json()["job_id"])["state"] == "succeeded"
    images = [client.image(image_id_of(sha256_of(pictures.jpeg(n)))) for n in (1003, 1004)]
    assert {image["animal_id"] for image in images} == {"A-19"}
    assert [image["tags"] for image in images] == [["shy", "old"], ["shy", "old"]]
    assert [image["status"] for image in images] == [None, None]
    assert images[0]["breed_source"] == "label"
    assert images[1]["breed_source"] in ("predicted", "unsure")


def test_photos_without_a_label_get_a_predicted_breed(client: Client) -> None:
    send(client, Photo("plain.jpg", pictures.jpeg(1002)))
    image = client.image(image_id_of(sha256_of(pictures.jpeg(1002))))
    is_named = image["predicted"]["confidence"] >= 0.5
    assert image["breed_source"] == ("predicted" if is_named else "unsure")
    assert image["breed"] == image["predicted"]["breed"]
    assert image["species_confidence"] == image["predicted"]["species_confidence"] is not None
    assert image["species"] in ("cat", "dog")
    assert 0 < image["predicted"]["confidence"] <= 1


def test_bad_files_are_refused_one_by_one_and_do_not_stop_the_rest(client: Client) -> None:
    job, items = send(
        client,
        Photo("good.jpg", pictures.jpeg(1010)),
        Photo("empty.jpg", b""),
        Photo("page.jpg", pictures.HTML),
        Photo("cut.jpg", pictures.jpeg(1011, 400, 300)[:3000]),
        Photo("bomb.png", pictures.huge_png_header()),
        Photo("also-good.png", pictures.encoded(pictures.noise(50, 50, 1012), "PNG")),
    )
    assert job["state"] == "partly_failed"
    assert job["counts"] == {"ingested": 2, "duplicate": 0, "refused": 4, "failed": 0}
    reasons = {item["filename"]: item["reason"] for item in items}
    assert "empty" in reasons["empty.jpg"]
    assert "not a picture" in reasons["page.jpg"]
    assert "rows are whole" in reasons["cut.jpg"]
    assert "50000 x 50000" in reasons["bomb.png"] or "too many pixels" in reasons["bomb.png"]
    assert [item["item_no"] for item in items] == list(range(6))


def test_a_job_of_bad_files_only_has_failed(client: Client) -> None:
    job, _ = send(client, Photo("empty.jpg", b""))
    assert job["state"] == "failed"


def test_a_file_over_the_limit_is_named_and_not_kept(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, env={"PETSEARCH_LIMIT_IMAGE_BYTES": "20000"})
    with Client(server.address) as client:
        large = pictures.encoded(pictures.noise(900, 900, 5), quality=100)
        assert len(large) > 20_000
        _, items = send(client, Photo("large.jpg", large), Photo("small.jpg", pictures.jpeg(7)))
    server.stop()
    assert [item["status"] for item in items] == ["refused", "ingested"]
    assert "MB" in items[0]["reason"]
    assert not [path for path in tmp_path.rglob("staging/**/*") if path.is_file()]


def test_the_same_photo_again_adds_nothing_and_is_not_sent(client: Client) -> None:
    photos = [Photo(f"{seed}.jpg", pictures.jpeg(seed)) for seed in range(1020, 1025)]
    first, _ = send(client, *photos)
    before = client.stats()["images"]
    again, items = send(client, *photos)
    assert first["counts"]["ingested"] == 5
    assert again["counts"]["duplicate"] == 5
    assert again["state"] == "succeeded"
    assert client.stats()["images"] == before
    assert {item["status"] for item in items} == {"duplicate"}


def test_the_same_photo_twice_in_one_job_is_one_image(client: Client) -> None:
    photo = Photo("twin.jpg", pictures.jpeg(1030))
    job, _ = send(client, photo, photo, photo)
    assert job["counts"] == {"ingested": 1, "duplicate": 2, "refused": 0, "failed": 0}


def test_a_label_that_comes_later_fills_what_was_not_said(client: Client) -> None:
    data = pictures.jpeg(1040)
    send(client, Photo("a.jpg", data))
    job, _ = send(client, Photo("b.jpg", data, {"breed": "beagle", "tags": ["old"]}))
    assert job["counts"]["duplicate"] == 1
    image = client.image(image_id_of(sha256_of(data)))
    assert (image["breed"], image["breed_source"], image["species"]) == ("beagle", "label", "dog")
    assert image["filename"] == "a.jpg"
    assert image["tags"] == ["old"]


def test_a_position_in_an_upload_is_in_no_public_copy_and_no_answer(
    client: Client, http: httpx.Client
) -> None:
    data = pictures.jpeg_with_gps(1050)
    send(client, Photo("walk.jpg", data))
    image_id = image_id_of(sha256_of(data))
    for copy in ("display", "thumbnail"):
        public = http.get(f"/v1/images/{image_id}/{copy}").content
        assert b"Exif" not in public
        assert pictures.SECRET.encode() not in public
    answer = http.get(f"/v1/images/{image_id}").text
    assert pictures.SECRET not in answer
    assert "gps" not in answer.lower()


def test_sizes_are_upright(client: Client) -> None:
    data = pictures.jpeg_with_gps(1051)
    send(client, Photo("turned.jpg", data))
    image = client.image(image_id_of(sha256_of(data)))
    assert (image["width"], image["height"]) == (90, 160)


def test_hostile_names_stay_text(client: Client) -> None:
    name = '<img src=x onerror="alert(1)">\u202e\x07.jpg'
    data = pictures.jpeg(1060)
    send(client, Photo(name, data))
    shown = client.image(image_id_of(sha256_of(data)))["filename"]
    assert shown == '<img src=x onerror="alert(1)">.jpg'


def test_a_photo_is_found_by_its_name_as_it_was_sent_and_as_it_is_shown(
    client: Client, http: httpx.Client
) -> None:
    # macOS writes accents as characters of their own.
    sent, shown = "2026/Ka\u0308tzchen\u200b.jpg", "K\u00e4tzchen.jpg"
    data = pictures.jpeg(1061)
    answer = http.post("/v1/images", files={"photos": (sent, data)})
    wait_for(client, answer.json()["job_id"])
    image = client.image(image_id_of(sha256_of(data)))
    assert image["filename"] == shown
    display = http.get(image["urls"]["display"]).content
    for name in (sent, shown, "Ka\u0308tzchen.jpg"):
        assert http.get(f"/images/{quote(name)}").content == display, name
    # Photos without a name are not found by one with nothing to see.
    assert http.get(f"/images/{quote(chr(0x200B))}").status_code == 404


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("{", "metadata"),
        ('{"colour": "red"}', "metadata: There is no field 'colour'"),
        ("[{}, {}]", "2 entries for 1 photos"),
        ("[5, {}]", "2 entries for 1 photos"),
        (
            '{"attributes": {"constrained-str[0]": 5}}',
            "metadata.attributes.constrained-str[0]: must",
        ),
        ('[{"attributes": {"source": 5}}]', "metadata.0.attributes.source: must be text"),
        ('{"attributes": {"a=b": "c"}}', "metadata.attributes.a=b: must have neither ="),
        ('{"taken_at": "yesterday"}', "taken_at"),
        (json.dumps({"tags": ["x" * 300]}), "tags"),
    ],
)
def test_bad_metadata_is_refused_before_anything_is_kept(
    http: httpx.Client, metadata: str, words: str
) -> None:
    files = [("photos", ("a.jpg", pictures.jpeg(1070)))]
    answer = http.post("/v1/images", files=files, data={"metadata": metadata})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_too_many_photos_in_one_request_are_refused(http: httpx.Client) -> None:
    files = [("photos", (f"{n}.jpg", b"x")) for n in range(65)]
    answer = http.post("/v1/images", files=files)
    assert answer.status_code == 422
    assert "at most 64" in answer.json()["detail"]


def test_a_sealed_job_takes_no_more(client: Client, http: httpx.Client) -> None:
    job_id = client.open_job("test")["job_id"]
    assert client.seal_job(job_id)["state"] == "succeeded"
    answer = http.post(f"/v1/jobs/{job_id}/photos", files=[("photos", ("a.jpg", b"x"))])
    assert answer.status_code == 409


def test_outcomes_page_and_filter(client: Client, http: httpx.Client) -> None:
    photos = [Photo(f"{seed}.jpg", pictures.jpeg(seed)) for seed in range(1080, 1090)]
    job, _ = send(client, *photos, Photo("bad.jpg", b""))
    path = f"/v1/jobs/{job['job_id']}/items"
    first = http.get(path, params={"limit": 8}).json()
    rest = http.get(path, params={"limit": 8, "cursor": first["next_cursor"]}).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (8, 3, None)
    refused = http.get(path, params={"status": "refused"}).json()["items"]
    assert [item["filename"] for item in refused] == ["bad.jpg"]


def test_metadata_that_does_not_fit_costs_itself_and_no_photo(client: Client) -> None:
    said = {
        "animal_id": "x" * 201,
        "status": "found",
        "tags": [f"tag {n}" for n in range(51)],
        "taken_at": "2026-05-17T00:00:00",
        "taken_at_precision": "day",
    }
    photos = [Photo("odd.jpg", pictures.jpeg(1240), said), Photo("a.jpg", pictures.jpeg(1241))]
    source = PhotoSource(iter(photos), 2)
    job = upload(client, source, name="test")
    assert job["state"] == "succeeded"
    assert source.warnings == [
        ("odd.jpg", "animal_id: must have at most 200 characters. What does not fit is left out."),
        ("odd.jpg", "tags: must have at most 50 items. What does not fit is left out."),
    ]
    image = client.image(image_id_of(sha256_of(pictures.jpeg(1240))))
    assert (image["animal_id"], image["status"], len(image["tags"])) == (None, "found", 50)
    assert image["taken_at_precision"] == "day"


def test_an_interrupted_upload_goes_on_where_it_was(client: Client) -> None:
    photos = [Photo(f"{seed}.jpg", pictures.jpeg(seed)) for seed in range(1100, 1230)]

    def breaks_off() -> Iterator[Photo]:
        yield from photos[:100]
        raise ConnectionError("the cable was pulled")

    with pytest.raises(ConnectionError):
        upload(client, PhotoSource(breaks_off(), 130), name="test")
    for job in client.jobs():
        client.seal_job(job["job_id"])
        wait_for(client, job["job_id"])
    job, _ = send(client, *photos)
    assert job["counts"]["duplicate"] >= 64
    assert job["counts"]["ingested"] + job["counts"]["duplicate"] == 130


def test_a_deleted_image_is_gone_with_its_copies_and_can_come_again(http: httpx.Client) -> None:
    photo = {"photos": ("gone.jpg", pictures.jpeg(7777))}
    job_id = http.post("/v1/images", files=photo).json()["job_id"]
    http.get(f"/v1/jobs/{job_id}/events")  # ends with the job
    (item,) = http.get(f"/v1/jobs/{job_id}/items").json()["items"]
    url = f"/v1/images/{item['image_id']}"
    assert http.get(f"{url}/display").status_code == 200
    assert http.delete(url).status_code == 204
    for path in (url, f"{url}/display", f"{url}/thumbnail"):
        assert http.get(path).status_code == 404
    assert http.delete(url).status_code == 404
    job_id = http.post("/v1/images", files=photo).json()["job_id"]
    http.get(f"/v1/jobs/{job_id}/events")
    assert http.get(f"/v1/jobs/{job_id}").json()["counts"]["ingested"] == 1
