"""What goes over the wire, as pydantic models, and how it is made from the domain's own types."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, WithJsonSchema

from petsearch.domain import ImageRecord, Prediction, TakenAtSource
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import LocationBody, PhotoMetadata, naming_fields
from petsearch.domain.strict_model import read_json
from services.http.forwarded import public_path

ImageId = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
"""As paths take it."""
_METADATA = TypeAdapter(list[PhotoMetadata])


def parse_metadata(text: str | None, count: int) -> list[PhotoMetadata]:
    """The form field `metadata`: one JSON object for all photos, or a list with one for each.

    Raises:
        InvalidInput: not JSON, a field nobody knows, or a list of another length.
    """
    if not text:
        return [PhotoMetadata()] * count
    said = read_json(text, "metadata")
    with naming_fields("metadata"):
        if isinstance(said, list):
            entries = _METADATA.validate_python(said)
        else:
            entries = [PhotoMetadata.model_validate(said)] * count
    if len(entries) != count:
        raise InvalidInput(f"metadata has {len(entries)} entries for {count} photos.")
    return entries


class ImageUrls(BaseModel):
    """Where the public copies are, relative to this server."""

    display: str
    thumbnail: str
    original: str = Field(description="The bytes as they were received; may need a key.")


class ImageBody(BaseModel):
    """An image. `breed` is the label if there is one (`breed_source`), else the prediction."""

    image_id: ImageId
    species: str | None
    breed: str | None
    breed_source: Literal["label", "predicted"] | None
    predicted: Prediction | None = Field(
        description="What the model takes the photo for. The confidence is not calibrated."
    )
    filename: str
    animal_id: str | None
    status: str | None
    tags: list[str]
    attributes: dict[str, str]
    taken_at: datetime | None
    taken_at_source: TakenAtSource | None = Field(
        description="Where the date comes from; stated without a date: someone cleared it."
    )
    location: LocationBody | None
    created_at: datetime
    updated_at: datetime
    width: int
    height: int
    urls: ImageUrls

    @classmethod
    def of(cls, record: ImageRecord) -> Self:
        """From a record."""
        return cls(**image_fields(record))


class ImageWithPath(ImageBody):
    """An image, with the path that it came from for callers with a key: paths may name people."""

    source_path: str | None = Field(
        None, description="In its folder, archive or bucket; only for callers with a key."
    )

    @classmethod
    def shown(cls, record: ImageRecord, *, is_known: bool) -> Self:
        """From a record, for a caller that has a key or not."""
        path = record.metadata.source_path if is_known else ""
        return cls(**image_fields(record), source_path=path or None)


class ImagePage(BaseModel):
    """Images, newest first."""

    items: list[ImageWithPath]
    next_cursor: str | None


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


class UploadLimits(BaseModel):
    """What an upload may hold."""

    image_bytes: int
    photos_per_request: int
    request_bytes: int


class Health(BaseModel):
    """Whether the parts answer; `ok`, or what is wrong."""

    status: Literal["ok", "degraded", "unavailable"]
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
    """The fields of an `ImageBody`, plain all the way down: checked once, where they are used."""
    said = record.metadata
    base = public_path(f"/v1/images/{record.image_id}")
    prediction = record.prediction
    return {
        "image_id": record.image_id,
        "species": record.species,
        "breed": record.breed,
        "breed_source": record.breed_source,
        "predicted": None if prediction is None else vars(prediction),
        "filename": said.filename,
        "animal_id": said.animal_id,
        "status": said.status,
        "tags": list(said.tags),
        "attributes": dict(said.attributes),
        "taken_at": record.taken_at,
        "taken_at_source": record.taken_at_source,
        "location": None
        if said.location is None
        else {"lat": said.location[0], "lon": said.location[1]},
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "width": record.width,
        "height": record.height,
        "urls": {
            "display": f"{base}/display",
            "thumbnail": f"{base}/thumbnail",
            "original": f"{base}/original",
        },
    }
