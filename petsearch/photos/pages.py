"""Which picture of a file is taken, where it holds several: the full-size one that shows something.

TIFF files may begin with a small preview; raw files of cameras hold a preview as JPEG; animations
may begin with a blank frame. Pictures of the same worth that are left out are counted.
"""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from PIL import Image, TiffImagePlugin

from petsearch.photos import containers
from petsearch.photos.formats import Buffer

_MOST_PAGES = 512
_MOST_FRAMES = 64
_PREVIEW_SHARE = 0.25
"""A page of less than this share of the largest one's pixels is a preview of it."""
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_SAMPLES, _MAX_SAMPLE, _PLANES, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 277, 281, 284, 338, 339
_SUBFILE, _ORIENTATION, _SUB_IFDS = 254, 274, 330
_READ = (
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC),
    *(_SAMPLES, _MAX_SAMPLE, _EXTRA_SAMPLES, _SAMPLE_FORMAT),
    *(_SUBFILE, _ORIENTATION, _SUB_IFDS),
)
_SENSOR = (32803, 34892)
"""Photometric interpretations of what a sensor saw, which is no picture yet."""
_REDUCED_OR_MASK = 0b101
_UNSIGNED, _FLOATING_POINT = 1, 3
_SEPARATE_PLANES, _ASSOCIATED_ALPHA = 2, 1
_RGB, _CMYK = 2, 5
_COLOURS_OF = {
    **{0: (1, "greys"), 1: (1, "greys"), 2: (3, "RGB"), 3: (1, "palette")},
    **{5: (4, "CMYK"), 6: (3, "YCbCr"), 8: (3, "CIELab")},
}
"""How many samples a pixel has for its colours, and their name, by photometric interpretation."""
_LAYOUTS = {(key[1], key[2], key[4], key[5]) for key in TiffImagePlugin.OPEN_INFO}
"""What Pillow reads: photometric interpretation, sample format, bits of each sample, kinds of extra
samples."""
_MODES_IN_PLANES = ("RGB", "RGBA", "CMYK", "I;16", "I;16B")
_MOST_SAMPLES = TiffImagePlugin.MAX_SAMPLESPERPIXEL
_WEBP = 50001
"""Pillow knows it, but the libtiff in its wheels does not."""
_COMPRESSIONS = {
    **{34712: "JPEG 2000", 50002: "JPEG XL", 52546: "JPEG XL", 34887: "LERC", 34892: "lossy JPEG"},
    **{33003: "JPEG 2000", 33005: "JPEG 2000", 34934: "JPEG XR", 22610: "JPEG XR", 9: "JBIG"},
    **{10: "JBIG", 34661: "JBIG", _WEBP: "WebP"},
}
"""Names of what Pillow does not unpack."""
_RAW_HEADS = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_START = b"\xff\xd8\xff"
_LOSSLESS = 0xC3
"""The marker of such a frame (SOF3)."""


@dataclass(frozen=True)
class Page:
    """A page of a TIFF, by its directory."""

    offset: int
    width: int
    height: int
    subfile: int
    photometric: int
    bits: int
    """Of a sample."""
    samples: int
    """Of a pixel, those beside its colours included."""
    white: int
    """The largest value that a sample is said to have; 0 if none is declared."""
    extra: tuple[int, ...]
    """The kinds of those beside its colours."""
    compression: int
    sample_format: int
    """1 for whole numbers that are not negative."""
    photometric_at: int
    """Where the value of `photometric` is written."""
    photometric_size: int
    """In bytes."""
    orientation: int | None
    """What it states of itself, as EXIF does."""
    inherited_orientation: int | None
    """What the page states of which it is a part; it counts where the page states nothing."""

    @property
    def is_deep_negative(self) -> bool:
        """Whether 0 is white, in more than 8 bits, which Pillow does not know."""
        return self.photometric == 0 and self.bits > 8

    @property
    def is_misread(self) -> bool:
        """Whether Pillow opens it, and then reads it wrongly or not at all."""
        has_spare_bits = self.photometric in (_RGB, _CMYK) and self._used_bits < self.bits == 16
        return self.compression == _WEBP or has_spare_bits

    @property
    def reason_of_refusal(self) -> str | None:
        """Why it cannot be read, if it is whole."""
        if (part := self._unread_part) is None:
            return None
        return (
            f"This kind of TIFF, whose {part}, is not read; "
            "save the picture as RGB with 8 or 16 bits a channel."
        )

    @property
    def _unread_part(self) -> str | None:
        if self.compression == _WEBP or self.compression not in TiffImagePlugin.COMPRESSION_INFO:
            name = _COMPRESSIONS.get(self.compression, f"of number {self.compression}")
            return f"compression is {name}"
        if self.sample_format == _FLOATING_POINT:
            return f"samples are floating-point numbers of {self.bits} bits"
        if self.bits not in (8, 16):
            return f"samples are numbers of {self.bits} bits"
        if self.photometric not in _COLOURS_OF:
            name = {9: "ICCLab", 10: "ITULab"}.get(self.photometric, str(self.photometric))
            return f"colours are of the kind {name}"
        colours, name = _COLOURS_OF[self.photometric]
        bits = (self.bits,) * min(self.samples, _MOST_SAMPLES + 1)
        layout = (self.photometric, (self.sample_format,), bits, self.extra)
        if self.samples >= colours and layout not in _LAYOUTS:
            if self.sample_format != _UNSIGNED:
                return f"samples are {self._numbers} numbers of {self.bits} bits"
            are = "have alpha or other samples beside" if self.samples > colours else "are"
            return f"pixels {are} {name} of {self.bits} bits"
        if self.is_misread:
            return f"samples are numbers of {self._used_bits} bits in {self.bits}"
        return None

    @property
    def _numbers(self) -> str:
        return {2: "signed", 5: "complex", 6: "complex"}.get(self.sample_format, "undefined")

    @property
    def _used_bits(self) -> int:
        """By the declared maximum, unless that is a mere statistic."""
        bits = self.white.bit_length()
        return bits if bits >= 8 and self.white == (1 << bits) - 1 else self.bits

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def is_picture(self) -> bool:
        """Whether it holds a picture at full size that can be decoded."""
        return not self.subfile & _REDUCED_OR_MASK and self.photometric not in _SENSOR


@dataclass(frozen=True)
class TiffPages:
    """The pages of a TIFF file, those of sub-directories included."""

    pages: tuple[Page, ...]
    is_raw: bool
    """Whether one of them is what a sensor saw."""

    @property
    def main(self) -> Page | None:
        """The page to take: the first one that is not a preview of a larger one."""
        good = [page for page in self.pages if page.is_picture] or list(self.pages)
        largest = max((page.pixels for page in good), default=0)
        return next((p for p in good if p.pixels >= _PREVIEW_SHARE * largest), None)

    @property
    def left_out(self) -> int:
        """Pictures of the same worth beside the main one."""
        if (main := self.main) is None:
            return 0
        equal = [p for p in self.pages if p.is_picture and p.pixels >= _PREVIEW_SHARE * main.pixels]
        return max(0, len(equal) - 1)


def tiff_pages(data: Buffer) -> TiffPages:
    """The pages of an encoded TIFF; none if its directories cannot be read."""
    try:
        pages = tuple(_walk(data))
    except (struct.error, IndexError, OverflowError):  # the last one by the 64 bits of a BigTIFF
        pages = ()
    return TiffPages(pages, is_raw=any(page.photometric in _SENSOR for page in pages))


def beginning_at(data: bytes, offset: int) -> bytes:
    """The same TIFF, whose first page is the one at `offset`."""
    order = "<" if data[:2] == b"II" else ">"
    if data[2:4] in (b"\x2b\0", b"\0\x2b"):
        return data[:8] + struct.pack(order + "Q", offset) + data[16:]
    return data[:4] + struct.pack(order + "I", offset) + data[8:]


def with_black_as_zero(data: bytes, page: Page) -> bytes:
    """The same TIFF, in which `page` says that 0 is black."""
    order = "<" if data[:2] == b"II" else ">"
    changed = bytearray(data)
    letter = {1: "B", 2: "H", 4: "I", 8: "Q"}[page.photometric_size]
    struct.pack_into(order + letter, changed, page.photometric_at, 1)
    return bytes(changed)


def read_as_stored(picture: Image.Image) -> None:
    """Make an opened TIFF load what is stored, where Pillow loads something else."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile) or not picture.tile:
        return
    tags, is_raw = picture.tag_v2, not picture.use_load_libtiff
    if is_raw and tags.get(_PLANES) == _SEPARATE_PLANES and picture.mode in _MODES_IN_PLANES:
        # Pillow's own reader takes their samples for 8 bits; libtiff's does not.
        depth = ";16N" if 16 in tags.get(_BITS, ()) else ""
        args = (picture.mode.partition(";")[0] + depth, False, tags.offset)
        extents = (0, 0, tags[_WIDTH], tags[_HEIGHT])
        whole = picture.tile[0]._replace(codec_name="libtiff", extents=extents, offset=0, args=args)
        picture.tile, picture.use_load_libtiff = [whole], True
    elif holds_associated_alpha(picture):
        # Undoing the multiplication would make alpha that is 0 everywhere a black picture.
        picture.tile = [
            tile._replace(args=(str(mode).replace("RGBa", "RGBA"), *rest))
            for tile in picture.tile
            if isinstance(tile.args, tuple)
            for mode, *rest in [tile.args]
        ]


def holds_associated_alpha(picture: Image.Image) -> bool:
    """Whether the colours of RGBA are multiplied with alpha once `read_as_stored` is heeded."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile) or picture.mode != "RGBA":
        return False
    kinds, planes = picture.tag_v2.get(_EXTRA_SAMPLES, ()), picture.tag_v2.get(_PLANES)
    return kinds[:1] == (_ASSOCIATED_ALPHA,) and planes != _SEPARATE_PLANES


def is_camera_raw(head: bytes) -> bool:
    """Whether a file that begins with `head` is a camera's raw file that is no TIFF."""
    return head.startswith(_RAW_HEADS) or head[4:12] == b"ftypcrx "


def largest_jpeg(data: Buffer) -> bytes | None:
    """The JPEG with the most pixels that lies inside a raw file."""
    best, most = None, 0
    for found in islice(re.finditer(_JPEG_START, data), _MOST_PAGES):
        piece = data[found.start() :]
        try:
            with Image.open(io.BytesIO(piece), formats=("JPEG",)) as picture:
                pixels = picture.width * picture.height
        except Exception:  # a decoder's edge: sensor data may look like the start of a JPEG
            continue
        if pixels > most and not _is_lossless(piece):
            best, most = piece, pixels
    return best


def is_tiff(head: bytes) -> bool:
    """Whether a file that begins with `head` is a TIFF, or a raw file in the form of one."""
    return head[:4] in _TIFF_HEADS


def is_unread_big_tiff(head: bytes) -> bool:
    """Whether it is a TIFF with 64-bit offsets, big end first, which Pillow takes for another."""
    return head[:4] == b"MM\0+"


def show_frame(picture: Image.Image) -> None:
    """Load the first frame of a picture, or of an animation the first one that is not blank."""
    if picture.format not in _ANIMATED or not getattr(picture, "is_animated", False):
        picture.load()
        return
    # The still of an animated PNG may be for programs that know no animations.
    first = 1 if getattr(picture, "default_image", False) else 0
    for frame in range(first, min(getattr(picture, "n_frames", 1), first + _MOST_FRAMES)):
        picture.seek(frame)
        picture.load()
        if not _is_blank(picture):
            return
    picture.seek(first)
    picture.load()


def _is_blank(picture: Image.Image) -> bool:
    """Whether all its pixels are the same, or none can be seen."""
    bands = [band.getextrema() for band in picture.convert("RGBA").split()]
    return bands[3] == (0, 0) or all(low == high for low, high in bands)


def _is_lossless(jpeg: bytes) -> bool:
    """Whether the frame is of a kind that holds sensor data."""
    return any(marker == _LOSSLESS for marker, _ in containers.jpeg_segments(jpeg))


def _walk(data: Buffer) -> Iterator[Page]:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"\x2b\0", b"\0\x2b")
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    waiting: list[tuple[int, int | None]] = [(first, None)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_PAGES:
        offset, inherited = waiting.pop(0)
        if offset in seen or not 0 < offset < len(data):
            continue
        seen.add(offset)
        tags, places, following = _directory(data, offset, order, big=big)
        (orientation,) = tags.get(_ORIENTATION, (None,))[:1]
        if _WIDTH in tags and _HEIGHT in tags:
            yield Page(
                offset,
                tags[_WIDTH][0],
                tags[_HEIGHT][0],
                tags.get(_SUBFILE, (0,))[0],
                tags.get(_PHOTOMETRIC, (1,))[0],
                tags.get(_BITS, (1,))[0],
                tags.get(_SAMPLES, (1,))[0],
                tags.get(_MAX_SAMPLE, (0,))[0],
                tags.get(_EXTRA_SAMPLES, ()),
                tags.get(_COMPRESSION, (1,))[0],
                tags.get(_SAMPLE_FORMAT, (1,))[0],
                *places.get(_PHOTOMETRIC, (0, 2)),
                orientation,
                inherited if orientation is None else None,
            )
        # In the order of the file: a page's own sub-pages, then the next page.
        parts = ((part, orientation or inherited) for part in tags.get(_SUB_IFDS, ()))
        waiting[:0] = [*parts, (following, inherited)]


_SIZES = {1: 1, 3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


def _directory(
    data: Buffer, offset: int, order: str, *, big: bool
) -> tuple[dict[int, tuple[int, ...]], dict[int, tuple[int, int]], int]:
    """The whole-number tags of a directory, the place and size of each, and the next directory."""
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, offset)
    at, entry = offset + (8 if big else 2), 20 if big else 12
    tags: dict[int, tuple[int, ...]] = {}
    places: dict[int, tuple[int, int]] = {}
    for start in range(at, at + entry * min(count, _MOST_PAGES), entry):
        tag, kind = struct.unpack_from(order + "HH", data, start)
        (values,) = struct.unpack_from(order + ("Q" if big else "I"), data, start + 4)
        if tag not in _READ or kind not in _SIZES:
            continue
        values = min(values, _MOST_PAGES)
        inline = start + (12 if big else 8)
        where = inline
        if values * _SIZES[kind] > (8 if big else 4):
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, inline)
        places[tag] = (where, _SIZES[kind])
        tags[tag] = struct.unpack_from(f"{order}{values}{_LETTERS[kind]}", data, where)
    (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, at + entry * count)
    return {tag: found for tag, found in tags.items() if found}, places, following
