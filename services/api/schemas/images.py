"""What may be changed about images over the wire, as pydantic models."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from petsearch.domain.metadata import AttributeName, FileName, LocationBody, ShortText, Timestamp
from petsearch.domain.strict_model import StrictModel


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
    breed: Annotated[ShortText | None, Field(description="null: as predicted")] = None
    species: ShortText | None = None
    animal_id: ShortText | None = None
    status: ShortText | None = None
    tags: Annotated[list[ShortText] | None, Field(max_length=50)] = None
    taken_at: Timestamp | None = None
    attributes: Annotated[
        dict[AttributeName, ShortText | None] | None,
        Field(max_length=50, description="Merged name by name; null removes one."),
    ] = None
    location: LocationBody | None = None


class DeletedImages(BaseModel):
    """How many images were deleted, and how many of that animal are left."""

    deleted: int
    remaining: int
