"""TIFFs whose samples are stored in unusual ways: read as they are meant, or refused by name."""

import io
import struct
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from petsearch.domain.errors import NotAnImage
from petsearch.photos import ImageLimits
from petsearch.photos.decode import decode
from tests import pictures

Order = Literal["<", ">"]
LIMITS = ImageLimits()
RGB = np.asarray(pictures.noise(64, 48))
RGB16 = RGB.astype(np.uint16) * 257
GREY, RGB_COLOURS, CMYK, CIE_LAB, ICC_LAB = 1, 2, 5, 8, 9
BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 258, 259, 262, 274
MAX_SAMPLE, PLANES, EXTRA, FORMAT = 281, 284, 338, 339
SIGNED = 2


def _tiff(
    samples: np.ndarray, order: Order = "<", tags: dict[int, list[int]] | None = None
) -> bytes:
    """An uncompressed TIFF of one strip, or of one strip for each plane."""
    height, width, *rest = samples.shape
    count = rest[0] if rest else 1
    stored = samples.astype(samples.dtype.newbyteorder(order))
    separate = tags is not None and PLANES in tags
    planes = stored.reshape(height, width, count)
    strips = [planes[..., n].tobytes() for n in range(count)] if separate else [stored.tobytes()]
    starts = [8 + sum(map(len, strips[:n])) for n in range(len(strips))]
    entries = {
        256: [width], 257: [height], BITS: [8 * samples.dtype.itemsize] * count, COMPRESSION: [1],
        PHOTOMETRIC: [GREY if count == 1 else RGB_COLOURS], 273: starts, 277: [count],
        278: [height], 279: list(map(len, strips)),
    } | (tags or {})  # fmt: skip
    at = 8 + sum(map(len, strips)) + 2 + 12 * len(entries) + 4
    directory, values = struct.pack(order + "H", len(entries)), b""
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        directory += struct.pack(order + "HHI", tag, 4, len(numbers))
        directory += packed if len(packed) == 4 else struct.pack(order + "I", at + len(values))
        values += packed if len(packed) > 4 else b""
    head = b"II*\0" if order == "<" else b"MM\0*"
    head += struct.pack(order + "I", 8 + sum(map(len, strips)))
    return head + b"".join(strips) + directory + bytes(4) + values


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, LIMITS).picture, np.int16)


def _with_alpha(colours: np.ndarray, alpha: int) -> np.ndarray:
    return np.concatenate([colours, np.full_like(colours[..., :1], alpha)], -1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("samples", [RGB, RGB16], ids=["8 bits", "16 bits"])
def test_planes_of_rgb_are_read(samples: np.ndarray, order: Order) -> None:
    assert np.array_equal(_pixels(_tiff(samples, order, {PLANES: [2]})), RGB)


@pytest.mark.parametrize("order", ["<", ">"])
def test_one_plane_of_deep_greys_is_read(order: Order) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (40, 1))
    assert np.array_equal(_pixels(_tiff(ramp, order, {PLANES: [2]}))[20, :, 0], np.arange(256))


def test_planes_that_are_turned_are_read() -> None:
    data = _tiff(RGB16, tags={PLANES: [2], ORIENTATION: [6]})
    assert np.array_equal(_pixels(data), np.rot90(RGB, -1))


def test_planes_with_associated_alpha_are_read() -> None:
    data = _tiff(_with_alpha(RGB, 255), tags={PLANES: [2], EXTRA: [1]})
    assert np.array_equal(_pixels(data), RGB)


@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_of_cmyk_are_read(order: Order) -> None:
    ink = np.asarray(pictures.noise(64, 48).convert("CMYK"))
    data = _tiff(ink.astype(np.uint16) * 257, order, {PLANES: [2], PHOTOMETRIC: [CMYK]})
    assert np.array_equal(_pixels(data), _pixels(_tiff(ink, order, {PHOTOMETRIC: [CMYK]})))


def test_greys_of_32_bits_are_scaled() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint32) * 0x01010101, (40, 1))
    assert np.array_equal(_pixels(_tiff(ramp))[20, :, 0], np.arange(256))


@pytest.mark.parametrize("colours", [RGB, RGB16], ids=["8 bits", "16 bits"])
@pytest.mark.parametrize("kind", [0, 1, 2], ids=["unspecified", "associated", "unassociated"])
def test_alpha_of_nothing_but_zeros_is_ignored(kind: int, colours: np.ndarray) -> None:
    data = _tiff(_with_alpha(colours, 0), tags={EXTRA: [kind]})
    assert np.array_equal(_pixels(data), RGB)


@pytest.mark.parametrize("kind", [0, 1, 2], ids=["unspecified", "associated", "unassociated"])
def test_alpha_of_nothing_but_zeros_is_ignored_beside_grey(kind: int) -> None:
    data = _tiff(_with_alpha(RGB[..., :1], 0), tags={EXTRA: [kind], PHOTOMETRIC: [GREY]})
    assert np.array_equal(_pixels(data)[..., 0], RGB[..., 0])


def test_colours_that_are_multiplied_with_alpha_are_not_darkened_by_it() -> None:
    half = np.full((40, 40, 3), 60, np.uint8)
    data = _tiff(_with_alpha(half, 128), tags={EXTRA: [1]})
    # 60 of the colour itself, and the rest of the white behind it.
    assert np.abs(_pixels(data) - (60 + 127)).max() <= 1


REFUSED = {
    "compression is JPEG 2000": _tiff(RGB, tags={COMPRESSION: [34712]}),
    "compression is JPEG XL": _tiff(RGB, tags={COMPRESSION: [50002]}),
    "compression is WebP": _tiff(RGB, tags={COMPRESSION: [50001]}),
    "compression is of number 4711": _tiff(RGB, tags={COMPRESSION: [4711]}),
    "colours are of the kind ICCLab": _tiff(RGB, tags={PHOTOMETRIC: [ICC_LAB]}),
    "beside greys of 16 bits": _tiff(RGB16[..., :2], tags={PHOTOMETRIC: [GREY], EXTRA: [2]}),
    "beside CMYK of 8 bits": _tiff(
        np.zeros((9, 9, 5), np.uint8), tags={PHOTOMETRIC: [CMYK], EXTRA: [2]}
    ),
    "numbers of 12 bits in 16": _tiff(RGB16 >> 4, tags={MAX_SAMPLE: [4095] * 3}),
    "numbers of 32 bits": _tiff(RGB.astype(np.uint32)),
    "pixels are CIELab of 16 bits": _tiff(RGB16, tags={PHOTOMETRIC: [CIE_LAB]}),
    "samples are signed numbers of 16 bits": _tiff(RGB16, tags={FORMAT: [SIGNED] * 3}),
    "samples are signed numbers of 8 bits": _tiff(
        _with_alpha(RGB, 255), tags={FORMAT: [SIGNED] * 4, EXTRA: [2]}
    ),
    "samples are undefined numbers": _tiff(RGB16[..., :1], tags={FORMAT: [4]}),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_read_is_named(reason: str) -> None:
    with pytest.raises(NotAnImage, match=f"This kind of TIFF, whose .*{reason}.*, is not read"):
        decode(REFUSED[reason], LIMITS)


@pytest.mark.parametrize(
    "whole",
    [_tiff(RGB), _tiff(RGB16), _tiff(_with_alpha(RGB, 255), tags={EXTRA: [2]})],
    ids=["8 bits", "16 bits", "alpha"],
)
def test_a_kind_that_is_read_is_no_reason_to_refuse_a_broken_file(whole: bytes) -> None:
    broken = whole.replace(struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 4711, 4, 1))
    with pytest.raises(NotAnImage, match="whose header is broken"):
        decode(broken, LIMITS)


@pytest.mark.parametrize("most", [65_535, 40_000])
def test_a_maximum_that_is_a_mere_statistic_changes_nothing(most: int) -> None:
    assert np.array_equal(_pixels(_tiff(RGB16, tags={MAX_SAMPLE: [most] * 3})), RGB)


def test_a_big_tiff_that_is_not_read_is_not_called_broken() -> None:
    data = struct.pack(">2sHHHQ", b"MM", 43, 8, 0, 16) + struct.pack(">QQ", 0, 0)
    with pytest.raises(NotAnImage, match="a big-endian BigTIFF, is not read"):
        decode(data, LIMITS)


@pytest.mark.parametrize(
    "next_directory",
    [
        struct.pack("<Q2H2Q", 1, 256, 16, 2, 2**63) + bytes(8),
        struct.pack("<Q", 2**62) + bytes(20 * 512),
    ],
    ids=["values", "next"],
)
def test_a_directory_of_a_big_tiff_that_points_beyond_any_file_is_passed_over(
    next_directory: bytes,
) -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "TIFF", big_tiff=True)
    data = bytearray(file.getvalue())
    (first,) = struct.unpack_from("<Q", data, 8)
    (entries,) = struct.unpack_from("<Q", data, first)
    struct.pack_into("<Q", data, first + 8 + 20 * entries, len(data))
    assert np.array_equal(_pixels(bytes(data) + next_directory), RGB)
    with pytest.raises(NotAnImage):
        decode(bytes(data[:8]) + struct.pack("<Q", 16) + next_directory, LIMITS)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_changes_no_other(odd: float) -> None:
    floats = np.linspace(0, 255, 64 * 48, dtype=np.float32).reshape(48, 64)
    floats[0, 0] = odd
    file = io.BytesIO()
    Image.fromarray(floats).save(file, "TIFF")
    pixels = _pixels(file.getvalue())
    assert np.abs(pixels - floats.round()[..., None])[np.isfinite(floats)].max() <= 1
    assert (pixels[0, 0] == (255 if odd == np.inf else 0)).all()
