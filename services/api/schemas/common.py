"""What goes over the wire, as pydantic models, and how it is made from the domain's own types."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, WithJsonSchema

from petsearch.domain import (
    Filters,
    ImageRecord,
    Near,
    Prediction,
    SureFrom,
    TakenAtSource,
    UnknownName,
)
from petsearch.domain.dates import Precision
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import LocationBody, PhotoMetadata, naming_fields
from petsearch.domain.places import Place, cell_of, check_shown, names_place
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
    if isinstance(said, list) and len(said) != count:
        raise InvalidInput(f"metadata has {len(said)} entries for {count} photos.")
    with naming_fields("metadata"):
        if isinstance(said, list):
            return _METADATA.validate_python(said)
        return [PhotoMetadata.model_validate(said)] * count


Unknown = Annotated[
    list[UnknownName],
    Field(
        description="Species and breeds of the filters that neither the model nor any photo has: "
        "no photo matches them."
    ),
]


@dataclass(frozen=True)
class View:
    """How images are shown to a caller."""

    sure_from: SureFrom
    is_known: bool = False
    """Sees the paths that photos came from."""
    sees_places: bool = False
    """Sees exact places; otherwise the cells that they are in."""
    near: Near | None = None
    """Distances are told from its middle."""

    def around(self, filters: Filters) -> "View":
        """With distances, where a filter asks for photos near a place."""
        return replace(self, near=filters.near)

    def metres_to(self, record: ImageRecord) -> int | None:
        """The distance as it is shown."""
        place = self.place_of(record)
        return None if self.near is None or place is None else round(self.near.metres_to(place))

    def place_of(self, record: ImageRecord) -> Place | None:
        """The location as it is shown."""
        place = record.metadata.location
        return place if place is None or self.sees_places else cell_of(place)

    def attributes_of(self, record: ImageRecord) -> dict[str, str]:
        """The attributes that are shown."""
        return {
            name: value
            for name, value in record.metadata.attributes.items()
            if self._shows_attribute(name)
        }

    def check_facet(self, by: str) -> None:
        """Check that the caller may see the values of `by`.

        Raises:
            InvalidInput: it is an attribute that tells a place.
        """
        _, _, attribute = by.partition(".")
        if attribute and not self.sees_places:
            check_shown(attribute)

    def shows_value(self, by: str, value: str) -> bool:
        """Whether the caller may see a value of `by`, which is `name=value` of all attributes."""
        return by != "attributes" or self._shows_attribute(value.partition("=")[0])

    def _shows_attribute(self, name: str) -> bool:
        return self.sees_places or not names_place(name)


class ImageUrls(BaseModel):
    """Where the public copies are, relative to this server."""

    display: str
    thumbnail: str
    original: str = Field(description="The bytes as they were received; may need a key.")


CALIBRATED = Field(
    None,
    description="Whether the model's species and breeds are calibrated. If not, filters leave out "
    "only photos of which another name was stated. Null where no filter asks for one.",
)


class ImageBody(BaseModel):
    """An image. `species` and `breed` are what was stated, otherwise the model's guess."""

    image_id: ImageId
    species: str | None
    species_source: Literal["stated", "predicted", "unsure"] = Field(
        description="predicted: calibrated, and at least PETSEARCH_SPECIES_THRESHOLD; filters by "
        "another species leave the photo out. unsure: it may be any species."
    )
    species_confidence: float | None = Field(
        description="Calibrated probability of a species that nobody stated; null if not known."
    )
    breed: str | None
    breed_source: Literal["label", "predicted", "unsure"] | None = Field(
        description="unsure: a guess that is right in less than half of such photos; no name."
    )
    predicted: Prediction | None = Field(
        description="What the model takes the photo for. `confidence` is that of the breed; it is "
        "calibrated where `species_confidence` is not null."
    )
    filename: str
    animal_id: str | None
    status: str | None
    tags: list[str]
    attributes: dict[str, str] = Field(
        description="Those whose names say a place, such as `location` or `address`, are shown to "
        "callers with the scope places."
    )
    taken_at: datetime | None
    taken_at_precision: Precision | None = Field(
        None,
        description="day: the date of taken_at as it is written, in every zone; local: its time as "
        "it is written; instant: the time and its zone are known.",
    )
    taken_at_source: TakenAtSource | None = Field(
        description="Where the date comes from; stated without a date: someone cleared it."
    )
    location: LocationBody | None
    location_precision: Literal["exact", "cell"] | None = Field(
        description="cell: to 0.01 degrees, for callers without the scope places."
    )
    created_at: datetime
    updated_at: datetime
    width: int
    height: int
    urls: ImageUrls

    @classmethod
    def of(cls, record: ImageRecord, view: View) -> Self:
        """From a record."""
        return cls(**image_fields(record, view))


class ListedImage(ImageBody):
    """An image in a list or among results."""

    distance_m: int | None = Field(
        None, description="From the middle of `near`, in metres; of its cell, where that is shown."
    )


class ImageWithPath(ImageBody):
    """An image, with the path that it came from for callers with a key: paths may name people."""

    source_path: str | None = Field(
        None, description="In its folder, archive or bucket; only for callers with a key."
    )

    @classmethod
    def of(cls, record: ImageRecord, view: View) -> Self:
        """From a record."""
        path = record.metadata.source_path if view.is_known else ""
        return cls(**image_fields(record, view), source_path=path or None)


class ImageInList(ListedImage, ImageWithPath):
    """An image of a list."""

    @classmethod
    def of(cls, record: ImageRecord, view: View) -> Self:
        """From a record."""
        return super().of(record, view).model_copy(update={"distance_m": view.metres_to(record)})


class ImagePage(BaseModel):
    """Images, newest first."""

    items: list[ImageInList]
    next_cursor: str | None
    predictions_calibrated: bool | None = CALIBRATED
    unknown: Unknown


class Seeding(BaseModel):
    """How far the demo's first catalogue is."""

    done: int
    total: int


class Stats(BaseModel):
    """Counts, and what searches them."""

    images: int
    by_species: dict[str, int] = Field(description="Without photos whose species is unsure.")
    by_breed: dict[str, int] = Field(description="Without photos whose breed is unsure.")
    predictions_calibrated: bool
    model_id: str = Field(description="Empty until a model was loaded for the first time.")
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


def image_fields(record: ImageRecord, view: View) -> dict[str, object]:
    """The fields of an `ImageBody`, plain all the way down: checked once, where they are used."""
    said, place = record.metadata, view.place_of(record)
    base = public_path(f"/v1/images/{record.image_id}")
    prediction = record.prediction
    return {
        "image_id": record.image_id,
        "species": record.species,
        "species_source": record.species_source(view.sure_from.species),
        "species_confidence": record.species_confidence,
        "breed": record.breed,
        "breed_source": record.breed_source,
        "predicted": None if prediction is None else vars(prediction),
        "filename": said.filename,
        "animal_id": said.animal_id,
        "status": said.status,
        "tags": list(said.tags),
        "attributes": view.attributes_of(record),
        "taken_at": record.taken_at,
        "taken_at_precision": record.taken_at_precision,
        "taken_at_source": record.taken_at_source,
        "location": None if place is None else {"lat": place[0], "lon": place[1]},
        "location_precision": place and ("exact" if view.sees_places else "cell"),
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
