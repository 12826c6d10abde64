"""The grammars of zip and tar, packed or not, and what is known to be hard in each."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence

from bench import attack_files
from tests import pictures
from tests.hostile_files.grammar import Number, Part, Sample, Variant

Entries = Sequence[tuple[str, bytes]]
_PHOTOS: Entries = [(f"a/{n}.jpg", pictures.jpeg(n)) for n in range(3)]
_BLOCK = 512


def zipped(entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file of these."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            # Of a ZipInfo, which has the same time every day.
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def tarred(entries: Entries, **pax: str) -> bytes:
    """A tar file of these, each with pax records."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in entries:
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(data), pax
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


# --- zip: entries, a directory, its end ----------------------------------------------------------

_LOCAL = ((8, 2, "method"), (18, 4, "packed"), (22, 4, "unpacked"), (26, 2, "name"))
_ENTRY = (
    *((10, 2, "method"), (20, 4, "packed"), (24, 4, "unpacked"), (28, 2, "name")),
    *((30, 2, "extra"), (32, 2, "comment"), (42, 4, "offset")),
)
_END = ((4, 2, "disk"), (8, 2, "entries"), (12, 4, "length"), (16, 4, "offset"), (20, 2, "comment"))
_HEADERS = ((b"PK\3\4", _LOCAL), (b"PK\1\2", _ENTRY), (b"PK\5\6", _END))


def zip_file() -> Sample:
    """Three photos."""
    data = zipped(_PHOTOS)
    numbers, starts = list[Number](), list[int]()
    for mark, fields in _HEADERS:
        at = data.find(mark)
        while at >= 0:
            starts.append(at)
            numbers += [
                Number(at + place, size, "little", f"{name} of {mark!r} at {at}")
                for place, size, name in fields
            ]
            at = data.find(mark, at + 1)
    ends = [*starts[1:], len(data)]
    parts = [Part(a, b, f"the part at {a}") for a, b in zip(starts, ends, strict=True)]
    return Sample(data, parts, numbers)


def hard_zips() -> Iterator[Variant]:
    """Bombs of every kind."""
    zeros = bytes(50_000_000)
    yield "300 MB of zeros", zipped([(f"{n}.jpg", zeros) for n in range(6)])
    yield "entries that overlap", attack_files.overlapping_zip(2000)
    yield "zips in zips", _nested(8)
    yield "20,000 names without an end", zipped([(f"{n}", b"") for n in range(20_000)])
    yield "names of 60 KB", zipped([(f"{n}" * 15_000 + ".jpg", b"x") for n in range(100)])
    yield "sidecars of 1 MB", _sidecars()
    yield "a photo with 300 names of a sidecar", _sidecars(photos=300)
    yield "blocks of deflate with nothing in them", _empty_blocks()
    yield "8 MB a file", zipped([(f"{n}.jpg", bytes(8_000_000)) for n in range(40)])


def _nested(depth: int) -> bytes:
    made = pictures.jpeg(1)
    for number in range(depth):
        made = zipped([(f"{number}.{'zip' if number else 'jpg'}", made)])
    return made


def _sidecars(photos: int = 20) -> bytes:
    text = '{"title": "x", "description": "' + "y" * 900_000 + '"}'
    ends = ("jpg", "png", "webp", "gif", "tif")
    named = [(f"{n // 5}.{ends[n % 5]}", pictures.jpeg(n % 5)) for n in range(photos)]
    beside = [(f"{n}.json", text.encode()) for n in range(1 + photos // 5)]
    return zipped([*named, *beside])


def _empty_blocks() -> bytes:
    """Stored blocks of no bytes: they unpack to nothing, for ever."""
    packed = b"\0\0\0\xff\xff" * 200_000 + b"\1\0\0\xff\xff"
    good = zipped([("1.jpg", b"")], zipfile.ZIP_STORED)
    at = good.index(b"PK\1\2")
    head = bytearray(good[:at] + packed)
    head[8:10] = struct.pack("<H", 8)
    head[18:26] = struct.pack("<II", len(packed), 1_000_000)
    entry = bytearray(good[at : good.index(b"PK\5\6")])
    entry[10:12] = struct.pack("<H", 8)
    entry[20:28] = struct.pack("<II", len(packed), 1_000_000)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(head), 0)
    return bytes(head + entry) + end


# --- tar: blocks of 512 bytes, with numbers as octal text ----------------------------------------


def tar_file() -> Sample:
    """Three photos, each behind pax records."""
    data = tarred(_PHOTOS, comment="c")
    parts, numbers, at = [], [], 0
    while data[at]:
        size = int(data[at + 124 : at + 135], 8)
        end = at + _BLOCK + -(-size // _BLOCK) * _BLOCK
        parts.append(Part(at, end, f"the entry at {at}"))
        numbers.append(Number(at + 124, 12, "big", f"the size at {at}"))
        numbers.append(Number(at + 156, 1, "big", f"the type at {at}"))
        at = end
    return Sample(data, parts, numbers, _with_sums)


def _with_sums(data: bytes) -> bytes:
    """With the sum of each header that stands where the first one's neighbours do."""
    sealed = bytearray(data)
    for at in range(0, len(data) - _BLOCK + 1, _BLOCK):
        if sealed[at + 257 : at + 262] == b"ustar":
            header = bytes(sealed[at : at + 148]) + b" " * 8 + bytes(sealed[at + 156 : at + _BLOCK])
            sealed[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    return bytes(sealed)


def hard_tars() -> Iterator[Variant]:
    """Headers about headers, and numbers that do not end."""
    one = tarred([("1.jpg", pictures.jpeg(1))])
    name = _header(b"L", 100_000_000)
    yield "a name of 100 MB", name + one
    yield "names about names", _header(b"L", 0) * 20_000 + one
    digits = b"9" * 900_000
    record = b"%d size=%s\n" % (len(digits) + 14, digits)
    yield "a size of 900,000 digits", _header(b"x", len(record)) + _padded(record) + one
    sparse = b"100000\n" + b"1\n" * 100_000
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    head = _header(b"x", len(records)) + _padded(records)
    yield "a sparse map of 100,000", head + _header(b"0", len(sparse)) + _padded(sparse)
    yield "20,000 empty entries", _header(b"0", 0) * 20_000
    yield "2,000 links", _header(b"2", 0, "1.jpg") * 2000


def _header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // _BLOCK) * _BLOCK, b"\0")


# --- packed tar files ----------------------------------------------------------------------------


def gz_file() -> Sample:
    """A tar file packed by gzip."""
    data = gzip.compress(tarred(_PHOTOS), mtime=0)
    numbers = [Number(2, 1, "little", "the method"), Number(3, 1, "little", "the flags")]
    numbers.append(Number(len(data) - 8, 4, "little", "the sum"))
    numbers.append(Number(len(data) - 4, 4, "little", "the size"))
    return Sample(data, _pieces(data), numbers)


def bz2_file() -> Sample:
    """A tar file packed by bzip2."""
    data = bz2.compress(tarred(_PHOTOS))
    numbers = [Number(3, 1, "big", "the level"), Number(10, 4, "big", "the sum")]
    return Sample(data, _pieces(data), [*numbers, Number(14, 4, "big", "the origin")])


def xz_file() -> Sample:
    """A tar file packed by xz; flags, the block's header and the index have sums."""
    data = lzma.compress(tarred(_PHOTOS))
    numbers = [Number(12, 1, "little", "the header's size"), Number(13, 1, "little", "the flags")]
    numbers += [Number(16, 1, "little", "the dictionary"), Number(15, 1, "little", "its size")]
    return Sample(data, _pieces(data), numbers, _with_xz_sum)


def _with_xz_sum(data: bytes) -> bytes:
    size = 4 * data[12] + 4
    if len(data) < 12 + size:
        return data
    header = data[12 : 12 + size - 4]
    return data[:12] + header + struct.pack("<I", zlib.crc32(header)) + data[12 + size :]


def _pieces(data: bytes, count: int = 6) -> list[Part]:
    size = len(data) // count
    return [Part(n * size, (n + 1) * size, f"the piece {n}") for n in range(count)]


def hard_packed(pack: Callable[[bytes], bytes]) -> Iterator[Variant]:
    """What a packed tar file can hold, whatever packs it."""
    yield "a photo of 2 GB", pack_zeros(pack, 2_000_000_000)
    yield "no tar file", pack(b"x" * 100_000)
    yield "50,000 members of nothing", pack(b"") * (50_000 if len(pack(b"")) < 30 else 20_000)
    yield "packed twice", pack(pack(tarred(_PHOTOS)))
    yield "1,000 photos of zeros", pack(tarred([(f"{n}.jpg", bytes(50_000)) for n in range(1000)]))


def pack_zeros(pack: Callable[[bytes], bytes], size: int) -> bytes:
    """A packed tar file of one photo, of zeros, in members of 50 MB."""
    block = pack(bytes(50_000_000))
    return pack(_header(b"0", size, "1.jpg")) + size // 50_000_000 * block


def hard_xzs() -> Iterator[Variant]:
    """Dictionaries."""
    huge = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(tarred(_PHOTOS), filters=huge))
    data[16] = 40  # 4 GB
    yield "a dictionary of 4 GB", _with_xz_sum(bytes(data))
    data[16] = 37  # 1.5 GB
    yield "a dictionary of 1.5 GB", _with_xz_sum(bytes(data))
