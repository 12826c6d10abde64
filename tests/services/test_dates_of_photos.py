"""When a photo was taken: who states it, and what becomes of it when the photo comes again."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from petsearch.app.services import utc_now
from petsearch.catalogue.edit import amended
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import (
    Filters,
    ImageMetadata,
    ImageRecord,
    JobOptions,
    LeftOutReason,
    OnDuplicate,
    TakenAtSource,
    TimeRange,
    image_id_of,
    sha256_of,
)
from petsearch.jobs import Upload
from petsearch.maintenance.reingest import ImageJob
from tests.services.house import House

TAKEN = datetime(2025, 5, 17, 10, 0, 5, tzinfo=UTC)
OTHER = datetime(2024, 1, 1, tzinfo=UTC)
IN_ORDER = (TakenAtSource.STATED, TakenAtSource.TABLE, TakenAtSource.SIDECAR)


def jpeg(taken_at: datetime | None = TAKEN) -> bytes:
    exif = Image.Exif()
    if taken_at is not None:
        exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = taken_at.strftime("%Y:%m:%d %H:%M:%S")
    exif.get_ifd(IFD.GPSInfo).update(
        {
            GPS.GPSLatitudeRef: "N",
            GPS.GPSLatitude: (48.0, 8.0, 15.0),
            GPS.GPSLongitudeRef: "E",
            GPS.GPSLongitude: (11.0, 34.0, 30.0),
        }
    )
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(file, "JPEG", exif=exif)
    return file.getvalue()


def ingest(house: House, data: bytes, *, options: Any = None, **said: Any) -> ImageRecord:
    house.open_job(Upload(data, ImageMetadata(filename="rex.jpg", **said)), **(options or {}))
    house.deliver()
    return house.record(data)


def change(house: House, data: bytes, **changes: Any) -> ImageRecord:
    target = house.catalogue.current()
    record = house.record(data)
    changed = amended(record, changes, target.model, utc_now())
    house.writer.replace_everywhere(target.collection, [(record, changed)])
    return house.record(data)


def dated(record: ImageRecord) -> tuple[datetime | None, TakenAtSource | None]:
    return record.taken_at, record.taken_at_source


def test_the_date_of_the_file_counts_where_nobody_states_one(house: House) -> None:
    data = jpeg()
    assert dated(ingest(house, data)) == (TAKEN, TakenAtSource.EXIF)
    collection = house.catalogue.current().collection
    may = TimeRange(datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC))
    assert house.index.count(collection, Filters(taken=may)) == 1
    newest, _ = house.index.list_newest(collection, limit=9, filters=Filters(), sort="taken_at")
    assert [record.taken_at for record in newest] == [TAKEN]


def test_a_stated_date_counts_before_that_of_the_file(house: House) -> None:
    assert dated(ingest(house, jpeg(), taken_at=OTHER)) == (OTHER, TakenAtSource.STATED)


def test_a_job_can_leave_the_dates_of_files_alone(house: House) -> None:
    assert dated(ingest(house, jpeg(), options={"exif_dates": False})) == (None, None)


@pytest.mark.parametrize("late", [timedelta(hours=15), timedelta(days=9000)])
def test_a_date_in_the_future_is_left_out(house: House, late: timedelta) -> None:
    assert dated(ingest(house, jpeg(utc_now() + late))) == (None, None)


@pytest.mark.parametrize("on_duplicate", OnDuplicate)
def test_a_cleared_date_stays_cleared_when_the_photo_comes_again(
    house: House, on_duplicate: OnDuplicate
) -> None:
    data = jpeg()
    ingest(house, data)
    assert dated(change(house, data, taken_at=None)) == (None, TakenAtSource.STATED)
    again = ingest(house, data, options={"on_duplicate": on_duplicate})
    assert dated(again) == (None, TakenAtSource.STATED)
    sidecar: dict[str, Any] = {"taken_at": OTHER, "taken_at_source": TakenAtSource.SIDECAR}
    again = ingest(house, data, options={"on_duplicate": on_duplicate}, **sidecar)
    assert dated(again) == (None, TakenAtSource.STATED)


def test_a_replaced_record_keeps_the_date_of_its_file(house: House) -> None:
    data = jpeg()
    ingest(house, data, taken_at=OTHER)
    again = ingest(house, data, options={"on_duplicate": OnDuplicate.REPLACE}, status="found")
    assert dated(again) == (TAKEN, TakenAtSource.EXIF)


def test_replacing_states_a_date_anew_where_one_was_cleared(house: House) -> None:
    data = jpeg()
    ingest(house, data)
    change(house, data, taken_at=None)
    again = ingest(house, data, options={"on_duplicate": OnDuplicate.REPLACE}, taken_at=OTHER)
    assert dated(again) == (OTHER, TakenAtSource.STATED)


def test_a_change_of_other_fields_leaves_the_date_and_its_source(house: House) -> None:
    data = jpeg()
    ingest(house, data)
    assert dated(change(house, data, status="found")) == (TAKEN, TakenAtSource.EXIF)
    changed = change(house, data, taken_at=OTHER.isoformat())
    assert dated(changed) == (OTHER, TakenAtSource.STATED)
    change(house, data, taken_at=None)
    assert dated(change(house, data, status="lost")) == (None, TakenAtSource.STATED)


@pytest.mark.parametrize("first", IN_ORDER)
@pytest.mark.parametrize("second", IN_ORDER)
def test_merged_dates_are_stated_before_table_before_sidecar_before_file(
    house: House, first: TakenAtSource, second: TakenAtSource
) -> None:
    data, later = jpeg(), OTHER + timedelta(days=1)
    ingest(house, data, taken_at=OTHER, taken_at_source=first)
    merged = ingest(house, data, taken_at=later, taken_at_source=second)
    if IN_ORDER.index(second) < IN_ORDER.index(first):
        assert dated(merged) == (later, second)
    else:
        assert dated(merged) == (OTHER, first)


def test_reconcile_reads_no_date_into_a_record_that_it_brings_back(house: House) -> None:
    data = jpeg()
    ingest(house, data)
    change(house, data, taken_at=None)
    image_id = house.record(data).image_id
    house.index.delete(house.catalogue.current().collection, [image_id])
    job = ImageJob(
        store=house.store, ledger=house.ledger, dispatcher=house.dispatcher, clock=utc_now
    )
    job.add([image_id])
    job.seal()
    house.deliver()
    assert house.record(data).taken_at is None


def test_places_are_read_from_files_only_where_a_job_asks_for_them(house: House) -> None:
    assert ingest(house, jpeg()).metadata.location is None
    found = ingest(house, jpeg(), options={"gps": True}).metadata.location
    assert found == pytest.approx((48.1375, 11.575))
    stated = ingest(house, jpeg(), options={"gps": True}, location=(1.0, 2.0))
    assert stated.metadata.location == (1.0, 2.0)


def test_over_http_the_source_of_a_date_is_shown_and_a_patch_states_it(
    client: Client, http: httpx.Client
) -> None:
    data = jpeg()
    path = f"/v1/images/{image_id_of(sha256_of(data))}"
    upload(client, PhotoSource(iter([Photo("a.jpg", data)]), 1), name="dates")
    image = http.get(path).json()
    assert (image["taken_at"], image["taken_at_source"]) == ("2025-05-17T10:00:05Z", "exif")
    image = http.patch(path, json={"taken_at": "2024-01-01T00:00:00Z"}).json()
    assert (image["taken_at"], image["taken_at_source"]) == ("2024-01-01T00:00:00Z", "stated")
    image = http.patch(path, json={"taken_at": None}).json()
    assert (image["taken_at"], image["taken_at_source"]) == (None, "stated")


def test_over_http_a_job_keeps_what_it_reads_of_files(client: Client, http: httpx.Client) -> None:
    data = jpeg()
    form = {"exif_dates": "false", "gps": "true", "metadata": '{"tags": ["kept-options"]}'}
    job = http.post("/v1/images", files={"photos": ("a.jpg", data)}, data=form).json()
    *_, job = client.watch_job(job["job_id"])
    assert (job["exif_dates"], job["gps"]) == (False, True)
    image = client.image(image_id_of(sha256_of(data)))
    assert (image["taken_at"], image["taken_at_source"]) == (None, None)
    assert image["location"] == pytest.approx({"lat": 48.1375, "lon": 11.575})


@pytest.mark.parametrize(
    "said",
    [
        {"taken_at": "2024-01-01T00:00:00Z", "taken_at_source": "exif"},
        {"taken_at": "2024-01-01T00:00:00Z", "taken_at_source": "guessed"},
    ],
)
def test_over_http_a_date_has_no_other_source(http: httpx.Client, said: dict[str, str]) -> None:
    data = {"metadata": json.dumps(said)}
    answer = http.post("/v1/images", files={"photos": ("a.jpg", jpeg())}, data=data)
    assert answer.status_code == 422
    assert "taken_at_source" in answer.json()["detail"]


def test_over_http_a_photo_can_be_without_a_date(client: Client) -> None:
    data = jpeg()
    source = PhotoSource(iter([Photo("a.jpg", data, {"taken_at_source": "stated"})]), 1)
    upload(client, source, name="dates")
    image = client.image(image_id_of(sha256_of(data)))
    assert (image["taken_at"], image["taken_at_source"]) == (None, "stated")


@pytest.mark.parametrize("gps", [False, True])
def test_an_archive_takes_places_from_sidecars_only_where_a_job_asks(
    house: House, *, gps: bool
) -> None:
    said: dict[str, Any] = {"title": "a", "photoTakenTime": {"timestamp": "1715940000"}}
    said["geoData"] = {"latitude": 1.5, "longitude": 2.5}
    data, file = jpeg(None), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("A-17/1.jpg", data)
        archive.writestr("A-17/1.jpg.json", json.dumps(said))
        archive.writestr("A-17/other.json", "{}")
    size = file.tell()
    file.seek(0)
    job = house.jobs.read_upload("archive", "a.zip", file, size, JobOptions(gps=gps))
    house.run()
    record = house.record(data)
    assert dated(record) == (datetime(2024, 5, 17, 10, tzinfo=UTC), TakenAtSource.SIDECAR)
    assert record.metadata.location == ((1.5, 2.5) if gps else None)
    assert record.metadata.source_path == "A-17/1.jpg"
    left_out = house.jobs.get(job.job_id).left_out
    assert left_out == {LeftOutReason.SIDECAR_USED: 1, LeftOutReason.SIDECAR: 1}


def test_a_sidecar_of_the_future_is_left_out_for_the_date_of_the_file(house: House) -> None:
    late: dict[str, Any] = {"taken_at": datetime(2099, 1, 1, tzinfo=UTC)}
    found = ingest(house, jpeg(), taken_at_source=TakenAtSource.SIDECAR, **late)
    assert dated(found) == (TAKEN, TakenAtSource.EXIF)


def test_over_http_the_path_of_a_photo_is_shown_where_no_keys_are_asked_for(
    client: Client, http: httpx.Client
) -> None:
    data = jpeg()
    source = PhotoSource(iter([Photo("1.jpg", data, {"source_path": "A-17/1.jpg"})]), 1)
    upload(client, source, name="paths")
    image = http.get(f"/v1/images/{image_id_of(sha256_of(data))}").json()
    assert (image["filename"], image["source_path"]) == ("1.jpg", "A-17/1.jpg")
