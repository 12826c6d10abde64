"""An image of the catalogue: its metadata, its record in the index and its embedding."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Literal

from petsearch.domain.arrays import Embedding
from petsearch.domain.dates import Precision, in_zone, precision_of


class TakenAtSource(StrEnum):
    """Where `taken_at` comes from. The first of these that states it counts."""

    STATED = "stated"
    """A client. Without a date it states that there is none: someone cleared it."""
    TABLE = "table"
    """A row of a manifest or of another table."""
    SIDECAR = "sidecar"
    """A file beside the photo."""
    EXIF = "exif"
    """The EXIF or XMP of the photo."""


NAMED_FROM = 0.5
"""A photo is named after a breed that has at least this probability."""


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
    taken_at_source: TakenAtSource | None = None
    """Of a date, `STATED` unless given. Never EXIF: that date is the record's own."""
    taken_at_precision: Precision | None = None
    """Of a date, by its zone unless given."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    location: tuple[float, float] | None = None
    """Latitude and longitude in degrees (WGS 84)."""
    source_path: str = ""
    """The path in the folder, archive or bucket that the photo came from."""

    def __post_init__(self) -> None:
        source = self.taken_at_source
        if self.taken_at is not None:
            source = source or TakenAtSource.STATED
            precision = self.taken_at_precision or precision_of(self.taken_at)
        else:
            source = source if source is TakenAtSource.STATED else None
            precision = None
        object.__setattr__(self, "taken_at_source", source)
        object.__setattr__(self, "taken_at_precision", precision)

    def in_zone(self, zone: tzinfo) -> "ImageMetadata":
        """The metadata with an instant for its date, which `zone` makes of one without a zone."""
        if self.taken_at is None:
            return self
        return replace(self, taken_at=in_zone(self.taken_at, zone))

    @property
    def is_date_cleared(self) -> bool:
        """Whether someone stated that there is no date."""
        return self.taken_at is None and self.taken_at_source is TakenAtSource.STATED


@dataclass(frozen=True)
class Prediction:
    """Zero-shot classification of an image over the model's labels."""

    breed: str
    species: str
    confidence: float
    """That the breed is right, 0..1; calibrated where `species_confidence` is given, otherwise the
    softmax over the labels at the model's own temperature."""
    species_confidence: float | None = None
    """The calibrated probability that the species is right; None if it is not calibrated."""
    made_by: str | None = None
    """The model's `predictions_id`; None for predictions of earlier versions."""


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
    exif_taken_at: datetime | None = None
    """Of its file; None if it has no valid date, or was ingested without reading it."""
    exif_taken_at_precision: Precision | None = None

    @property
    def breed(self) -> str | None:
        """The label if there is one, else the prediction."""
        return self.metadata.breed or (self.prediction.breed if self.prediction else None)

    @property
    def species(self) -> str | None:
        """The label if there is one, else the prediction."""
        return self.metadata.species or (self.prediction.species if self.prediction else None)

    @property
    def taken_at(self) -> datetime | None:
        """The date that was stated, else the file's: an instant, whatever its precision."""
        return self.metadata.taken_at if self.metadata.taken_at_source else self.exif_taken_at

    @property
    def taken_at_source(self) -> TakenAtSource | None:
        """Where `taken_at` comes from."""
        return self.metadata.taken_at_source or (TakenAtSource.EXIF if self.exif_taken_at else None)

    @property
    def taken_at_precision(self) -> Precision | None:
        """How much of `taken_at` is known. A day is the one in the offset of `taken_at`."""
        if self.metadata.taken_at_source:
            return self.metadata.taken_at_precision
        return self.exif_taken_at_precision

    @property
    def breed_source(self) -> Literal["label", "predicted", "unsure"] | None:
        """Where `breed` comes from; unsure where another breed is as likely."""
        if self.metadata.breed:
            return "label"
        if self.prediction is None:
            return None
        return "predicted" if self.prediction.confidence >= NAMED_FROM else "unsure"

    def species_source(self, sure_from: float) -> Literal["stated", "predicted", "unsure"]:
        """Where `species` comes from; predicted from this calibrated probability on."""
        if self.metadata.species:
            return "stated"
        sure = self.species_confidence
        return "predicted" if sure is not None and sure >= sure_from else "unsure"

    @property
    def species_confidence(self) -> float | None:
        """The calibrated probability of a species that nobody stated."""
        if self.metadata.species or self.prediction is None:
            return None
        return self.prediction.species_confidence


@dataclass(frozen=True)
class Point:
    """A record with its embedding, as the index stores it."""

    record: ImageRecord
    embedding: Embedding
