"""What is read from archives of any kind, and what hostile ones are told."""

import bz2
import errno
import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from petsearch.domain.errors import InvalidInput, Unavailable
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.source import disk_errors
from tests import pictures
from tests.archives import KINDS, PHOTOS, made, read, said, source_of, zipped
from tests.sources import items_of, left_out_of


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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


def test_a_cursor_of_something_else_is_refused(kind: str) -> None:
    for stranger in ("abc", "1:2:3:4:5", "-1:2", "photos/1.jpg"):
        with pytest.raises(InvalidInput, match="not a cursor"):
            list(source_of(made(kind, PHOTOS)).read(stranger))


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


@pytest.mark.parametrize(
    "name", ["../up.jpg", "a/../../up.jpg", "/etc/cat.jpg", "..\\up.jpg", "C:\\cat.jpg", "C:/x.jpg"]
)
def test_names_are_only_labels(kind: str, name: str) -> None:
    """Nothing is unpacked to a path, so it does not matter where a name leads."""
    (item, _) = read(made(kind, [(name, pictures.jpeg(1)), *PHOTOS[:1]]))
    assert (item.refusal, item.data) == (None, pictures.jpeg(1))
    assert item.metadata.filename in ("up.jpg", "cat.jpg", "x.jpg")


@pytest.mark.parametrize("name", ["more.zip", "MORE.TAR", "more.tar.gz", "more.7z", "more.rar"])
def test_an_archive_in_an_archive_is_refused(kind: str, name: str) -> None:
    items = read(made(kind, [(name, zipped(PHOTOS)), *PHOTOS[:1]]))
    assert len(items) == 2
    assert "is an archive" in str(items[0].refusal)


def test_a_large_entry_is_refused_by_itself(kind: str) -> None:
    items = read(made(kind, [("big.jpg", bytes(range(256)) * 400), *PHOTOS[:1]]))
    assert said(items) == [("big.jpg", "It is larger than 0 MB."), ("0.jpg", None)]


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


@pytest.mark.parametrize(
    "data",
    [b"", b"x", pictures.jpeg(), b"\x1f\x8b" + b"x" * 99, gzip.compress(b"no tar" * 999)],
    ids=["nothing", "a byte", "a photo", "broken gzip", "gzip of no tar"],
)
def test_what_is_no_archive_is_said(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="archive"):
        read(data)


def test_empty_archives_have_no_photos(kind: str) -> None:
    assert read(made(kind, [])) == []


def test_names_of_any_language_are_read(kind: str) -> None:
    (item,) = read(made(kind, [("Fotos/Mäuschen 猫.jpg", b"-")]))
    assert item.metadata.filename == "Mäuschen 猫.jpg"


@pytest.mark.parametrize(
    "read",
    [
        lambda: bz2.BZ2File(io.BytesIO(b"BZh9" + bytes(100))).read(),
        lambda: gzip.GzipFile(fileobj=io.BytesIO(b"no gzip")).read(),
    ],
)
def test_damage_is_no_error_of_the_disk(read: Callable[[], bytes]) -> None:
    with pytest.raises(InvalidInput, match="The archive is damaged"), disk_errors("The archive"):
        read()


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EIO, "Input/output error"), TimeoutError("Timed out"), ConnectionError("Reset")],
)
def test_the_disk_and_the_network_may_answer_later(error: OSError) -> None:
    with pytest.raises(Unavailable, match=r"cannot be read: [A-Z]"), disk_errors("The archive"):
        raise error
