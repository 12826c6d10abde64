"""The index in a folder, Qdrant Edge: full disks, copies, locks and what earlier versions left."""

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import qdrant_edge as edge

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.disk_room import DiskRoom
from petsearch.domain import Filters
from petsearch.domain.errors import ConfigurationError, StorageFull
from tests.contract.records import DIM, PETS, embedding, point, record

ALL = Filters()


def test_a_full_disk_is_said_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = QdrantEdgeIndex(tmp_path)
    index.create_collection(PETS, DIM)
    index.insert(PETS, [point(1)])
    monkeypatch.setattr(DiskRoom, "free_bytes", lambda _: 0)
    writes: list[Callable[[], object]] = [
        lambda: index.insert(PETS, [point(2)]),
        lambda: index.replace_records(PETS, [record(1)]),
        lambda: index.replace_embeddings(PETS, {record(1).image_id: embedding(1)}),
        lambda: index.create_collection("pets-other", DIM),
    ]
    for write in writes:
        with pytest.raises(StorageFull):
            write()
    index.delete(PETS, [record(1).image_id])
    index.close()


class FullDisk(DiskRoom):
    """The room on a disk that is full until it is said to have some."""

    free = 0

    def free_bytes(self) -> int:
        return self.free


def _searched_from_copies(folder: Path, *collections: str) -> tuple[QdrantEdgeIndex, FullDisk]:
    """An index whose collections, of one photo each, are opened while the disk is full."""
    before = QdrantEdgeIndex(folder)
    for collection in collections:
        before.create_collection(collection, DIM)
        before.insert(collection, [point(1)])
    before.close()
    room = FullDisk(folder)
    index = QdrantEdgeIndex(folder, room)
    for collection in collections:
        assert index.count(collection, ALL) == 1
    return index, room


def test_each_collection_that_cannot_be_written_needs_its_own_room(tmp_path: Path) -> None:
    index, room = _searched_from_copies(tmp_path, PETS, "pets-next")
    for_both = room.unmapped_bytes
    index.delete_collection("pets-next")
    assert 0 < room.unmapped_bytes < for_both
    room.free = 10**12
    index.recover()
    assert room.unmapped_bytes == 0
    index.close()


def test_nothing_is_written_into_a_copy_when_its_collection_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, room = _searched_from_copies(tmp_path, PETS)
    room.free = 10**12

    def no_blocks(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as others:
        others.setattr(os, "posix_fallocate", no_blocks)  # others took them since
        # A file without blocks, whatever the engine made.
        with (tmp_path / "collections" / PETS / "hole").open("wb") as file:
            file.truncate(4096)
        for _ in range(2):
            with pytest.raises(StorageFull):
                index.insert(PETS, [point(2)])
    assert room.unmapped_bytes > 0
    assert index.count(PETS, ALL) == 1

    index.insert(PETS, [point(2)])
    assert room.unmapped_bytes == 0
    index.close()
    again = QdrantEdgeIndex(tmp_path)
    assert again.count(PETS, ALL) == 2
    again.close()


def test_one_copy_of_a_collection_exists_at_most_and_none_when_it_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "index"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    _killed, room = _searched_from_copies(folder, PETS)  # never closed
    assert len(list(elsewhere.iterdir())) == 1
    after = QdrantEdgeIndex(folder, room)
    assert after.count(PETS, ALL) == 1
    assert len(list(elsewhere.iterdir())) == 1
    room.free = 10**12
    last = QdrantEdgeIndex(folder, room)
    assert last.count(PETS, ALL) == 1
    assert list(elsewhere.iterdir()) == []
    last.close()


def test_a_copy_that_fails_halfway_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    before = QdrantEdgeIndex(tmp_path / "index")
    before.create_collection(PETS, DIM)
    before.close()
    # A link that leads nowhere cannot be copied.
    (tmp_path / "index" / "collections" / PETS / "z").symlink_to("nowhere")
    index = QdrantEdgeIndex(tmp_path / "index", FullDisk(tmp_path))
    with pytest.raises(StorageFull):
        index.count(PETS, ALL)
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_is_open_elsewhere_is_no_outage(tmp_path: Path) -> None:
    first, second = QdrantEdgeIndex(tmp_path), QdrantEdgeIndex(tmp_path)
    first.create_collection(PETS, DIM)
    assert first.count(PETS, ALL) == 0
    reads: list[Callable[[], object]] = [
        lambda: second.count(PETS, ALL),
        lambda: second.search(PETS, embedding(0), limit=1, filters=ALL),
        lambda: second.insert(PETS, [point(1)]),
    ]
    for read in reads:
        with pytest.raises(ConfigurationError):
            read()
    first.close()


def test_the_alias_of_a_folder_is_known_when_it_is_opened_again(tmp_path: Path) -> None:
    first = QdrantEdgeIndex(tmp_path)
    assert first.current() is None
    first.create_collection(PETS, DIM)
    first.point_alias_to(PETS)
    first.close()
    again = QdrantEdgeIndex(tmp_path)
    assert again.current() == PETS
    again.close()


def test_a_folder_of_before_gets_the_indexes_it_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "collections" / PETS
    folder.mkdir(parents=True)
    vectors = edge.EdgeVectorParams(size=DIM, distance=edge.Distance.Cosine)
    edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=vectors)).close()
    index = QdrantEdgeIndex(tmp_path)
    index.insert(PETS, [point(1)])
    assert index.facet(PETS, "phash_bands", ALL)
    index.close()
