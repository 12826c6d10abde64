"""What goes over the wire, as pydantic models, and how it is made from the domain's own types."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from petsearch.errors import InvalidInput
from petsearch.model import (
    ImageMetadata,
    ImageRecord,
    ItemStatus,
    Job,
    JobState,
    Outcome,
)

ShortText = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]
AttributeName = Annotated[
    str, StringConstraints(max_length=200, strip_whitespace=True, pattern=r"^[^=]+$")
]
"""Without "=", which parts name and value in a filter."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class LocationBody(BaseModel):
    """A place in degrees (WGS 84). EXIF is never read for it."""

    model_config = ConfigDict(extra="forbid")

    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]

    @classmethod
    def of(cls, location: tuple[float, float] | None) -> Self | None:
        """From latitude and longitude."""
        return cls(lat=location[0], lon=location[1]) if location else None


class PhotoMetadata(BaseModel):
    """What a client may say about a photo. Everything is optional."""

    model_config = ConfigDict(extra="forbid")

    filename: ShortText | None = None
    breed: ShortText | None = None
    species: ShortText | None = None
    animal_id: ShortText | None = None
    status: ShortText | None = None
    tags: Annotated[list[ShortText], Field(max_length=50)] = []
    taken_at: datetime | None = None
    attributes: Annotated[dict[AttributeName, ShortText], Field(max_length=50)] = {}
    location: LocationBody | None = None

    def to_domain(self, filename: str) -> ImageMetadata:
        """The domain's metadata; `filename` is used where the client named none."""
        return ImageMetadata(
            filename=safe_filename(self.filename or filename),
            breed=self.breed or None,
            species=self.species or None,
            animal_id=self.animal_id or None,
            status=self.status or None,
            tags=tuple(tag for tag in self.tags if tag),
            taken_at=self.taken_at,
            attributes=self.attributes,
            location=(self.location.lat, self.location.lon) if self.location else None,
        )


_METADATA = TypeAdapter(list[PhotoMetadata])
_ONE_METADATA = TypeAdapter(PhotoMetadata)


def parse_metadata(text: str | None, count: int) -> list[PhotoMetadata]:
    """The form field `metadata`: one JSON object for all photos, or a list with one for each.

    Raises:
        InvalidInput: not JSON, a field nobody knows, or a list of another length.
    """
    if not text:
        return [PhotoMetadata()] * count
    try:
        if text.lstrip().startswith("["):
            entries = _METADATA.validate_json(text)
        else:
            entries = [_ONE_METADATA.validate_json(text)] * count
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("metadata", *first["loc"]))
        raise InvalidInput(f"{where}: {first['msg']}.") from error
    if len(entries) != count:
        raise InvalidInput(f"metadata has {len(entries)} entries for {count} photos.")
    return entries


def safe_filename(name: str) -> str:
    """The last part of a path, without control characters, at most 200 characters."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[:200]


class ImageUrls(BaseModel):
    """Where the public copies are, relative to this server."""

    display: str
    thumbnail: str


class PredictionBody(BaseModel):
    """What the model takes the photo for. The confidence is not calibrated."""

    breed: str
    species: str
    confidence: float


class ImageBody(BaseModel):
    """An image. `breed` is the label if there is one (`breed_source`), else the prediction."""

    image_id: str
    species: str | None
    breed: str | None
    breed_source: Literal["label", "predicted"] | None
    predicted: PredictionBody | None
    filename: str
    animal_id: str | None
    status: str | None
    tags: list[str]
    attributes: dict[str, str]
    taken_at: datetime | None
    location: LocationBody | None
    created_at: datetime
    width: int
    height: int
    urls: ImageUrls

    @classmethod
    def of(cls, record: ImageRecord) -> Self:
        """From a record."""
        return cls(**image_fields(record))


class ImagePage(BaseModel):
    """Images, newest first."""

    items: list[ImageBody]
    next_cursor: str | None


class ItemCounts(BaseModel):
    """Items by what became of them."""

    ingested: int = 0
    duplicate: int = 0
    refused: int = 0
    failed: int = 0


class JobBody(BaseModel):
    """A job. `done` counts items that were accounted, whatever became of them."""

    job_id: str
    source: str
    state: JobState
    created_at: datetime
    finished_at: datetime | None
    sealed: bool
    expected: int | None
    total: int
    done: int
    counts: ItemCounts
    reason: str | None

    @classmethod
    def of(cls, job: Job) -> Self:
        """From a job."""
        return cls(
            job_id=job.job_id,
            source=job.source,
            state=job.state,
            created_at=job.created_at,
            finished_at=job.finished_at,
            sealed=job.sealed,
            expected=job.expected,
            total=job.total,
            done=job.done,
            counts=ItemCounts(**{status.value: count for status, count in job.counts.items()}),
            reason=job.reason,
        )


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobBody]


class OutcomeBody(BaseModel):
    """What became of one item."""

    item_no: int
    filename: str
    status: ItemStatus
    image_id: str | None
    reason: str | None


class OutcomePage(BaseModel):
    """Outcomes in order; `next_cursor` asks for the rest."""

    items: list[OutcomeBody]
    next_cursor: str | None

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], next_cursor: str | None) -> Self:
        """From outcomes."""
        items = [
            OutcomeBody(
                item_no=o.item_no,
                filename=o.filename,
                status=o.status,
                image_id=o.image_id,
                reason=o.reason,
            )
            for o in outcomes
        ]
        return cls(items=items, next_cursor=next_cursor)


class OpenJob(BaseModel):
    """Opens a job that photos are added to, until it is sealed."""

    model_config = ConfigDict(extra="forbid")

    source: ShortText = "upload"
    expected: Annotated[int, Field(ge=0)] | None = None


class KnownPhoto(BaseModel):
    """A photo that the client has, by the SHA-256 of its bytes."""

    model_config = ConfigDict(extra="forbid")

    sha256: Sha256
    metadata: PhotoMetadata = PhotoMetadata()


class KnownPhotos(BaseModel):
    """Which of these are here already?"""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[KnownPhoto], Field(max_length=64)]


class MissingPhotos(BaseModel):
    """Positions in the request of the photos that have to be uploaded."""

    missing: list[int]


class Seeding(BaseModel):
    """How far the demo's first catalogue is."""

    done: int
    total: int


class Stats(BaseModel):
    """Counts, and what searches them."""

    images: int
    by_species: dict[str, int]
    by_breed: dict[str, int]
    model_id: str
    sample: bool = Field(description="Drawings and a small demo model, not photos.")
    seeding: Seeding | None


class Health(BaseModel):
    """Whether the parts answer; `ok`, or what is wrong."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, str] = {}


class AncestorHit(BaseModel):
    """A result of `/search?prompt=`."""

    filename: str
    score: float
    breed: str | None
    url: str


class AncestorAnswer(BaseModel):
    """Answer of `/search?prompt=`: the best five."""

    prompt: str
    results: list[AncestorHit]


def image_fields(record: ImageRecord) -> dict[str, object]:
    """The fields of an `ImageBody`."""
    said = record.metadata
    base = f"/v1/images/{record.image_id}"
    prediction = record.prediction
    return {
        "image_id": record.image_id,
        "species": record.species,
        "breed": record.breed,
        "breed_source": record.breed_source,
        "predicted": PredictionBody(
            breed=prediction.breed, species=prediction.species, confidence=prediction.confidence
        )
        if prediction
        else None,
        "filename": said.filename,
        "animal_id": said.animal_id,
        "status": said.status,
        "tags": list(said.tags),
        "attributes": dict(said.attributes),
        "taken_at": said.taken_at,
        "location": LocationBody.of(said.location),
        "created_at": record.created_at,
        "width": record.width,
        "height": record.height,
        "urls": ImageUrls(display=f"{base}/display", thumbnail=f"{base}/thumbnail"),
    }
