"""Duplicates over Qdrant Edge with hashes and embeddings made to measure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.catalogue import Tier
from petsearch.catalogue.duplicates import MAX_MEMBERS, find_groups
from petsearch.domain import Embedding, ImageRecord, Point
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.models import Catalogue
from tests.contract import tiny_clip
from tests.contract.records import record
from tests.contract.tiny_clip import TinyClip


class Gallery:
    """An index, the duplicates in it, and what is put into it."""

    def __init__(self, folder: Path, embedder: BatchingEmbedder) -> None:
        self.index = QdrantEdgeIndex(folder)
        self.collection = Catalogue(self.index, embedder).initialise().collection

    def add(self, numbers: Sequence[int], hashes: Sequence[str | None], angle: float = 0.0) -> None:
        """Images with these hashes, all `angle` radians from the first axis."""
        rows = zip(numbers, hashes, strict=True)
        points = [Point(replace(record(n), phash=phash), _embedding(angle)) for n, phash in rows]
        self.index.insert(self.collection, points)

    def groups(self, tier: Tier, *, limit: int) -> Iterator[list[str]]:
        """The file names of every group of every page."""
        cursor = None
        while True:
            page = find_groups(self.index, self.collection, tier, limit=limit, cursor=cursor)
            assert len(page.groups) <= limit
            for group in page.groups:
                yield [one.metadata.filename for one in group]
            cursor = page.next_cursor
            if cursor is None:
                return


def _embedding(angle: float) -> Embedding:
    result = np.zeros(tiny_clip.DIM, np.float32)
    result[0], result[1] = np.cos(angle), np.sin(angle)
    return result


def _lone(number: int) -> str:
    """A hash that shares no band with that of another number."""
    return f"{number:04x}" * 4


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    clip = TinyClip()
    embedder = BatchingEmbedder(clip, BatchingOptions())
    made = Gallery(tmp_path, embedder)
    yield made
    made.index.close()
    embedder.close()


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_pair_is_told_once_however_it_is_paged(gallery: Gallery, limit: int) -> None:
    # Image 0 and 50 are one photo, 1 and 51, and so on up to 9 and 59.
    gallery.add(range(60), [_lone(n % 50 + 1) for n in range(60)])
    found = list(gallery.groups(Tier.SAME_PHOTO, limit=limit))
    assert found == [[f"{n + 50}.jpg", f"{n}.jpg"] for n in reversed(range(10))]


def test_neighbours_of_neighbours_are_one_group(gallery: Gallery) -> None:
    # Three bits from one to the next, so the ends are six bits apart; the middle is the newest
    # of neither end.
    gallery.add([1, 2, 3], ["0000111122220007", "0000111122220000", "0000111122220700"])
    assert list(gallery.groups(Tier.SAME_PHOTO, limit=5)) == [["3.jpg", "2.jpg", "1.jpg"]]
    gallery.index.delete(gallery.collection, [record(2).image_id])
    assert list(gallery.groups(Tier.SAME_PHOTO, limit=5)) == []


def test_a_shared_band_alone_makes_no_group(gallery: Gallery) -> None:
    gallery.add([1, 2, 3], ["0000111122223333", "0000444455556666", None])
    assert list(gallery.groups(Tier.SAME_PHOTO, limit=5)) == []


def test_copies_are_found_among_many_that_share_a_band(gallery: Gallery) -> None:
    gallery.add(range(300), [f"ffff{n:04x}{n + 1:04x}{n + 2:04x}" for n in range(300)], angle=1.0)
    gallery.add([301, 302], ["ffffa000b000c000", "ffffa000b000c001"], angle=0.2)
    found = list(gallery.groups(Tier.SAME_PHOTO, limit=50))
    assert ["302.jpg", "301.jpg"] in found


def test_a_large_group_is_cut_and_the_walk_ends(gallery: Gallery) -> None:
    gallery.add(range(50), [_lone(7)] * 50)
    found = list(gallery.groups(Tier.SAME_PHOTO, limit=5))
    assert [len(group) for group in found] == [MAX_MEMBERS]


def test_similar_leaves_out_the_same_photo_and_far_ones(gallery: Gallery) -> None:
    gallery.add([1, 2], [_lone(1), _lone(1)])
    gallery.add([3], [_lone(3)], angle=0.2)
    gallery.add([4], [_lone(4)], angle=1.0)
    assert list(gallery.groups(Tier.SIMILAR, limit=5)) == [["3.jpg", "2.jpg", "1.jpg"]]
    gallery.index.delete(gallery.collection, [record(3).image_id])
    assert list(gallery.groups(Tier.SIMILAR, limit=5)) == []


def test_work_per_page_is_bounded(gallery: Gallery) -> None:
    gallery.add(range(700), [_lone(n) for n in range(700)])
    looks = 0
    pages = 0
    cursor = None
    get_embedding = gallery.index.get_embedding

    def counted(collection: str, image_id: str) -> Embedding:
        nonlocal looks
        looks += 1
        return get_embedding(collection, image_id)

    gallery.index.get_embedding = counted  # type: ignore[method-assign]
    while True:
        before = looks
        page = find_groups(
            gallery.index, gallery.collection, Tier.SAME_PHOTO, limit=100, cursor=cursor
        )
        pages += 1
        assert looks - before <= 320
        cursor = page.next_cursor
        if cursor is None:
            break
    assert (looks, pages) == (700, 3)


def test_an_image_of_one_file_is_no_exact_duplicate(gallery: Gallery) -> None:
    gallery.add([1, 2], [_lone(1), _lone(1)])
    assert list(gallery.groups(Tier.EXACT, limit=5)) == []
    twice: ImageRecord = replace(record(1), sources=(record(1).first_seen, record(2).first_seen))
    gallery.index.replace_records(gallery.collection, [twice])
    assert list(gallery.groups(Tier.EXACT, limit=5)) == [["1.jpg"]]
