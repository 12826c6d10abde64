"""An image of the catalogue: its metadata, its record in the index and its embedding."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from petsearch.domain.arrays import Embedding


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata from a client. Empty values mean that the client gave none."""

    filename: str = ""
    breed: str | None = None
    species: str | None = None
    animal_id: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    taken_at: datetime | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    location: tuple[float, float] | None = None
    """Latitude and longitude in degrees (WGS 84)."""


@dataclass(frozen=True)
class Prediction:
    """Zero-shot classification of an image over the model's labels."""

    breed: str
    species: str
    confidence: float
    """Softmax over the labels at the model's own temperature, 0..1; not calibrated."""


@dataclass(frozen=True)
class ItemRef:
    """An item of a job."""

    job_id: str
    item_no: int


@dataclass(frozen=True)
class ImageRecord:
    """An indexed image: the payload of its point."""

    image_id: str
    sha256: str
    metadata: ImageMetadata
    prediction: Prediction | None
    width: int
    height: int
    content_type: str
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    model_id: str
    first_seen: ItemRef
    sources: tuple[ItemRef, ...] = ()
    phash: str | None = None
    """`perceptual_hash`: 16 hex digits. None without structure, and before it was introduced."""
    pixels_version: int = 1
    """The version of decoding that its copies, size, hash and embedding come from."""

    @property
    def breed(self) -> str | None:
        """The label if there is one, else the prediction."""
        return self.metadata.breed or (self.prediction.breed if self.prediction else None)

    @property
    def species(self) -> str | None:
        """The label if there is one, else the prediction."""
        return self.metadata.species or (self.prediction.species if self.prediction else None)

    @property
    def breed_source(self) -> Literal["label", "predicted"] | None:
        """Where `breed` comes from."""
        if self.metadata.breed:
            return "label"
        return "predicted" if self.prediction else None


@dataclass(frozen=True)
class Point:
    """A record with its embedding, as the index stores it."""

    record: ImageRecord
    embedding: Embedding
