"""A day, a local time or an instant: each by every way in, shown and found as what it is."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from openpyxl import Workbook
from PIL import Image
from PIL.ExifTags import IFD, Base

from petsearch.client import Photo, PhotoSource, join_table
from petsearch.domain import JobOptions, JsonDict, TimeRange
from petsearch.domain.errors import ConfigurationError
from petsearch.settings import Settings
from petsearch.sources.spec import parse_spec
from services.api.app import build_app
from tests import pictures
from tests.services.house import House, open_house

WRITTEN = {
    "day": "2026-05-17",
    "local": "2026-05-17T23:30:05",
    "instant": "2026-05-17T23:30:05-07:00",
}
SHOWN = {
    "day": "2026-05-17T00:00:00+02:00",
    "local": "2026-05-17T23:30:05+02:00",
    "instant": "2026-05-17T23:30:05-07:00",
}
JPEG = pictures.jpeg(1)


@dataclass(frozen=True)
class World:
    """A house in a time zone, the API before it, and a folder that jobs may read."""

    house: House
    http: TestClient
    folder: Path

    def post(self, data: bytes, **metadata: object) -> bytes:
        """Upload a photo."""
        files, form = {"photos": ("a.jpg", data)}, {"metadata": json.dumps(metadata)}
        answer = self.http.post("/v1/images", files=files, data=form)
        assert answer.status_code == 202, answer.text
        return data

    def read(self, name: str, content: bytes) -> bytes:
        """Read a table of one photo."""
        (self.folder / "a.jpg").write_bytes(JPEG)
        (self.folder / name).write_bytes(content)
        spec = parse_spec({"type": "manifest", "path": f"{self.folder}/{name}"})
        self.house.jobs.read(spec, JobOptions())
        return JPEG

    def image(self) -> JsonDict:
        """The only photo, when all work is done."""
        self.house.run()
        (item,) = self.http.get("/v1/images").json()["items"]
        return dict(item)

    def change(self, **changes: object) -> JsonDict:
        """Change the only photo."""
        answer = self.http.patch(f"/v1/images/{self.image()['image_id']}", json=changes)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def found(self, **params: str) -> int:
        """How many photos a list holds."""
        answer = self.http.get("/v1/images", params=params)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["items"])


@contextmanager
def world_in(zone: str, folder: Path) -> Iterator[World]:
    with open_house(folder, time_zone=zone) as house:
        app = build_app(house.services, is_on_loopback=True)
        client = TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000))
        yield World(house, client, folder)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """In Berlin."""
    with world_in("Europe/Berlin", tmp_path) as opened:
        yield opened


def exif_jpeg(written: str) -> bytes:
    """A photo whose EXIF states a date."""
    exif = Image.Exif()
    tags = exif.get_ifd(IFD.Exif)
    tags[Base.DateTimeOriginal] = written[:19].replace("-", ":").replace("T", " ")
    if written[19:]:
        tags[Base.OffsetTimeOriginal] = written[19:]
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(file, "JPEG", exif=exif)
    return file.getvalue()


def by_upload(world: World, written: str) -> None:
    world.post(JPEG, taken_at=written)


def by_patch(world: World, written: str) -> None:
    world.post(JPEG)
    world.change(taken_at=written)


def by_exif(world: World, written: str) -> None:
    world.post(exif_jpeg(written))


def by_table(world: World, written: str) -> None:
    world.read("pets.csv", f"path,taken_at\na.jpg,{written}\n".encode())


def by_workbook(world: World, written: str) -> None:
    book, file = Workbook(), io.BytesIO()
    assert book.active is not None
    book.active.append(["path", "taken_at"])
    # Cells with a date have no zone.
    cell = written if "-07" in written else datetime.fromisoformat(written)
    book.active.append(["a.jpg", cell])
    book.save(file)
    world.read("pets.xlsx", file.getvalue())


def by_table_beside_a_folder(world: World, written: str) -> None:
    table = world.folder / "beside.csv"
    table.write_text(f"path,taken_at\na.jpg,{written}\n")
    source = PhotoSource(iter([Photo("a.jpg", JPEG, {"filename": "a.jpg"})]), 1, names=["a.jpg"])
    (photo,) = join_table(source, table, {}).photos
    world.post(photo.data, **photo.metadata)


def by_sidecar(world: World, written: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jpg", JPEG)
        archive.writestr("a.xmp", f'<rdf:Description exif:DateTimeOriginal="{written}"/>')
    size = file.tell()
    file.seek(0)
    world.house.jobs.read_upload("archive", "a.zip", file, size, JobOptions())


Way = Callable[[World, str], None]
WAYS: list[Way] = [
    by_upload,
    by_patch,
    by_exif,
    by_table,
    by_workbook,
    by_table_beside_a_folder,
    by_sidecar,
]


@pytest.mark.parametrize("precision", WRITTEN)
@pytest.mark.parametrize("way", WAYS)
def test_each_precision_by_every_way_in(world: World, way: Way, precision: str) -> None:
    way(world, WRITTEN[precision])
    image = world.image()
    assert (image["taken_at"], image["taken_at_precision"]) == (SHOWN[precision], precision)
    # In Berlin it is the next day at 23:30 -07:00.
    day, other = "2026-05-17", "2026-05-18"
    day, other = (other, day) if precision == "instant" else (day, other)
    assert world.found(taken_since=day, taken_until=day) == 1
    assert world.found(taken_since=other, taken_until=other) == 0
    assert world.found(taken_since=SHOWN[precision], sort="taken_at") == 1
    assert world.found(taken_until=SHOWN[precision]) == 0
    changed = world.change(status="found")
    assert changed["taken_at"] == image["taken_at"]
    same = world.change(taken_at=image["taken_at"])
    assert same == changed, "a date that is sent back as it was shown states nothing"


def test_a_day_stays_that_day_when_the_zone_of_the_server_changes(tmp_path: Path) -> None:
    with world_in("Pacific/Kiritimati", tmp_path) as world:
        world.post(JPEG, taken_at="2026-05-17")
        before = world.image()
        assert before["taken_at"] == "2026-05-17T00:00:00+14:00"
    with world_in("America/Los_Angeles", tmp_path) as world:
        assert world.image() == before
        assert world.change(status="found")["taken_at"] == before["taken_at"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"taken_at_precision": "day"}, "needs a taken_at"),
        ({"taken_at": WRITTEN["local"], "taken_at_precision": "instant"}, "with a zone"),
        ({"taken_at": WRITTEN["day"], "taken_at_precision": "instant"}, "with a zone"),
        ({"taken_at": WRITTEN["day"], "taken_at_precision": "year"}, "'day', 'local' or 'instant'"),
    ],
)
def test_a_precision_that_the_date_cannot_have_is_rejected(
    world: World, said: dict[str, str], words: str
) -> None:
    form = {"metadata": json.dumps(said)}
    answer = world.http.post("/v1/images", files={"photos": ("a.jpg", JPEG)}, data=form)
    assert answer.status_code == 422
    assert "taken_at_precision" in answer.json()["detail"]
    assert words in answer.json()["detail"]


def test_a_stated_precision_says_less_than_the_time(world: World) -> None:
    world.post(JPEG, taken_at="2026-05-17T23:30:05-07:00", taken_at_precision="day")
    assert world.image()["taken_at"] == "2026-05-17T00:00:00-07:00"
    image = world.change(taken_at=WRITTEN["local"])
    assert (image["taken_at"], image["taken_at_precision"]) == (SHOWN["local"], "local")
    image = world.change(taken_at=None)
    assert (image["taken_at"], image["taken_at_precision"]) == (None, None)


def test_a_midnight_that_clocks_skipped_is_still_that_day(tmp_path: Path) -> None:
    with world_in("Africa/Cairo", tmp_path) as world:
        world.post(JPEG, taken_at="2026-04-24")
        assert world.image()["taken_at"].startswith("2026-04-24T00:00:00+")
        assert world.found(taken_since="2026-04-24", taken_until="2026-04-24") == 1


def test_offsets_are_whole_minutes_before_standard_time_too(world: World) -> None:
    world.post(JPEG, taken_at="1880-05-17")
    assert world.image()["taken_at"] == "1880-05-17T00:00:00+00:53"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Berlin", "Europe/Berlin"), ("europe/berlin", "Europe/Berlin"), ("UTC+2", "")],
)
def test_a_time_zone_that_does_not_exist_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv("PETSEARCH_TIME_ZONE", name)
    with pytest.raises(ConfigurationError, match=r"PETSEARCH_TIME_ZONE is .*IANA") as caught:
        Settings.from_environment()
    assert repr(name) in str(caught.value)
    assert hint in str(caught.value)


def test_null_for_the_precision_alone_changes_nothing(world: World) -> None:
    world.post(JPEG, taken_at=WRITTEN["day"])
    shown = world.image()
    changed = world.change(taken_at_precision=None, status="lost")
    assert (changed["taken_at"], changed["taken_at_precision"]) == (shown["taken_at"], "day")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_first_and_the_last_times_are_bounds_that_utc_has(zone: str) -> None:
    bounds = TimeRange(datetime.min, datetime.max).in_zone(ZoneInfo(zone))
    for bound in (bounds.since, bounds.until):
        assert bound is not None
        assert bound.astimezone(UTC).year in (1, 9999)


@pytest.mark.parametrize(
    "written", ["9999-12-31T23:00:00-05:00", "0001-01-01T00:30:00+01:00", "0001-01-01"]
)
def test_a_date_that_utc_has_not_is_rejected(world: World, written: str) -> None:
    world.post(JPEG)
    path = f"/v1/images/{world.image()['image_id']}"
    answer = world.http.patch(path, json={"taken_at": written})
    assert answer.status_code == 422, answer.text
    assert "taken_at" in answer.json()["detail"]
