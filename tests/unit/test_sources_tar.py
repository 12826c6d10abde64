"""What is read from tar files, and what hostile ones are told."""

import gzip
import io
import lzma
import random
import struct
import tarfile
import time
import tracemalloc
import zlib

import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.sources.archive_limits import ArchiveLimits
from tests.archives import PACKERS, PHOTOS, made, read, said, source_of, tarred
from tests.sources import items_of


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
