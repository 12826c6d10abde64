"""What is read from zip files, and what hostile ones are told."""

import io
import itertools
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import inflate64
import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.sources import SourceItem, cursor
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.archive_limits import ArchiveLimits
from tests import pictures
from tests.archives import LIMITS, PHOTOS, read, said, source_of, tarred, zipped
from tests.sources import items_of


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("旅行/表.jpg".encode("cp932"), "表.jpg"),
        ("表.bak/ソ.jpg".encode("cp932"), "ソ.jpg"),
        ("功.jpg".encode("big5"), None),
        ("Grün\\Bär.jpg".encode("cp437"), "Bär.jpg"),
    ],
)
def test_half_a_character_is_no_backslash(raw: bytes, shown: str | None) -> None:
    (item,) = read(zipped([("?" * len(raw), PHOTOS[0][1])]).replace(b"?" * len(raw), raw))
    assert item.data == PHOTOS[0][1]
    assert shown in (item.metadata.filename, None)


@pytest.mark.parametrize(
    "data", [zipped(PHOTOS)[:-100], zipped(PHOTOS) + bytes(100_000)], ids=["cut", "zeros"]
)
def test_a_zip_file_without_a_directory_is_cut_off_or_damaged(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^The zip file is cut off or damaged"):
        read(data)


@pytest.mark.parametrize(
    "comment", [b"see PK\5\6 in its documentation, for example", b"PK\5\6", b"PK\5\6" + bytes(18)]
)
def test_a_comment_may_look_like_the_end_of_a_zip_file(comment: bytes) -> None:
    data = zipped(PHOTOS)
    data = data[:-2] + struct.pack("<H", len(comment)) + comment
    assert said(read(data)) == said(read(zipped(PHOTOS)))


@pytest.mark.parametrize("extension", [b"", b"extensible data sector"])
def test_the_end_of_a_large_zip_file_may_be_extended(extension: bytes) -> None:
    data = zipped(PHOTOS)
    end = data.rindex(b"PK\5\6")
    length, offset = struct.unpack_from("<2L", data, end + 12)
    count = len(PHOTOS)
    record = struct.pack(
        "<4sQ2H2L4Q", *(b"PK\6\6", 44 + len(extension), 45, 45, 0, 0, count, count, length, offset)
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0)
    whole = data[:end] + record + extension + locator + ending
    assert said(read(whole)) == said(read(data))


@pytest.mark.parametrize(
    ("method", "flags", "refusal"),
    [
        (zipfile.ZIP_LZMA, 0, "packed by method 14"),
        (zipfile.ZIP_BZIP2, 0, "packed by method 12"),
        (zipfile.ZIP_DEFLATED, 1, "encrypted"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_whatever_its_name(
    method: int, flags: int, refusal: str
) -> None:
    data = bytearray(zipped([("a.jpg", PHOTOS[0][1]), ("b", PHOTOS[0][1])], method))
    at = -1
    while (at := data.find(b"PK\1\2", at + 1)) >= 0:
        data[at + 8] |= flags
    items = read(bytes(data))
    assert [item.metadata.filename for item in items] == ["a.jpg", "b"]
    assert all(refusal in str(item.refusal) for item in items)


def test_a_zip_file_knows_how_many_photos_it_has() -> None:
    entries = [*PHOTOS, ("a/", b""), ("notes.txt", b""), ("up", b"")]
    assert source_of(zipped(entries)).count() == 7
    assert source_of(tarred(entries)).count() is None


@pytest.mark.parametrize("flags", [0, 0x800])
def test_utf_8_names_are_read_with_and_without_their_flag(flags: int) -> None:
    data = zipped([("K\u00e4tzchen.jpg", pictures.jpeg(1))])
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.index(signature) + at
        data = data[:place] + flags.to_bytes(2, "little") + data[place + 2 :]
    assert [item.metadata.filename for item in read(data)] == ["K\u00e4tzchen.jpg"]


def test_a_unicode_path_field_counts_before_the_name() -> None:
    raw, path = "K?tzchen.jpg", "K\u00e4tzchen.jpg".encode()
    info = zipfile.ZipInfo(raw)
    field = b"\x01" + zlib.crc32(raw.encode()).to_bytes(4, "little") + path
    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, pictures.jpeg(1))
    assert [item.metadata.filename for item in read(buffer.getvalue())] == ["K\u00e4tzchen.jpg"]


def test_code_page_437_is_read_where_a_name_is_no_utf_8() -> None:
    data = zipped([("KXtzchen.jpg", pictures.jpeg(1))]).replace(b"KXtzchen", b"K\x84tzchen")
    assert [item.metadata.filename for item in read(data)] == ["K\u00e4tzchen.jpg"]


def test_deflate64_of_windows_explorer_is_read() -> None:
    photo = pictures.jpeg(1)
    packer = inflate64.Deflater()
    packed = packer.deflate(photo) + packer.flush()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("big.jpg", packed)
    data = bytearray(buffer.getvalue())
    for signature, method, crc in ((b"PK\3\4", 8, 14), (b"PK\1\2", 10, 16)):
        at = data.index(signature)
        struct.pack_into("<H", data, at + method, 9)
        struct.pack_into("<III", data, at + crc, zlib.crc32(photo), len(packed), len(photo))
    assert [item.data for item in read(bytes(data))] == [photo]


def test_an_archive_of_finder_over_4_gb_is_read(tmp_path: Path) -> None:
    """Finder writes offsets modulo 2**32 and no ZIP64 records. The file has a hole."""
    parts = [zipped([("first.jpg", pictures.jpeg(1))], zipfile.ZIP_STORED)]
    parts.append(zipped([("second.jpg", pictures.jpeg(2))], zipfile.ZIP_STORED))
    starts, entries = [0, (1 << 32) + 1000], b""
    file = tmp_path / "finder.zip"
    with file.open("wb") as out:
        for start, part in zip(starts, parts, strict=True):
            directory = part.index(b"PK\1\2")
            out.seek(start)
            out.write(part[:directory])
            entry = bytearray(part[directory : part.index(b"PK\5\6")])
            struct.pack_into("<I", entry, 42, start % (1 << 32))
            entries += entry
        offset = out.tell()
        end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(entries), offset % (1 << 32), 0)
        out.write(entries + end)
    source = ArchiveSource(lambda: file.open("rb"), LIMITS)
    assert [item.data for item in items_of(source)] == [pictures.jpeg(1), pictures.jpeg(2)]


def test_a_bomb_of_one_entry_is_refused_without_unpacking_it() -> None:
    bomb = zipped([("bomb.jpg", bytes(90_000)), *PHOTOS[:1]])
    items = read(bomb)
    assert "zip bomb" in str(items[0].refusal)
    assert items[1].data == PHOTOS[0][1]


def overlapping(unpacked_bytes: int, entries: int) -> bytes:
    """A zip file whose entries all have the same packed bytes."""
    one = bytearray(zipped([("0.jpg", bytes(unpacked_bytes))]))
    start, end = one.index(b"PK\x01\x02"), one.index(b"PK\x05\x06")
    directory = bytes(one[start:end]) * entries
    one[end + 8 : end + 16] = struct.pack("<HHL", entries, entries, len(directory))
    return bytes(one[:start]) + directory + bytes(one[end:])


def test_entries_that_overlap_end_the_reading() -> None:
    bomb = overlapping(1000, entries=500)
    items = read(bomb)
    assert len(items) < 20
    assert "overlap" in str(items[-1].refusal)
    assert list(source_of(bomb).read(items[-1].cursor)) == []
    assert items_of(source_of(bomb), items[0].cursor) == items[1:], "the sums are in the cursor"


def test_the_ratio_of_all_entries_together_is_bounded() -> None:
    small_bombs = [(f"{n}.jpg", bytes(19_000)) for n in range(50)]
    items = read(zipped(small_bombs), ArchiveLimits(ratio=100, any_ratio_bytes=20_000))
    assert "zip bomb" in str(items[-1].refusal)
    assert len(items) < 5
    assert len(read(zipped([*PHOTOS, *small_bombs]), ArchiveLimits())) == 56


def test_a_size_that_is_declared_too_small_is_found_out() -> None:
    data = bytearray(zipped(PHOTOS[:2]))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<L", 10)
    items = read(bytes(data))
    assert "damaged" in str(items[0].refusal)
    assert items[1].refusal is None


def test_a_size_that_is_declared_too_large_is_refused_unread() -> None:
    data = bytearray(zipped(PHOTOS[:2]))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<L", 2**31)
    assert "larger than" in str(read(bytes(data))[0].refusal)


def test_damaged_bytes_are_refused_by_themselves() -> None:
    data = bytearray(zipped(PHOTOS[:3]))
    for place in range(60, 100):
        data[place] ^= 0xFF
    items = read(bytes(data))
    assert [item.refusal is None for item in items] == [False, True, True]
    assert "damaged" in str(items[0].refusal)


@pytest.mark.parametrize("offset", [2**63 - 1, 2**63, 2**64 - 1])
def test_an_entry_beyond_any_file_is_refused_by_itself(offset: int, tmp_path: Path) -> None:
    data = zipped(PHOTOS)
    at, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    behind_name = at + 46 + struct.unpack_from("<H", data, at + 28)[0]
    entry, extra = bytearray(data[at:behind_name]), struct.pack("<HHQ", 1, 8, offset)
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<I", entry, 42, 0xFFFFFFFF)
    last = bytearray(data[end:])
    struct.pack_into("<I", last, 12, end - at + len(extra))
    file = tmp_path / "photos.zip"
    file.write_bytes(data[:at] + entry + extra + data[behind_name:end] + last)
    first, *others = items_of(ArchiveSource(lambda: file.open("rb"), LIMITS))
    assert first.refusal == "It is damaged: the archive points to something else."
    assert [item.data for item in others] == [photo for _, photo in PHOTOS[1:]]


def test_bytes_of_the_right_number_that_are_not_the_photo_are_refused() -> None:
    data = bytearray(zipped(PHOTOS[:2], zipfile.ZIP_STORED))
    data[data.index(PHOTOS[0][1]) + 1000] ^= 0xFF
    items = read(bytes(data))
    assert "damaged" in str(items[0].refusal)
    assert items[1].data == PHOTOS[1][1]


def test_an_encrypted_entry_is_refused() -> None:
    data = bytearray(zipped(PHOTOS[:2]))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    items = read(bytes(data))
    assert "encrypted" in str(items[0].refusal)
    assert items[1].refusal is None


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_method_that_cannot_be_bounded_is_refused(method: int) -> None:
    (item,) = read(zipped(PHOTOS[:1], method))
    assert "only stored and deflated" in str(item.refusal)


def test_a_directory_that_breaks_off_says_so() -> None:
    data = bytearray(zipped(PHOTOS))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second : second + 4] = b"junk"
    items = read(bytes(data))
    assert [item.refusal is None for item in items] == [True, False]
    assert source_of(bytes(data)).count() == 2


def test_a_zip_file_that_is_cut_at_its_front_is_said() -> None:
    data = zipped(PHOTOS)
    with pytest.raises(InvalidInput, match="cut off"):
        read(data[len(data) - 300 :])


def test_bytes_in_front_of_a_zip_file_do_not_matter() -> None:
    assert said(read(b"#!/bin/sh\n" * 99 + zipped(PHOTOS))) == said(read(zipped(PHOTOS)))


MANY = 200_000
"""More than small zip files can count, and with names that take more than a window may."""


_HEADER = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 11, 0)


_ENTRY = struct.pack("<4s6H3L5H", b"PK\x01\x02", 20, 20, *[0] * 7, 11, 0, 0, 0, 0)


_ENTRY_BYTES = len(_ENTRY) + 8 + 11


_BODY_BYTES = len(_HEADER) + 11


@pytest.fixture(scope="module")
def large() -> bytes:
    """A zip file of many empty photos, with the records that large files have."""
    names = [b"%07d.jpg" % number for number in range(MANY)]
    body = b"".join(_HEADER + name for name in names)
    directory = b"".join(
        _ENTRY + struct.pack("<2L", 0, number * _BODY_BYTES) + name
        for number, name in enumerate(names)
    )
    ends = struct.pack(
        "<4sQ2H2L4Q4sLQL4s4H2LH",
        *(b"PK\x06\x06", 44, 45, 45, 0, 0, MANY, MANY, len(directory), len(body)),
        *(b"PK\x06\x07", 0, len(body) + len(directory), 1),
        *(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0),
    )
    return body + directory + ends


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_entries_by_the_hundred_thousand_are_counted(large: bytes) -> None:
    assert source_of(large).count() == MANY


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("first", [0, 100_000, 199_000])
def test_a_window_of_many_entries_takes_little_memory(large: bytes, first: int) -> None:
    source = source_of(large)
    after = cursor.pack(first, MANY * _BODY_BYTES + first * _ENTRY_BYTES, 0)
    tracemalloc.reset_peak()
    items = (entry for entry in source.read(after) if isinstance(entry, SourceItem))
    window = [item.metadata.filename for item in itertools.islice(items, 1000)]
    assert window == [f"{first + n:07}.jpg" for n in range(1000)]
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
