"""Indexes of any size for benchmarks: clustered embeddings, and records with all filterable fields.

The cost of a search depends on the number of points and on their payloads; the quality of
approximate search depends on the distribution of embeddings: see `lifted` for real ones.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.domain import (
    Embedding,
    Embeddings,
    ImageMetadata,
    ImageRecord,
    ItemRef,
    Point,
    Prediction,
    image_id_of,
    sha256_of,
)
from petsearch.domain.prompts import OXFORD_LABELS
from petsearch.models import collection_of

DIM = 512
ANIMALS = 1000
"""Distinct values of animal_id: each keeps 0.1 % of a large index."""
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_STATUSES = ("shelter", "lost")
_BATCH = 500
_SPREAD = 0.8
"""Length of the noise around a centre, beside the centre's 1: two of a breed have cosine 0.6."""


def centres(dim: int = DIM) -> Embeddings:
    """One embedding for each of the 37 breeds, `(37, dim)`."""
    return normalised(np.random.default_rng(1).standard_normal((len(OXFORD_LABELS), dim)))


def around_centres(count: int, dim: int = DIM, seed: int = 2) -> Embeddings:
    """`(count, dim)`: row i lies near the centre of breed i modulo 37."""
    random = np.random.default_rng(seed)
    rows = centres(dim)[np.arange(count) % len(OXFORD_LABELS)]
    return jittered(rows, _SPREAD, random)


def jittered(rows: Embeddings, length: float, random: np.random.Generator) -> Embeddings:
    """Add isotropic noise of about the given length to each row, and normalise."""
    noise = random.standard_normal(rows.shape, dtype=np.float32) * (length / rows.shape[1] ** 0.5)
    return normalised(rows + noise)


def lifted(rows: Embeddings, dim: int = DIM, seed: int = 3) -> Embeddings:
    """Map `(n, d)` to `(n, dim)`, d <= dim, by a fixed orthonormal map, which keeps cosines."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((dim, rows.shape[1])))
    return normalised(rows @ basis.T)


def normalised(rows: NDArray[np.floating]) -> Embeddings:
    """Normalise each row to length 1, float32."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    result: Embeddings = (rows / lengths).astype(np.float32)
    return result


def image_id(number: int) -> str:
    """The id of the image with a number."""
    return image_id_of(sha256_of(str(number).encode()))


def record(number: int, model_id: str) -> ImageRecord:
    """The record of that number: every field is filled, as in a shelter's own data.

    Half have the status "lost", 5 % the tag "rare", 0.1 % each animal_id.
    """
    label = OXFORD_LABELS[number % len(OXFORD_LABELS)]
    added = FIRST_DAY + timedelta(minutes=number)
    return ImageRecord(
        image_id=image_id(number),
        sha256=sha256_of(str(number).encode()),
        metadata=ImageMetadata(
            filename=f"{label.breed}_{number}.jpg",
            breed=label.breed,
            species=label.species,
            animal_id=f"animal-{number % ANIMALS}",
            status=_STATUSES[number % 2],
            tags=("indoor", "rare") if number % 20 == 0 else ("indoor", "vaccinated"),
            taken_at=added - timedelta(days=1),
            attributes={"pen": str(number % ANIMALS), "collar": "red"},
            location=(52.0 + number % 100 / 100, 13.0 + number // 100 % 100 / 100),
        ),
        prediction=Prediction(label.breed, label.species, 0.9),
        width=1600,
        height=1200,
        content_type="image/jpeg",
        size_bytes=400_000,
        created_at=added,
        updated_at=added,
        model_id=model_id,
        first_seen=ItemRef("job-1", number),
        sources=(ItemRef("job-1", number),),
        phash=f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}",
    )


def build_edge_index(folder: Path, embeddings: Embeddings, model_id: str) -> str:
    """Build a Qdrant Edge folder with one point per row; returns the collection of its alias."""
    collection = collection_of(model_id)
    index = QdrantEdgeIndex(folder)
    index.create_collection(collection, embeddings.shape[1])
    for batch in _batches(embeddings, model_id):
        index.insert(collection, batch)
    index.point_alias_to(collection)
    index.close()
    return collection


def _batches(embeddings: Embeddings, model_id: str) -> Iterator[list[Point]]:
    def point(number: int) -> Point:
        row: Embedding = embeddings[number]
        return Point(record(number, model_id), row)

    for start in range(0, len(embeddings), _BATCH):
        yield [point(number) for number in range(start, min(start + _BATCH, len(embeddings)))]
