"""The grammar of HEIC and AVIF: boxes in boxes."""

import io
import struct
from collections.abc import Iterator

import pillow_heif

from tests import hostile, pictures
from tests.hostile_files.grammar import Number, Part, Sample, Variant

_HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"dinf": 0}
"""Boxes that hold boxes, behind so many bytes."""
_MOST_DEPTH = 200


def heic() -> Sample:
    """A HEIC of a small picture."""
    file = io.BytesIO()
    pillow_heif.from_pillow(pictures.noise(64, 64)).save(file, quality=30)
    return _sample(file.getvalue())


def avif() -> Sample:
    """An AVIF of a small picture."""
    return _sample(pictures.encoded(pictures.noise(64, 64), "AVIF", speed=10))


def _sample(data: bytes) -> Sample:
    parts, numbers = list[Part](), list[Number]()
    _read(data, 0, len(data), parts, numbers)
    return Sample(data, parts, numbers)


def _read(data: bytes, at: int, end: int, parts: list[Part], numbers: list[Number]) -> None:
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        name = kind.decode("latin-1")
        parts.append(Part(at, at + size, name))
        numbers.append(Number(at, 4, "big", f"the size of {name}"))
        if kind in _HOLDERS:
            _read(data, at + 8 + _HOLDERS[kind], at + size, parts, numbers)
        elif kind == b"ispe":
            numbers += [Number(at + 12, 4, "big", "width"), Number(at + 16, 4, "big", "height")]
        elif kind in (b"iloc", b"ipma", b"iinf", b"pitm"):
            numbers += [
                Number(at + 8 + place, 2, "big", f"{name} at {place}") for place in (4, 6, 8, 10)
            ]
            numbers += [Number(at + 24, 4, "big", f"{name} at 16")]
        at += size


def hard_heics() -> Iterator[Variant]:
    """Sizes that lie, boxes without an end, and items without number."""
    yield "100 megapixels that are 64 x 64", hostile.lying_heif("HEIF", 10_000, 10_000)
    yield "4 exapixels", hostile.lying_heif("HEIF", 0x7FFFFFFF, 0x7FFFFFFF)
    good = heic().data
    nested = _nested(_MOST_DEPTH)
    yield "boxes in boxes", good + nested
    yield "100,000 empty boxes", good[:24] + 100_000 * struct.pack(">I4s", 8, b"free") + good[24:]
    yield "items of no size", _items_of_no_size()


def hard_avifs() -> Iterator[Variant]:
    """The same of AVIF."""
    yield "100 megapixels that are 64 x 64", hostile.lying_heif("AVIF", 10_000, 10_000)
    yield "4 exapixels", hostile.lying_heif("AVIF", 0x7FFFFFFF, 0x7FFFFFFF)
    yield "boxes in boxes", avif().data + _nested(_MOST_DEPTH)


def _nested(depth: int) -> bytes:
    made = b""
    for _ in range(depth):
        made = struct.pack(">I4s", 8 + len(made), b"ipco") + made
    return made


def _items_of_no_size() -> bytes:
    """An `iloc` of 65535 items of 65535 parts each, which take no bytes."""
    good = heic().data
    at = good.index(b"iloc") - 4
    size = int.from_bytes(good[at : at + 4], "big")
    entries = struct.pack(">HHH", 1, 0, 0xFFFF) * ((size - 16) // 6)
    body = struct.pack(">IHH", 0, 0, 0xFFFF) + entries
    return good[: at + 8] + body.ljust(size - 8, b"\0")[: size - 8] + good[at + size :]
