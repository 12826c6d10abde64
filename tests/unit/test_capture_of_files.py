"""When and where a photo was taken, as the EXIF and XMP of its file state it, in every format."""

import io
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import IFDRational

from petsearch.domain.capture import Capture, is_in_future, parse_time
from petsearch.photos import ImageLimits
from petsearch.photos.decode import decode
from petsearch.photos.opening import register_formats

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
TAKEN = datetime(2026, 5, 17, 10, 0, 5)
BERLIN = timezone(timedelta(hours=2))
MUNICH = (48.1375, 11.575)
_MUNICH_GPS: dict[int, object] = {
    GPS.GPSLatitudeRef: "N",
    GPS.GPSLatitude: (48.0, 8.0, 15.0),
    GPS.GPSLongitudeRef: "E",
    GPS.GPSLongitude: (11.0, 34.0, 30.0),
}


def exif_of(
    times: dict[int, object] | None = None, gps: dict[int, object] | None = None
) -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Model] = "Camera"
    exif.get_ifd(IFD.Exif).update(times or {})
    exif.get_ifd(IFD.GPSInfo).update(gps or {})
    return exif


def photo(format_: str = "JPEG", exif: Image.Exif | None = None, xmp: bytes = b"") -> bytes:
    register_formats()
    file = io.BytesIO()
    picture = Image.new("RGB", (64, 48), "tan")
    options: dict[str, Any] = {"exif": exif.tobytes()} if exif else {}
    if xmp and format_ == "TIFF":
        options["tiffinfo"] = {Base.XMLPacket: xmp}
    elif xmp and format_ == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif xmp:
        picture.info["xmp"] = options["xmp"] = xmp
    picture.save(file, format_, **options)
    return file.getvalue()


def capture_of(data: bytes) -> Capture:
    return decode(data, ImageLimits()).capture


def xmp(*properties: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        + " ".join(properties)
        + "/></rdf:RDF></x:xmpmeta>"
    ).encode()


@pytest.mark.parametrize("format_", FORMATS)
def test_exif_gives_time_and_place_in_every_format(format_: str) -> None:
    exif = exif_of({Base.DateTimeOriginal: "2026:05:17 10:00:05"}, _MUNICH_GPS)
    found = capture_of(photo(format_, exif))
    assert found.taken_at == TAKEN
    assert found.location == pytest.approx(MUNICH)


@pytest.mark.parametrize("format_", [one for one in FORMATS if one != "TIFF"])
def test_broken_exif_gives_nothing_and_refuses_no_photo(format_: str) -> None:
    whole = photo(format_, exif_of({Base.DateTimeOriginal: "2026:05:17 10:00:05"}))
    broken = whole.replace(b"MM\0*\0\0\0\x08", b"MM\0*\x7f\xff\xff\xff")
    assert broken != whole
    assert capture_of(broken) == Capture()


@pytest.mark.parametrize(
    ("offsets", "zone"),
    [
        ({Base.OffsetTimeOriginal: "+02:00", Base.OffsetTime: "+05:00"}, BERLIN),
        ({Base.OffsetTime: "+02:00"}, BERLIN),
        ({Base.OffsetTimeDigitized: "+0200"}, BERLIN),
        ({Base.OffsetTimeOriginal: "   :  ", Base.OffsetTime: "+02:00"}, BERLIN),
        ({Base.OffsetTimeOriginal: "-03:30\0"}, timezone(-timedelta(hours=3, minutes=30))),
        ({Base.OffsetTimeOriginal: "Z"}, UTC),
        ({Base.OffsetTimeOriginal: "+25:00"}, None),
        ({Base.OffsetTimeOriginal: ""}, None),
        ({}, None),
    ],
)
def test_the_time_follows_its_offset(offsets: dict[int, object], zone: timezone | None) -> None:
    exif = exif_of({Base.DateTimeOriginal: "2026:05:17 10:00:05", **offsets})
    taken_at = capture_of(photo(exif=exif)).taken_at
    assert isinstance(taken_at, datetime)
    assert (taken_at.replace(tzinfo=None), taken_at.tzinfo) == (TAKEN, zone)


@pytest.mark.parametrize(
    "blank",
    [
        "",
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "2026:13:17 10:00:00",
        "2026:02:30 10:00:00",
        "2026:05:17 25:00:00",
        "0001:01:01 00:00:00",
        "1970:01:01 00:00:00",
        "2026",
        "yesterday",
        "\0" * 19,
        "\u0662026:05:17 10:00:00",
    ],
)
def test_blank_zero_and_impossible_times_are_none(blank: str) -> None:
    assert parse_time(blank) is None
    assert capture_of(photo(exif=exif_of({Base.DateTimeOriginal: blank.encode()}))) == Capture()
    digitized: dict[int, object] = {
        Base.DateTimeOriginal: blank.encode(),
        Base.DateTimeDigitized: "2026:05:17 10:00:05",
    }
    assert capture_of(photo(exif=exif_of(digitized))).taken_at == TAKEN


@pytest.mark.parametrize(
    "text",
    [
        "2026:05:17 10:00:05",
        "2026-05-17T10:00:05",
        "2026/05/17 10:00:05.123",
        "2026:05:17 10:00:05\0",
        " 2026:5:17 10:00:05 ",
    ],
)
def test_times_are_read_as_cameras_and_programs_write_them(text: str) -> None:
    assert parse_time(text) == TAKEN


@pytest.mark.parametrize("clock", ["24:00:00", "23:59:60"])
def test_times_between_two_days_leave_the_day(clock: str) -> None:
    assert parse_time(f"2026:05:17 {clock}+02:00") == date(2026, 5, 17)
    assert parse_time(f"2026:02:30 {clock}") is None


def test_the_time_of_the_last_change_is_not_when_it_was_taken() -> None:
    exif = Image.Exif()
    exif[Base.DateTime] = "2026:05:17 10:00:05"
    assert capture_of(photo(exif=exif)).taken_at is None


def test_a_time_in_the_first_directory_counts() -> None:
    exif = Image.Exif()
    exif[Base.DateTimeOriginal] = "2026:05:17 10:00:05"
    assert capture_of(photo(exif=exif)).taken_at == TAKEN


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(
    "name", ["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"]
)
def test_xmp_counts_where_exif_has_no_time(name: str, format_: str) -> None:
    stated = xmp(f'{name}="2026-05-17T10:00:05+02:00"')
    assert capture_of(photo(format_, xmp=stated)).taken_at == TAKEN.replace(tzinfo=BERLIN)


@pytest.mark.parametrize("written", ["2026:05:17", "2026-05-17"])
def test_a_date_without_a_time_is_a_day(written: str) -> None:
    exif = exif_of({Base.DateTimeOriginal: written, Base.OffsetTimeOriginal: "+02:00"})
    assert capture_of(photo(exif=exif)).taken_at == TAKEN.date()
    stated = xmp(f'photoshop:DateCreated="{written}"')
    assert capture_of(photo(xmp=stated)).taken_at == TAKEN.date()


def test_exif_counts_before_xmp() -> None:
    exif = exif_of({Base.DateTimeOriginal: "2026:05:17 10:00:05"})
    data = photo(exif=exif, xmp=xmp('xmp:CreateDate="2020-01-01T00:00:00"'))
    assert capture_of(data).taken_at == TAKEN


def test_xmp_is_read_as_elements_and_its_place_in_minutes() -> None:
    stated = (
        b"<rdf:Description><photoshop:DateCreated>2026-05-17T10:00:05</photoshop:DateCreated>"
        b"<exif:GPSLatitude>48,8.25N</exif:GPSLatitude>"
        b"<exif:GPSLongitude>11,34,30E</exif:GPSLongitude></rdf:Description>"
    )
    found = capture_of(photo(xmp=stated))
    assert found.taken_at == TAKEN
    assert found.location == pytest.approx(MUNICH)


@pytest.mark.parametrize(
    "changes",
    [
        {GPS.GPSLatitude: (0.0, 0.0, 0.0), GPS.GPSLongitude: (0.0, 0.0, 0.0)},
        {GPS.GPSLatitude: (91.0, 0.0, 0.0)},
        {GPS.GPSLongitude: (180.0, 0.0, 1.0)},
        {GPS.GPSLatitude: (IFDRational(0, 0), 0.0, 0.0)},
        {GPS.GPSLatitude: ()},
    ],
)
def test_an_invalid_place_is_none(changes: dict[int, object]) -> None:
    assert capture_of(photo(exif=exif_of(gps={**_MUNICH_GPS, **changes}))).location is None


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        # Apple Photos, which writes letters beside; icloudpd, which writes signs; and both.
        ("33.8</exif:GPSLatitude><exif:GPSLatitudeRef>S", "70.5"),
        ("-33.8", "-70.5"),
        ("-33.8</exif:GPSLatitude><exif:GPSLatitudeRef>S", "-70.5"),
    ],
)
def test_a_place_in_xmp_may_be_in_decimal_degrees(lat: str, lon: str) -> None:
    stated = (
        "<rdf:Description><exif:GPSLongitudeRef>W</exif:GPSLongitudeRef>"
        f"<exif:GPSLongitude>{lon}</exif:GPSLongitude><exif:GPSLatitude>{lat}</rdf:Description>"
    )
    assert capture_of(photo(xmp=stated.encode())).location == pytest.approx((-33.8, -70.5))


def test_south_and_west_are_negative() -> None:
    gps = {**_MUNICH_GPS, GPS.GPSLatitudeRef: "S", GPS.GPSLongitudeRef: "W\0"}
    found = capture_of(photo(exif=exif_of(gps=gps))).location
    assert found == pytest.approx((-MUNICH[0], -MUNICH[1]))


def test_the_future_is_measured_where_the_photo_was_taken() -> None:
    now = datetime(2026, 5, 17, 8, 0, 5, tzinfo=UTC)
    assert not is_in_future(TAKEN.replace(tzinfo=BERLIN), now)
    assert is_in_future(TAKEN.replace(tzinfo=UTC), now)
    assert not is_in_future(TAKEN, now)  # east of Greenwich
    assert is_in_future(TAKEN + timedelta(hours=13), now)
