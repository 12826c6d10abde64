"""What is read from archives, and what hostile ones are told."""

import bz2
import gzip
import io
import itertools
import lzma
import random
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import inflate64
import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.sources import SourceItem, cursor
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.archive_limits import ArchiveLimits
from tests import pictures
from tests.sources import items_of, left_out_of

LIMITS = ArchiveLimits(entry_bytes=100_000, any_ratio_bytes=20_000)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
}
KINDS = ["zip", "zip stored", *PACKERS]

Entries = list[tuple[str, bytes]]


def zipped(entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(entries: Entries) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in entries:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def made(kind: str, entries: Entries) -> bytes:
    if kind == "zip":
        return zipped(entries)
    if kind == "zip stored":
        return zipped(entries, zipfile.ZIP_STORED)
    return PACKERS[kind](tarred(entries))


def source_of(data: bytes, limits: ArchiveLimits = LIMITS) -> ArchiveSource:
    return ArchiveSource(lambda: io.BytesIO(data), limits)


def read(data: bytes, limits: ArchiveLimits = LIMITS) -> list[SourceItem]:
    return items_of(source_of(data, limits))


def said(items: list[SourceItem]) -> list[tuple[str, str | None]]:
    return [(item.metadata.filename, item.refusal) for item in items]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


PHOTOS: Entries = [(f"shelter/{n}.jpg", pictures.jpeg(n)) for n in range(6)]


def test_photos_come_whole_and_in_order(kind: str) -> None:
    items = read(made(kind, PHOTOS))
    assert [(i.metadata.filename, i.data) for i in items] == [
        (f"{n}.jpg", pictures.jpeg(n)) for n in range(6)
    ]
    assert all(item.refusal is None for item in items)


def test_reading_on_from_any_cursor_gives_the_rest(kind: str) -> None:
    mixed = [*PHOTOS[:2], ("notes.txt", b"-"), ("in.zip", b"-"), *PHOTOS[2:], (".x.jpg", b"-")]
    source = source_of(made(kind, mixed))
    whole = items_of(source)
    assert len(whole) == 7
    for position, item in enumerate(whole):
        assert items_of(source, item.cursor) == whole[position + 1 :]


@pytest.mark.parametrize("packer", PACKERS)
def test_tar_files_behind_each_other_are_read_as_one(packer: str) -> None:
    source = source_of(made(packer, PHOTOS[:2]) + made(packer, PHOTOS[2:4]))
    whole = items_of(source)
    assert said(whole) == [(f"{n}.jpg", None) for n in range(4)]
    assert items_of(source, whole[1].cursor) == whole[2:]


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("rest", [bytes(100_000), b"no header" * 200, b"-", PHOTOS[0][1]])
def test_what_is_no_tar_behind_the_end_of_one_is_ignored(packer: str, rest: bytes) -> None:
    assert said(read(made(packer, PHOTOS[:2]) + rest)) == [("0.jpg", None), ("1.jpg", None)]


@pytest.mark.parametrize("packer", PACKERS)
def test_a_second_tar_that_is_cut_off_is_told(packer: str) -> None:
    second = made(packer, [("1.jpg", random.Random(1).randbytes(50_000))])
    items = read(made(packer, PHOTOS[:1]) + second[: len(second) // 2])
    assert items[0].refusal is None
    assert "broken or cut off" in str(items[-1].refusal)


def test_a_cursor_of_something_else_is_refused(kind: str) -> None:
    for stranger in ("abc", "1:2:3:4:5", "-1:2", "photos/1.jpg"):
        with pytest.raises(InvalidInput, match="not a cursor"):
            list(source_of(made(kind, PHOTOS)).read(stranger))


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


def test_half_a_character_in_a_tar_file_is_no_backslash() -> None:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="cp932"
    ) as archive:
        member = tarfile.TarInfo("旅行/表.jpg")
        member.size = len(PHOTOS[0][1])
        archive.addfile(member, io.BytesIO(PHOTOS[0][1]))
    (item,) = read(buffer.getvalue())
    assert item.data == PHOTOS[0][1]


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


def test_what_is_no_photo_is_left_out_by_name(kind: str) -> None:
    others = {
        ".hidden.jpg": "junk",
        "__MACOSX/._1.jpg": "junk",
        "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": "junk",
        "#recycle/1.jpg": "junk",
        ".Trash-1000/files/1.jpg": "junk",
        ".thumbnails/1.jpg": "junk",
        "b/Thumbs.db": "junk",
        "b/Thumbs.db:encryptable": "junk",
        "b/1.jpg@SynoEAStream": "junk",
        "~snapshot/1.jpg": "junk",
        "FOUND.000/1.jpg": "junk",
        "Pets.photoslibrary/resources/derivatives/1.jpg": "junk",
        "read me.txt": "not_a_photo",
        "labels.csv": "not_a_photo",
        "letter": "not_a_photo",
        "1.jpg.json": "sidecar",
        "IMG_1.MOV": "video",
    }
    source = source_of(made(kind, [*((name, b"-") for name in others), *PHOTOS]))
    assert len(items_of(source)) == 6
    assert {entry.name: entry.reason.value for entry in left_out_of(source)} == others


def test_content_decides_where_a_name_says_nothing(kind: str) -> None:
    names = ["IMG_0001", "cat.jfif", "cat.jpe", "cat.JPEG", "photo.2024-05-17", "cat.unknown"]
    source = source_of(made(kind, [(name, pictures.jpeg(n)) for n, name in enumerate(names)]))
    assert [item.metadata.filename for item in items_of(source)] == names
    assert [item.data for item in items_of(source)] == [pictures.jpeg(n) for n in range(6)]
    video = b"\0\0\0\x18ftypmp42" + bytes(40)
    (found,) = left_out_of(source_of(made(kind, [("clip", video)])))
    assert found.reason.value == "video"


def test_a_zip_file_knows_how_many_photos_it_has() -> None:
    entries = [*PHOTOS, ("a/", b""), ("notes.txt", b""), ("up", b"")]
    assert source_of(zipped(entries)).count() == 7
    assert source_of(tarred(entries)).count() is None


@pytest.mark.parametrize(
    "name", ["../up.jpg", "a/../../up.jpg", "/etc/cat.jpg", "..\\up.jpg", "C:\\cat.jpg", "C:/x.jpg"]
)
def test_names_are_only_labels(kind: str, name: str) -> None:
    """Nothing is unpacked to a path, so it does not matter where a name leads."""
    (item, _) = read(made(kind, [(name, pictures.jpeg(1)), *PHOTOS[:1]]))
    assert (item.refusal, item.data) == (None, pictures.jpeg(1))
    assert item.metadata.filename in ("up.jpg", "cat.jpg", "x.jpg")


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


@pytest.mark.parametrize("name", ["more.zip", "MORE.TAR", "more.tar.gz", "more.7z", "more.rar"])
def test_an_archive_in_an_archive_is_refused(kind: str, name: str) -> None:
    items = read(made(kind, [(name, zipped(PHOTOS)), *PHOTOS[:1]]))
    assert len(items) == 2
    assert "is an archive" in str(items[0].refusal)


def test_a_large_entry_is_refused_by_itself(kind: str) -> None:
    items = read(made(kind, [("big.jpg", bytes(range(256)) * 400), *PHOTOS[:1]]))
    assert said(items) == [("big.jpg", "It is larger than 0 MB."), ("0.jpg", None)]


def test_a_bomb_of_one_entry_is_refused_without_unpacking_it() -> None:
    bomb = zipped([("bomb.jpg", bytes(90_000)), *PHOTOS[:1]])
    items = read(bomb)
    assert "zip bomb" in str(items[0].refusal)
    assert items[1].data == PHOTOS[0][1]


@pytest.mark.parametrize("packer", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_packed_tar_bomb_stops_the_reading(packer: str) -> None:
    bomb = PACKERS[packer](
        tarred([*PHOTOS[:1], *[(f"{n}.jpg", bytes(9_000_000)) for n in range(5)]])
    )
    tracemalloc.start()
    items = read(bomb, ArchiveLimits(entry_bytes=100_000, any_ratio_bytes=500_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert items[0].data == PHOTOS[0][1]
    assert "zip bomb" in str(items[-1].refusal)
    assert peak < 16_000_000, "the bomb was unpacked into memory"


def with_dictionary_of_4_gb(stream: bytes) -> bytes:
    """An xz stream whose first block declares a dictionary of 4 GiB."""
    changed = bytearray(stream)
    end = 12 + (changed[12] + 1) * 4
    assert changed[14:16] == b"\x21\x01", "LZMA2 with one byte of properties"
    changed[16] = 40
    changed[end - 4 : end] = struct.pack("<L", zlib.crc32(changed[12 : end - 4]))
    return bytes(changed)


@pytest.mark.parametrize("bad_stream", [0, 1])
def test_the_dictionary_of_every_xz_stream_is_bounded(bad_stream: int) -> None:
    whole = tarred(PHOTOS)
    half = len(whole) // 2
    streams = [lzma.compress(whole[:half]), lzma.compress(whole[half:])]
    assert [item.refusal for item in read(b"".join(streams))] == [None] * 6
    assert [item.refusal for item in read((bytes(8)).join(streams))] == [None] * 6
    streams[bad_stream] = with_dictionary_of_4_gb(streams[bad_stream])
    if bad_stream == 0:
        with pytest.raises(InvalidInput, match="not a readable tar"):
            read(b"".join(streams))
        return
    items = read(b"".join(streams))
    assert 1 < len(items) < 7
    assert "broken" in str(items[-1].refusal)


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


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    header = tarfile.TarInfo("pax")
    header.type, header.size = kind, len(records)
    return header.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(pax(b"9" * 500_000 + b" hdrcharset"), id="digits, whose number is squared"),
        pytest.param(pax(b"2 " * 20_000 + b"="), id="records that overlap"),
        pytest.param(pax(b"2000012 comment=" + b"c" * 2_000_000), id="a long record"),
        pytest.param(pax(b"15 comment=1234\n" * 100_000, b"g"), id="many records"),
    ],
)
def test_headers_that_cost_more_than_they_say_end_the_reading(hostile: bytes) -> None:
    whole = tarred(PHOTOS[:1]).rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    source = source_of(gzip.compress(whole + hostile + tarred(PHOTOS[1:])))
    tracemalloc.start()
    began = time.process_time()
    items = items_of(source)
    took_s = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert items[0].data == PHOTOS[0][1]
    assert "broken" in str(items[-1].refusal)
    assert took_s < 5
    assert peak < 20_000_000


def test_pax_records_are_read() -> None:
    name = "shelter/" + "n" * 300 + ".jpg"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.pax_headers = {"comment": "of all entries"}
        for _ in range(2):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(PHOTOS[0][1]), 1714000000.25
            member.pax_headers = {"LIBARCHIVE.xattr.a": "eA" * 4000}
            archive.addfile(member, io.BytesIO(PHOTOS[0][1]))
    items = read(buffer.getvalue())
    assert [(item.metadata.source_path, item.data) for item in items] == [(name, PHOTOS[0][1])] * 2


def test_long_names_take_little_memory(kind: str) -> None:
    if kind.startswith("zip"):
        names = [f"{n}" + "n" * 60_000 + ".json" for n in range(50)]
    else:
        names = [f"{n}" + "n" * 900_000 + ".json" for n in range(10)]
    whole = made(kind, [*((name, b"{}") for name in names), *PHOTOS])
    source = source_of(whole, ArchiveLimits(ratio=10**6))
    tracemalloc.start()
    assert len(items_of(source)) == len(PHOTOS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000
    assert {len(entry.name) for entry in left_out_of(source)} == {1024}


def test_all_that_unpacks_is_bounded(kind: str) -> None:
    limits = ArchiveLimits(entry_bytes=100_000, total_bytes=4 * len(PHOTOS[0][1]))
    many = made(kind, [(f"{n}.jpg", PHOTOS[0][1]) for n in range(18)])
    items = read(many, limits)
    assert 1 < len(items) < 18
    assert items[-1].refusal is not None
    assert "unpacks to more than" in items[-1].refusal
    assert list(source_of(many, limits).read(items[-1].cursor)) == []


def test_the_number_of_entries_is_bounded(kind: str) -> None:
    items = read(made(kind, PHOTOS), ArchiveLimits(entries=4))
    assert [item.refusal is None for item in items] == [True] * 4 + [False]
    assert "more than 4 entries" in str(items[-1].refusal)


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


def test_links_and_devices_are_refused() -> None:
    zip_link = zipfile.ZipInfo("link.jpg")
    zip_link.create_system = 3
    zip_link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zip_link, "/etc/passwd")
    assert ["link" in str(i.refusal) for i in read(buffer.getvalue())] == [True]

    buffer = io.BytesIO()
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"S"]
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for number, kind in enumerate(kinds):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.type = kind
            member.linkname = "/etc/passwd"
            tar.addfile(member)
    assert ["link" in str(i.refusal) for i in read(buffer.getvalue())] == [True] * 5


# bzip2 works in blocks of 900 kB: nothing of a small file can be read before its end.
@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz"])
def test_a_tar_file_that_is_cut_off_says_so_after_what_it_has(kind: str) -> None:
    data = made(kind, PHOTOS)
    items = read(data[: len(data) * 2 // 3])
    assert items[-1].refusal is not None
    assert "cut off" in items[-1].refusal
    assert [i.data for i in items[:-1]] == [data for _, data in PHOTOS[: len(items) - 1]]


def test_a_broken_header_in_a_tar_file_is_not_taken_for_its_end() -> None:
    data = bytearray(tarred(PHOTOS))
    third = data.index(b"shelter/2.jpg")
    data[third : third + 5] = b"xxxxx"
    items = read(bytes(data))
    assert [item.refusal is None for item in items] == [True, True, False]
    resumed = list(source_of(bytes(data)).read(items[1].cursor))
    assert resumed == items[2:]


def test_headers_that_announce_headers_end_the_reading() -> None:
    def announcing(kind: bytes, size: int) -> bytes:
        member = tarfile.TarInfo("././@LongLink")
        member.type = kind
        member.size = size
        return member.tobuf(tarfile.GNU_FORMAT)

    chain = announcing(b"L", 1) + b"x" + bytes(511)
    for hostile in (chain * 5000, announcing(b"x", 2**33), announcing(b"L", 2**62)):
        whole = tarred(PHOTOS[:1]).rstrip(b"\0")
        whole += bytes(-len(whole) % 512) + hostile
        items = read(whole)
        assert items[0].data == PHOTOS[0][1]
        assert "broken" in str(items[-1].refusal)


def test_a_directory_that_breaks_off_says_so() -> None:
    data = bytearray(zipped(PHOTOS))
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[second : second + 4] = b"junk"
    items = read(bytes(data))
    assert [item.refusal is None for item in items] == [True, False]
    assert source_of(bytes(data)).count() == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"x", pictures.jpeg(), b"\x1f\x8b" + b"x" * 99, gzip.compress(b"no tar" * 999)],
    ids=["nothing", "a byte", "a photo", "broken gzip", "gzip of no tar"],
)
def test_what_is_no_archive_is_said(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="archive"):
        read(data)


def test_a_zip_file_that_is_cut_at_its_front_is_said() -> None:
    data = zipped(PHOTOS)
    with pytest.raises(InvalidInput, match="cut off"):
        read(data[len(data) - 300 :])


def test_bytes_in_front_of_a_zip_file_do_not_matter() -> None:
    assert said(read(b"#!/bin/sh\n" * 99 + zipped(PHOTOS))) == said(read(zipped(PHOTOS)))


def test_empty_archives_have_no_photos(kind: str) -> None:
    assert read(made(kind, [])) == []


def test_names_of_any_language_are_read(kind: str) -> None:
    (item,) = read(made(kind, [("Fotos/Mäuschen 猫.jpg", b"-")]))
    assert item.metadata.filename == "Mäuschen 猫.jpg"


MILLION = 1_000_000
_HEADER = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 11, 0)
_ENTRY = struct.pack("<4s6H3L5H", b"PK\x01\x02", 20, 20, *[0] * 7, 11, 0, 0, 0, 0)
_ENTRY_BYTES = len(_ENTRY) + 8 + 11
_BODY_BYTES = len(_HEADER) + 11


@pytest.fixture(scope="module")
def million() -> bytes:
    """A zip file of a million empty photos, with the records that large files have."""
    names = [b"%07d.jpg" % number for number in range(MILLION)]
    body = b"".join(_HEADER + name for name in names)
    directory = b"".join(
        _ENTRY + struct.pack("<2L", 0, number * _BODY_BYTES) + name
        for number, name in enumerate(names)
    )
    ends = struct.pack(
        "<4sQ2H2L4Q4sLQL4s4H2LH",
        *(b"PK\x06\x06", 44, 45, 45, 0, 0, MILLION, MILLION, len(directory), len(body)),
        *(b"PK\x06\x07", 0, len(body) + len(directory), 1),
        *(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0),
    )
    return body + directory + ends


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_a_million_entries_are_counted(million: bytes) -> None:
    assert source_of(million).count() == MILLION


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("first", [0, 500_000, 999_000])
def test_a_window_of_a_million_entries_takes_little_memory(million: bytes, first: int) -> None:
    source = source_of(million)
    after = cursor.pack(first, MILLION * _BODY_BYTES + first * _ENTRY_BYTES, 0)
    tracemalloc.reset_peak()
    items = (entry for entry in source.read(after) if isinstance(entry, SourceItem))
    window = [item.metadata.filename for item in itertools.islice(items, 1000)]
    assert window == [f"{first + n:07}.jpg" for n in range(1000)]
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
