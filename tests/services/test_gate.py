"""The gate before a model serves: whether photos still find those of their own breed."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.domain import Embeddings, Point
from petsearch.reindex.promotion_checks import check_breeds
from tests.contract.records import record

BREEDS = ("siamese", "pug", "beagle", "sphynx", "boxer")
PER_BREED = 12
DIM = 8


@pytest.fixture
def index(tmp_path: Path) -> Iterator[QdrantEdgeIndex]:
    opened = QdrantEdgeIndex(tmp_path)
    for collection in ("pets-old", "pets-new"):
        opened.create_collection(collection, DIM)
    yield opened
    opened.close()


def fill(index: QdrantEdgeIndex, collection: str, embeddings: Embeddings, *, said: bool) -> None:
    """One photo for each embedding, the breeds in turns."""
    index.insert(
        collection,
        [
            Point(
                record(number, breed=BREEDS[number % len(BREEDS)] if said else None),
                embedding / np.linalg.norm(embedding),
            )
            for number, embedding in enumerate(embeddings)
        ],
    )


def by_breed() -> Embeddings:
    """Each breed around a place of its own."""
    noise = np.random.default_rng(1).normal(scale=0.1, size=(PER_BREED * len(BREEDS), DIM))
    centres = np.eye(DIM)[np.arange(len(noise)) % len(BREEDS)]
    return (centres + noise).astype(np.float32)


def anywhere() -> Embeddings:
    """By no breed at all."""
    numbers = np.random.default_rng(2).normal(size=(PER_BREED * len(BREEDS), DIM))
    return numbers.astype(np.float32)


def check(index: QdrantEdgeIndex) -> tuple[bool, str]:
    found = check_breeds(index, "pets-old", "pets-new", random.Random(3))
    return found.passed, found.detail


def test_a_model_that_finds_breeds_as_well_passes(index: QdrantEdgeIndex) -> None:
    fill(index, "pets-old", by_breed(), said=True)
    fill(index, "pets-new", np.roll(by_breed(), 1, axis=1), said=True)
    passed, detail = check(index)
    assert passed
    assert detail == (
        "same-breed precision@10 1.000 over 60 photos, 1.000 in the current collection."
    )


def test_a_model_that_finds_them_better_passes(index: QdrantEdgeIndex) -> None:
    fill(index, "pets-old", anywhere(), said=True)
    fill(index, "pets-new", by_breed(), said=True)
    assert check(index)[0]


def test_a_model_that_lost_them_does_not_pass(index: QdrantEdgeIndex) -> None:
    fill(index, "pets-old", by_breed(), said=True)
    fill(index, "pets-new", anywhere(), said=True)
    passed, detail = check(index)
    assert not passed
    assert "1.000 in the current collection" in detail
    assert "petsearch promote --accept-worse" in detail


def test_photos_of_no_breed_are_not_compared_and_that_is_said(index: QdrantEdgeIndex) -> None:
    fill(index, "pets-old", by_breed(), said=False)
    fill(index, "pets-new", anywhere(), said=False)
    assert check(index) == (True, "Too few photos say their breed to compare by it.")


def test_photos_that_one_collection_lacks_are_left_out(index: QdrantEdgeIndex) -> None:
    fill(index, "pets-old", by_breed(), said=True)
    fill(index, "pets-new", by_breed(), said=True)
    index.delete("pets-old", index.list_ids("pets-new", after=None, limit=10))
    assert "over 50 photos" in check(index)[1]
