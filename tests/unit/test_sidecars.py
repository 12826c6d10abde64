"""Files beside photos: which belong to which, and what is taken of them, in every way in."""

import io
import json
import random
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from petsearch.client import add_metadata, from_paths
from petsearch.domain import ImageMetadata, LeftOut, LeftOutReason, TakenAtSource
from petsearch.domain.errors import InvalidInput
from petsearch.sources import SourceItem
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.s3_prefix import AllowedBuckets, BucketObject, S3PrefixSource
from petsearch.sources.sidecars import Sidecars
from petsearch.sources.zip_archive import zip_sidecars
from petsearch.sources.zip_directory import ZipDirectory, find_directory
from tests import pictures

TAKEN = datetime(2026, 5, 17, 10, tzinfo=UTC)
MUNICH = (48.1375, 11.575)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
    b'exif:DateTimeOriginal="2026-05-17T12:00:00+02:00" exif:GPSLatitude="48,8.25N" '
    b'exif:GPSLongitude="11,34.5E"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">'
    b"Shy &amp; old</rdf:li></rdf:Alt></dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def takeout(**changes: Any) -> bytes:
    said = {
        "title": "IMG.jpg",
        "description": "Shy & old",
        "photoTakenTime": {"timestamp": str(int(TAKEN.timestamp()))},
        "geoData": {"latitude": MUNICH[0], "longitude": MUNICH[1]},
    }
    return json.dumps(said | changes).encode()


def described(files: Mapping[str, bytes], photo: str, **said: Any) -> Any:
    sidecars = Sidecars(lambda: [photo, *files], files.__getitem__)
    return sidecars.describe(photo, ImageMetadata(filename="a.jpg", **said))


def is_paired(photo: str, sidecar: str) -> bool:
    names = [photo, sidecar]
    entry = Sidecars(lambda: names, lambda _: b"").classify(LeftOut(sidecar, LeftOutReason.SIDECAR))
    return entry.reason is LeftOutReason.SIDECAR_USED


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("IMG.jpg", "IMG.jpg.json"),
        ("IMG.jpg", "IMG.jpg.supplemental-metadata.json"),
        ("IMG.jpg", "IMG.jpg.supplemental-me.json"),
        ("IMG.jpg", "IMG.jpg.s.json"),
        ("IMG.jpg", "IMG.json"),
        ("IMG.JPG", "img.jpg.json"),
        ("IMG(1).jpg", "IMG.jpg(1).json"),
        ("IMG(1).jpg", "IMG.jpg.supplemental-metadata(1).json"),
        ("IMG(1).jpg", "IMG(1).jpg.json"),
        ("IMG-edited.jpg", "IMG.jpg.json"),
        ("IMG-bearbeitet.jpg", "IMG.jpg.supplemental-metadata.json"),
        ("IMG-edited(2).jpg", "IMG.jpg(2).json"),
        ("IMG(1)-edited.jpg", "IMG.jpg.supplemental-metadata(1).json"),
        ("IMG-ha editado.jpg", "IMG.jpg.json"),
        (f"{'x' * 40}-edi.jpg", f"{'x' * 40}.jpg.s.json"),
        (f"{'x' * 44}-e(1).jpg", f"{'x' * 44}.j(1).json"),
        (f"a/{'x' * 38}-bearb.jpg", f"a/{'x' * 38}.jpg.sup.json"),
        ("IMG-編集済み.jpg", "IMG.jpg.supplemental-metadata.json"),
        ("IMG.MP.jpg", "IMG.MP.jpg.supplemental-meta.json"),
        ("IMG_1.jpg", "IMG_1.jpg.s.json"),
        ("IMG.jpg", "IMG.jpg.xmp"),
        ("IMG.jpg", "IMG.xmp"),
        ("IMG.HEIC", "IMG.XMP"),
        ("a/b/IMG.jpg", "a/b/IMG.jpg.json"),
        ("a\\IMG.jpg", "a/IMG.jpg.json"),
        ("Mu\u0308nchen.jpg", "M\u00fcnchen.jpg.json"),
        (
            "PXL_20260518_100000123.LONG_EXPOSURE-02.ORIGINA.jpg",
            "PXL_20260518_100000123.LONG_EXPOSURE-02.ORIGIN.json",
        ),
    ],
)
def test_a_sidecar_belongs_to_a_photo_by_its_name(photo: str, sidecar: str) -> None:
    assert is_paired(photo, sidecar)


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("IMG.jpg", "IMG.jpg(1).json"),
        ("IMG(1).jpg", "IMG.jpg.json"),
        ("IMG(1).jpg", "IMG.jpg(2).json"),
        ("IMG_10.jpg", "IMG_1.jpg.json"),
        ("IMG_1.jpg", "IMG_10.jpg.json"),
        ("IMG.jpg", "metadata.json"),
        ("IMG-edi.jpg", "IMG.jpg.json"),
        ("a/IMG.jpg", "b/IMG.jpg.json"),
        ("a/IMG.jpg", "IMG.jpg.json"),
        ("IMG.mov", "IMG.mov.json"),
        ("IMG.jpg", "@eaDir/IMG.jpg.json"),
        ("Mr. Max/IMG_1", "Mr.json"),
        ("Mr. Max/IMG_1", "Mr.xmp"),
    ],
)
def test_other_names_belong_to_no_photo(photo: str, sidecar: str) -> None:
    assert not is_paired(photo, sidecar)


def test_an_edited_photo_prefers_its_own_sidecar() -> None:
    files = {"IMG-edited.jpg.json": takeout(description="own"), "IMG.jpg.json": takeout()}
    found = described(files, "IMG-edited.jpg").metadata
    assert found.attributes == {"description": "own"}


@pytest.mark.parametrize(("name", "data"), [("a.jpg.json", takeout()), ("a.xmp", XMP)])
def test_date_description_and_place_are_taken(name: str, data: bytes) -> None:
    found = described({name: data}, "a.jpg")
    assert (found.metadata.taken_at, found.metadata.taken_at_source) == (
        TAKEN,
        TakenAtSource.SIDECAR,
    )
    assert found.metadata.attributes == {"description": "Shy & old"}
    assert found.location == pytest.approx(MUNICH)
    assert (found.metadata.location, found.warnings) == (None, ())


def test_xmp_may_be_in_utf_16() -> None:
    found = described({"a.xmp": XMP.decode().encode("utf-16")}, "a.jpg")
    assert found.metadata.attributes == {"description": "Shy & old"}
    assert (found.metadata.taken_at, found.warnings) == (TAKEN, ())


@pytest.mark.parametrize(
    ("languages", "description"),
    [
        ('<rdf:li xml:lang="x-default"/>', None),
        ('<rdf:li xml:lang="x-default"></rdf:li>', None),
        ("<rdf:li/>\n<rdf:li xml:lang='de'>Hund</rdf:li>", "Hund"),
        ("<rdf:li><b>Hund</b></rdf:li>", None),
    ],
)
def test_a_description_in_xmp_ends_where_it_is_closed(
    languages: str, description: str | None
) -> None:
    data = (
        f"<rdf:Description><dc:description><rdf:Alt>{languages}</rdf:Alt></dc:description>"
        "<dc:subject><rdf:Bag><rdf:li>dog</rdf:li></rdf:Bag></dc:subject></rdf:Description>"
    )
    found = described({"a.xmp": data.encode()}, "a.jpg").metadata.attributes
    assert found.get("description") == description


def test_what_a_photo_states_already_stays() -> None:
    stated = datetime(2020, 1, 1)
    found = described({"a.jpg.json": takeout()}, "a.jpg", taken_at=stated).metadata
    assert (found.taken_at, found.taken_at_source) == (stated, TakenAtSource.STATED)
    kept = described({"a.jpg.json": takeout()}, "a.jpg", attributes={"description": "mine"})
    assert kept.metadata.attributes == {"description": "mine"}


@pytest.mark.parametrize(
    "changes",
    [
        {"photoTakenTime": {"timestamp": "0"}, "geoData": {"latitude": 0.0, "longitude": 0.0}},
        {"photoTakenTime": {"timestamp": "soon"}, "geoData": {"latitude": 91, "longitude": 0}},
        {"photoTakenTime": {"timestamp": "9" * 30}, "geoData": {"latitude": "48"}},
        {"photoTakenTime": None, "geoData": None},
        {"photoTakenTime": [], "geoData": [1, 2]},
    ],
)
def test_zero_and_invalid_values_are_left_out(changes: dict[str, Any]) -> None:
    found = described({"a.jpg.json": takeout(**changes)}, "a.jpg")
    assert (found.metadata.taken_at, found.metadata.taken_at_source) == (None, None)
    assert (found.location, found.warnings) == (None, ())


def test_a_long_description_is_cut_with_a_warning() -> None:
    found = described({"a.jpg.json": takeout(description="word\n" * 100)}, "a.jpg")
    text = found.metadata.attributes["description"]
    assert (len(text), text[:9], text[-1]) == (200, "word word", "\u2026")
    (warning,) = found.warnings
    assert (warning.code, warning.field) == ("description_shortened", "attributes.description")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"version": 1}',
        b"[" * 100_000,
        takeout(description="x" * 1_000_001),
    ],
)
def test_a_bad_sidecar_costs_a_warning(data: bytes) -> None:
    found = described({"a.jpg.json": data}, "a.jpg")
    assert found.metadata == ImageMetadata(filename="a.jpg")
    assert [warning.code for warning in found.warnings] == ["sidecar_ignored"]
    assert "a.jpg.json" in found.warnings[0].detail


class _CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_a_sidecar_of_very_many_photos_is_read_only_so_often() -> None:
    read: list[str] = []

    def reading(name: str) -> bytes:
        read.append(name)
        return b"{"

    sidecars = Sidecars(lambda: ["a.jpg", "a.jpg.json"], reading)
    found = [sidecars.describe("a.jpg", ImageMetadata("a.jpg")) for _ in range(101)]
    assert read == ["a.jpg.json"] * 100
    assert {warning.code for one in found for warning in one.warnings} == {"sidecar_ignored"}
    assert "more than 100 photos" in found[-1].warnings[0].detail


def test_a_broken_sidecar_of_a_zip_file_is_read_twice_its_file_in_all() -> None:
    buffer = _CountingFile()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", b"-")
        archive.writestr("a.jpg.json", random.Random(1).randbytes(500_000).hex())
    at = buffer.getvalue().index(b"a.jpg.json") + 400_000
    buffer.getbuffer()[at : at + 10_000] = b"\xff" * 10_000
    sidecars = zip_sidecars(buffer, buffer, cast(ZipDirectory, find_directory(buffer)))
    buffer.count = 0
    for _ in range(20):
        found = sidecars.describe("a.jpg", ImageMetadata("a.jpg"))
        assert [warning.code for warning in found.warnings] == ["sidecar_ignored"]
    assert 500_000 < buffer.count < 2_000_000


def test_what_nobody_can_store_is_dropped_of_a_description() -> None:
    data = b'{"title": "a", "description": "\\ud800a\\u0000b\\u202ec"}'
    assert described({"a.jpg.json": data}, "a.jpg").metadata.attributes == {"description": "abc"}


# --- the ways in ---------------------------------------------------------------------------------

FILES = {
    "A-17/1.jpg": pictures.jpeg(1),
    "A-18/1.jpg.json": takeout(),  # before its photo, where a folder is sorted
    "A-18/1.jpg": pictures.jpeg(2),
    "A-17/1.jpg.supplemental-metadata.json": takeout(description="seventeen"),
    "A-17/metadata.json": b"{}",
    "A-17/clip.mov": b"-",
}


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(mode: Any) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


class Bucket:
    """A bucket with `FILES`."""

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        for name in sorted(FILES):
            if bucket == "b" and name.startswith(prefix) and name > (start_after or ""):
                yield BucketObject(name, len(FILES[name]))

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        assert bucket == "b"
        assert len(FILES[key]) <= max_bytes
        return FILES[key]

    def get_head(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        raise AssertionError(f"{max_bytes} of {bucket}/{key} are read, whose name is enough")


def entries_of(way: str, cursor: str | None = None) -> list[SourceItem | LeftOut]:
    if way == "s3":
        buckets = AllowedBuckets(Bucket(), ["b"])
        return list(S3PrefixSource(buckets, "b", "", 10**6).read(cursor))
    data = zipped() if way == "zip" else tarred("w:gz" if way == "tar.gz" else "w")
    return list(ArchiveSource(lambda: io.BytesIO(data)).read(cursor))


LEFT_OUT = {
    "A-17/1.jpg.supplemental-metadata.json": LeftOutReason.SIDECAR_USED,
    "A-18/1.jpg.json": LeftOutReason.SIDECAR_USED,
    "A-17/metadata.json": LeftOutReason.SIDECAR,
    "A-17/clip.mov": LeftOutReason.VIDEO,
}
DESCRIPTIONS = {"A-17/1.jpg": "seventeen", "A-18/1.jpg": "Shy & old"}


@pytest.mark.parametrize("way", ["zip", "tar", "tar.gz", "s3"])
def test_sources_pair_sidecars_in_any_order_and_name_orphans(way: str) -> None:
    entries = entries_of(way)
    items = [entry for entry in entries if isinstance(entry, SourceItem)]
    said = {i.metadata.source_path: i.metadata.attributes["description"] for i in items}
    assert said == DESCRIPTIONS
    assert {i.metadata.filename for i in items} == {"1.jpg"}
    assert all(i.metadata.location is None and i.sidecar_location == MUNICH for i in items)
    assert {e.name: e.reason for e in entries if isinstance(e, LeftOut)} == LEFT_OUT


@pytest.mark.parametrize("way", ["zip", "tar", "tar.gz", "s3"])
def test_a_source_that_resumes_pairs_as_before(way: str) -> None:
    first, second = (e for e in entries_of(way) if isinstance(e, SourceItem))
    rest = [e for e in entries_of(way, first.cursor) if isinstance(e, SourceItem)]
    assert rest == [second]


@pytest.mark.parametrize("gps", [False, True])
def test_a_folder_pairs_sidecars_and_keeps_its_paths(tmp_path: Path, *, gps: bool) -> None:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    source = from_paths([tmp_path], max_bytes=10**6, gps=gps)
    photos = {photo.metadata["source_path"]: photo for photo in source.photos}
    assert {path: p.metadata["attributes"]["description"] for path, p in photos.items()} == (
        DESCRIPTIONS
    )
    said = photos["A-18/1.jpg"].full_metadata
    assert (said["filename"], said["taken_at_source"]) == ("1.jpg", "sidecar")
    assert said.get("location") == ({"lat": MUNICH[0], "lon": MUNICH[1]} if gps else None)
    assert {entry.name: entry.reason for entry in source.left_out} == LEFT_OUT


def test_a_folder_with_a_bad_sidecar_keeps_the_photo_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(pictures.jpeg(1))
    (tmp_path / "1.jpg.json").write_bytes(b"{")
    source = from_paths([tmp_path], max_bytes=10**6)
    assert [photo.filename for photo in source.photos] == ["1.jpg"]
    ((name, detail),) = source.warnings
    assert name == "1.jpg"
    assert "1.jpg.json" in detail


def test_options_state_what_is_true_of_all_photos_and_folders_name_animals(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    said = {"status": "found", "tags": ["shy"], "attributes": {"room": "3"}}
    source = add_metadata(from_paths([tmp_path], max_bytes=10**6), said, animal_from_folder=True)
    found = {photo.metadata["source_path"]: photo.metadata for photo in source.photos}
    assert {path: m["animal_id"] for path, m in found.items()} == {
        "A-17/1.jpg": "A-17",
        "A-18/1.jpg": "A-18",
    }
    first = found["A-17/1.jpg"]
    assert (first["status"], first["tags"]) == ("found", ["shy"])
    assert first["attributes"] == {"description": "seventeen", "room": "3"}


def test_options_that_no_photo_can_have_are_refused_before_any_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="status"):
        add_metadata(
            from_paths([tmp_path], max_bytes=1), {"status": "x" * 201}, animal_from_folder=False
        )
