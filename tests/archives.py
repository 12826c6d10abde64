"""Archives of photos, made in memory, and how they are read."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable

from petsearch.sources import SourceItem
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.archive_limits import ArchiveLimits
from tests import pictures
from tests.sources import items_of

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


PHOTOS: Entries = [(f"shelter/{n}.jpg", pictures.jpeg(n)) for n in range(6)]
