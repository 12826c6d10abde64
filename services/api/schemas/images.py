"""What may be changed about images over the wire, as pydantic models."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from petsearch.domain.metadata import (
    AttributeName,
    FileName,
    LocationBody,
    Name,
    ShortText,
    TakenAt,
    TakenAtPrecision,
    with_precision,
)
from petsearch.domain.strict_model import StrictModel
from services.api.schemas.common import ImageId

IdPrefix = Annotated[
    str,
    StringConstraints(min_length=4, max_length=36, pattern=r"^[0-9A-Fa-f-]+$"),
    Field(description="The beginning of an id, with its hyphens or without."),
]


class ImageIds(BaseModel):
    """Ids of images."""

    items: list[ImageId]


class ImagePatch(StrictModel):
    """A JSON merge patch (RFC 7396): what is left out stays, null clears, a list is replaced."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "adopted", "tags": ["indoor", "shy"]},
                {"breed": "siamese", "attributes": {"collar": "red", "chip": None}},
                {"location": None, "animal_id": None},
            ]
        },
    )

    filename: FileName | None = None
    breed: Annotated[Name | None, Field(description="null: as predicted")] = None
    species: Name | None = None
    animal_id: ShortText | None = None
    status: Name | None = None
    tags: Annotated[list[ShortText] | None, Field(max_length=50)] = None
    taken_at: TakenAt = None
    taken_at_precision: TakenAtPrecision = None
    attributes: Annotated[
        dict[AttributeName, ShortText | None] | None,
        Field(max_length=50, description="Merged name by name; null removes one."),
    ] = None
    location: LocationBody | None = None

    @classmethod
    def _said(cls, given: Any) -> Any:
        return with_precision(given)


class DeletedImages(BaseModel):
    """How many images were deleted, and how many of that animal are left."""

    deleted: int
    remaining: int
