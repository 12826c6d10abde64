"""JPEGs with missing pixels: kept with a warning that names the row, refused if most is lost."""

import io

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


@pytest.mark.parametrize("mode", ["RGB", "L"])
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


def test_colours_that_libjpeg_turbo_does_not_convert_are_left_to_pillow() -> None:
    data = _photo("CMYK")
    with Image.open(io.BytesIO(data)) as stored:
        expected = np.asarray(stored.convert("RGB"))
    assert np.array_equal(np.asarray(decode(data, LIMITS).picture), expected)
    with pytest.raises(NotAnImage):
        decode(_cut(data, 0.8), LIMITS)
