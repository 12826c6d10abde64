"""What may be said about a photo, checked where it comes in: over HTTP or in a manifest."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput

NO_CONTROLS = r"^[^\x00-\x08\x0e-\x1f\x7f]*$"
"""Engines that store text trip over NUL, and people over the others. White space may be there."""
ShortText = Annotated[
    str, StringConstraints(max_length=200, strip_whitespace=True, pattern=NO_CONTROLS)
]


def whole_characters(text: str) -> str:
    """Refuse halves of characters (JSON's `"\\ud800"`): they cannot be sent on.

    Raises:
        ValueError: there is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("a character is cut in half") from error
    return text


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true or false")
    return value


def _no_number(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.match(value)):
        raise ValueError("a date and time is wanted, such as 2026-05-01T12:30:00Z")
    return value


_DATE = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}")
Number = Annotated[float, BeforeValidator(_no_truth_value)]
Count = Annotated[int, BeforeValidator(_no_truth_value)]
Moment = Annotated[datetime, BeforeValidator(_no_number)]
"""In words of ISO 8601; a bare number may be seconds or milliseconds of anything."""
FileName = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]
"""As clients have them; `safe_filename` makes them fit to be kept."""

AttributeName = Annotated[
    str,
    StringConstraints(
        max_length=200, strip_whitespace=True, pattern=r"^[^=\x00-\x08\x0e-\x1f\x7f]+$"
    ),
]
"""Without "=", which parts name and value in a filter."""


class LocationBody(BaseModel):
    """A place in degrees (WGS 84). EXIF is never read for it."""

    model_config = ConfigDict(extra="forbid")

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]

    @classmethod
    def of(cls, location: tuple[float, float] | None) -> Self | None:
        """From latitude and longitude."""
        return cls(lat=location[0], lon=location[1]) if location else None


class PhotoMetadata(BaseModel):
    """What a client may say about a photo. Everything is optional."""

    model_config = ConfigDict(extra="forbid")

    filename: FileName | None = None
    breed: ShortText | None = None
    species: ShortText | None = None
    animal_id: ShortText | None = None
    status: ShortText | None = None
    tags: Annotated[list[ShortText], Field(max_length=50)] = []
    taken_at: Moment | None = None
    attributes: Annotated[dict[AttributeName, ShortText], Field(max_length=50)] = {}
    location: LocationBody | None = None

    @staticmethod
    def of(said: ImageMetadata) -> "PhotoMetadata":
        """From the domain's metadata; what was accepted once is not checked again."""
        return PhotoMetadata.model_construct(
            filename=said.filename or None,
            breed=said.breed,
            species=said.species,
            animal_id=said.animal_id,
            status=said.status,
            tags=list(said.tags),
            taken_at=said.taken_at,
            attributes=dict(said.attributes),
            location=LocationBody.of(said.location),
        )

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
            # To a centimetre: what is stored is then read back as it was said.
            location=(round(self.location.lat, 7), round(self.location.lon, 7))
            if self.location
            else None,
        )


def checked_metadata(fields: Mapping[str, object], filename: str) -> ImageMetadata:
    """Metadata from the fields of a `PhotoMetadata`; `filename` is used where they name none.

    Raises:
        InvalidInput: a field has a value that it cannot have; it is named.
    """
    try:
        return PhotoMetadata.model_validate(fields).to_domain(filename)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{where}: {first['msg']}.") from error


def safe_filename(name: str) -> str:
    """The last part of a path, without control characters, at most 200 characters."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if last.isprintable():
        return last[:200]
    return "".join(character for character in last if character.isprintable())[:200]
