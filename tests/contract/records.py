"""Records and embeddings to index, made from numbers."""

from datetime import UTC, datetime, timedelta

import numpy as np

from petsearch.domain import (
    Embedding,
    ImageMetadata,
    ImageRecord,
    ItemRef,
    Point,
    Prediction,
    image_id_of,
    sha256_of,
)

PETS = "pets-model-0"
"""The collection."""
DIM = 8
_START = datetime(2026, 1, 1, tzinfo=UTC)


def embedding(angle: float) -> Embedding:
    """A unit vector in the plane of the first two axes, `angle` radians from the first."""
    result = np.zeros(DIM, np.float32)
    result[0], result[1] = np.cos(angle), np.sin(angle)
    return result


def record(number: int, *, species: str | None = "cat", breed: str | None = None) -> ImageRecord:
    """The record of image `number`, created `number` seconds after the first."""
    digest = sha256_of(str(number).encode())
    when = _START + timedelta(seconds=number)
    ref = ItemRef("job", number)
    return ImageRecord(
        image_id=image_id_of(digest),
        sha256=digest,
        metadata=ImageMetadata(
            filename=f"{number}.jpg",
            species=species,
            breed=breed,
            tags=("indoors",),
            taken_at=when,
            attributes={"collar": "red"},
        ),
        prediction=Prediction("siamese", "cat", 0.75),
        width=640,
        height=480,
        content_type="image/jpeg",
        size_bytes=12345,
        created_at=when,
        updated_at=when,
        model_id="model-0",
        first_seen=ref,
        sources=(ref,),
        phash=digest[:16],
    )


def point(number: int, angle: float | None = None, **said: str | None) -> Point:
    """Image `number` with its embedding `angle` radians off (by default a tenth of its number)."""
    return Point(record(number, **said), embedding(number / 10 if angle is None else angle))
