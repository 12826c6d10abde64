"""JPEGs with missing pixels: kept with a warning that names the row, refused if most is lost."""

import io
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from petsearch.domain.errors import NotAnImage
from petsearch.photos import ImageLimits
from petsearch.photos.decode import DecodedImage, decode
from tests import pictures

LIMITS = ImageLimits()
WIDTH, HEIGHT = 640, 480
END = b"\xff\xd9"


def _photo(mode: str = "RGB", options: dict[str, object] | None = None) -> bytes:
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    picture = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return pictures.encoded(picture.convert(mode), "JPEG", quality=90, **(options or {}))


def _scan_start(data: bytes) -> int:
    return data.index(b"\xff\xda") + 2


def _place(data: bytes, share: float) -> int:
    start = _scan_start(data)
    return start + int((len(data) - start) * share)


def _cut(data: bytes, share: float) -> bytes:
    return data[: _place(data, share)]


def _closed_early(data: bytes, share: float) -> bytes:
    return _cut(data, share) + END


def _ends_in_zeros(data: bytes, share: float) -> bytes:
    return _cut(data, share).ljust(len(data), b"\0")


def _with_a_hole(data: bytes, share: float) -> bytes:
    at = _place(data, share)
    return data[:at] + bytes(2048) + data[at + 2048 :]


def _without_a_block(data: bytes, share: float) -> bytes:
    at = _place(data, share)
    return data[:at] + data[at + 1024 :]


DAMAGES = (_cut, _closed_early, _ends_in_zeros, _with_a_hole, _without_a_block)


def _warning(decoded: DecodedImage) -> str:
    assert [warning.code for warning in decoded.warnings] == ["pixels_damaged"]
    return decoded.warnings[0].detail


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_photo_is_kept_with_a_warning(damage: object, mode: str) -> None:
    assert callable(damage)
    decoded = decode(damage(_photo(mode), 0.8), LIMITS)
    assert decoded.picture.size == (WIDTH, HEIGHT)
    assert "missing or wrong, from row" in _warning(decoded)


@pytest.mark.parametrize("damage", [_cut, _closed_early, _ends_in_zeros, _with_a_hole])
def test_the_warning_names_the_first_bad_row(damage: object) -> None:
    assert callable(damage)
    whole = np.asarray(decode(_photo(), LIMITS).picture, np.int16)
    decoded = decode(damage(_photo(), 0.8), LIMITS)
    row = int(_warning(decoded).split("row ")[1].split()[0])
    rows = np.flatnonzero(np.abs(np.asarray(decoded.picture, np.int16) - whole).max((1, 2)) > 0)
    # Rows are found at an eighth of the size, and colours reach over the border of two blocks.
    assert abs(int(rows[0]) - row) <= 16


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_photo_is_kept_if_the_first_bad_row_is_not_found_in_time(
    damage: Callable[[bytes, float], bytes],
) -> None:
    decoded = decode(damage(_photo(), 0.8), replace(LIMITS, max_decode_s=0.0))
    assert _warning(decoded) == "Some of the photo's pixels are missing or wrong."


@pytest.mark.parametrize("damage", [_cut, _closed_early, _ends_in_zeros])
def test_a_photo_of_which_most_is_lost_is_refused(damage: object) -> None:
    assert callable(damage)
    with pytest.raises(NotAnImage, match=r"only \d+ of its 480 rows are whole"):
        decode(damage(_photo(), 0.3), LIMITS)


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"optimize": True}],
    ids=str,
)
@pytest.mark.parametrize("ending", ["whole", "no end marker", "trailer"])
def test_a_whole_photo_raises_no_alarm(ending: str, options: dict[str, object]) -> None:
    data = _photo(options=options)
    given = {"whole": data, "no end marker": data[:-2], "trailer": data + bytes(8192)}[ending]
    decoded = decode(given, LIMITS)
    assert not decoded.warnings
    with Image.open(io.BytesIO(data)) as stored:
        assert np.array_equal(np.asarray(decoded.picture), np.asarray(stored))


def test_a_photo_that_is_decoded_at_a_part_of_its_size_equals_pillows() -> None:
    large = pictures.encoded(pictures.noise(4000, 3000), "JPEG", quality=90)
    with Image.open(io.BytesIO(large)) as stored:
        stored.draft(None, (1600, 640))
        expected = np.asarray(stored)
    assert np.array_equal(np.asarray(decode(large, LIMITS).picture), expected)


def test_cmyk_equals_pillows() -> None:
    data = _photo("CMYK")
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(stored.convert("RGB"))
    for given in (data, data[:-2]):
        decoded = decode(given, LIMITS)
        assert np.array_equal(np.asarray(decoded.picture), expected)
        assert not decoded.warnings


# --- what stands beside the scan -----------------------------------------------------------------


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def _thumbnail() -> bytes:
    """EXIF whose second directory holds a JPEG."""
    small = pictures.jpeg()
    directory = struct.pack("<HHHIIHHIII", 2, 0x201, 4, 1, 44, 0x202, 4, 1, len(small), 0)
    return b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 14) + directory + small


BESIDE = {
    "a thumbnail": _segment(0xE1, _thumbnail()),
    "a comment that looks like a scan": _segment(0xFE, b"\xff\xda\0\x0c"),
}


@pytest.mark.parametrize("segment", BESIDE.values(), ids=BESIDE)
def test_what_stands_beside_the_scan_hides_no_damage_and_is_none(segment: bytes) -> None:
    def beside(data: bytes) -> bytes:
        return data[:2] + segment + data[2:]

    assert not decode(beside(_photo()), LIMITS).warnings
    for damage in (_closed_early, _with_a_hole):
        alone = _warning(decode(damage(_photo(), 0.8), LIMITS))
        assert _warning(decode(beside(damage(_photo(), 0.8)), LIMITS)) == alone
    with pytest.raises(NotAnImage, match=r"only \d+ of its 480 rows are whole"):
        decode(beside(_closed_early(_photo(), 0.3)), LIMITS)


def _padded(data: bytes, count: int) -> bytes:
    return data[:-2] + bytes(count) + END


def _without_a_band(data: bytes) -> bytes:
    at = _scan_start(data)
    end = at + data[at + 1]
    return data[: end - 3] + bytes(3) + data[end:]


HARMLESS = {
    "a zero before the end": lambda data: _padded(data, 1),
    "zeros before the end": lambda data: _padded(data, 4096),
    "zeros and no end": lambda data: _padded(data, 4096)[:-2],
    "a scan of no band": _without_a_band,
    "an odd version": lambda data: data.replace(b"JFIF\0\1", b"JFIF\0\3"),
}


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_no_pixel_raises_no_alarm(change: Callable[[bytes], bytes], mode: str) -> None:
    whole, changed = decode(_photo(mode), LIMITS), decode(change(_photo(mode)), LIMITS)
    assert not changed.warnings
    assert np.array_equal(np.asarray(changed.picture), np.asarray(whole.picture))


def test_a_scan_of_no_band_hides_no_hole() -> None:
    holed = _without_a_band(_with_a_hole(_photo(), 0.8))
    assert "from row" in _warning(decode(holed, LIMITS))
