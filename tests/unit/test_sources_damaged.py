"""Bytes changed at random: a source gives items or one of our own errors, and always ends."""

import io
import itertools
import random
from collections.abc import Callable

import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.sources import Source, SourceItem
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.manifest import ManifestSource
from tests.archives import KINDS, PHOTOS, made
from tests.sources import items_of
from tests.unit.test_sources_manifest import BAD_CSV, BAD_JSONL

ROUNDS = 300
MOST_ITEMS = 1000


def open_archive(data: bytes) -> Source:
    return ArchiveSource(lambda: io.BytesIO(data), ArchiveLimits(entry_bytes=100_000))


def open_manifest(data: bytes) -> Source:
    return ManifestSource(lambda: io.BytesIO(data), folder="/")


def damaged(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 3, 30])):
        changed[rng.randrange(len(changed))] = rng.choice([0, 255, rng.randrange(256)])
    if rng.random() < 0.3:
        at = rng.randrange(len(changed))
        del changed[at : at + rng.choice([1, 100, len(changed)])]
    if rng.random() < 0.2:
        changed += changed[-600:]
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_to_an_archive_is_a_crash(kind: str) -> None:
    check_all(made(kind, [*PHOTOS, ("in.zip", b"-"), ("a.txt", b"-")]), open_archive, seed=kind)


@pytest.mark.parametrize("data", [BAD_CSV, BAD_JSONL], ids=["csv", "jsonl"])
def test_no_damage_to_a_manifest_is_a_crash(data: bytes) -> None:
    small = data.replace(b"x" * 70_000, b"x" * 300).replace(b"[" * 50_000, b"[" * 50)
    check_all(small, open_manifest, seed="manifest")


def check_all(data: bytes, open_source: Callable[[bytes], Source], seed: str) -> None:
    rng = random.Random(seed)
    readable = 0
    for _ in range(ROUNDS):
        source = open_source(damaged(data, rng))
        try:
            entries = itertools.islice(source.read(None), MOST_ITEMS)
            items = [entry for entry in entries if isinstance(entry, SourceItem)]
            source.count()
        except InvalidInput:
            continue
        readable += bool(items)
        check_items(source, items, rng)
    # bzip2 and xz pack a small file as one block, of which they mostly give all or nothing.
    assert readable > (0 if seed in ("tar.bz2", "tar.xz") else ROUNDS // 10)


def check_items(source: Source, items: list[SourceItem], rng: random.Random) -> None:
    """Each is a photo or refused, and reading on from one of them gives the others."""
    assert len(items) < MOST_ITEMS
    for item in items:
        assert (item.refusal is None) == (item.data is not None or item.origin is not None)
        item.metadata.filename.encode()
    if items:
        position = rng.randrange(len(items))
        assert items_of(source, items[position].cursor) == items[position + 1 :]
