"""Validation of photos' metadata, which comes over HTTP or in a manifest."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import PydanticKnownError

from petsearch.domain import ImageMetadata, TakenAtSource, normalise_name
from petsearch.domain.dates import Precision, day_in, has_instant, time_of
from petsearch.domain.errors import InvalidInput
from petsearch.domain.strict_model import StrictModel
from petsearch.domain.validation_messages import message, messages
from petsearch.domain.visible_text import MOST_COMPOSED, distinct, is_blank

MAX_ENTRIES = 50
"""How many tags and how many attributes a photo has."""
LONGEST_TEXT = 200
"""Characters of a field."""
LONGEST_PATH = 1024
_LONGEST_NAME = 200
_LONGEST_SUFFIX = 10
_JOINERS = "\u200d\ufe0f"
"""Zero-width joiner and emoji variation: they make one emoji of several characters."""
NO_CONTROLS = r"^[^\x00-\x08\x0e-\x1f\x7f]*$"
"""No control characters but white space: databases reject NUL, and people cannot see the others."""


def _without_unseen(value: object) -> object:
    """Nothing, where there is nothing to see."""
    return "" if isinstance(value, str) and is_blank(value) else value


ShortText = Annotated[
    str,
    StringConstraints(max_length=LONGEST_TEXT, strip_whitespace=True, pattern=NO_CONTROLS),
    BeforeValidator(_without_unseen),
]


def _check_length(stored: str, longest: int) -> None:
    """Check the length of a text as it is stored, which can be greater: `\u0130` becomes two."""
    if len(stored) > longest:
        raise PydanticKnownError("string_too_long", {"max_length": longest})


def _reject_long_name(name: str) -> str:
    _check_length(normalise_name(name), LONGEST_TEXT)
    return name


def _reject_long_path(path: str) -> str:
    _check_length(safe_path(path), LONGEST_PATH)
    return path


Name = Annotated[ShortText, AfterValidator(_reject_long_name)]
"""A breed, a species or a status; `normalise_name` makes of it what is stored."""
SourcePath = Annotated[
    str, StringConstraints(max_length=LONGEST_PATH), AfterValidator(_reject_long_path)
]
"""As sent by clients; `safe_path` cleans it before it is stored."""


def reject_lone_surrogates(text: str) -> str:
    """Reject lone surrogates (`"\\ud800"` in JSON), which cannot be encoded.

    Raises:
        ValueError: there is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a character (a lone surrogate)") from error
    return text


def _reject_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _reject_number(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and not _DATE.match(value)):
        raise ValueError("must be a date and time such as 2026-05-01T12:30:00Z")
    return value


def _reject_exif(source: TakenAtSource | None) -> TakenAtSource | None:
    if source is TakenAtSource.EXIF:
        raise ValueError("must be stated, table or sidecar; the file is read by the server")
    return source


def _reject_beyond_utc(time: datetime | None) -> datetime | None:
    if time is not None and not has_instant(time):
        raise ValueError("must be a time that UTC has, too: from the year 1 through 9999")
    return time


_DATE_FIELDS = ("taken_at", "taken_at_precision")
_DATE = re.compile(r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _reject_odd_number(value: object) -> object:
    """Python reads `1_0` and other scripts' digits as numbers, too."""
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        raise ValueError("must be a number, in the digits 0 to 9")
    return _reject_bool(value)


Number = Annotated[float, BeforeValidator(_reject_odd_number)]
Count = Annotated[int, BeforeValidator(_reject_odd_number)]
Timestamp = Annotated[datetime, BeforeValidator(_reject_number)]
"""ISO 8601; a bare number is ambiguous (seconds or milliseconds)."""
AwareTimestamp = Annotated[AwareDatetime, BeforeValidator(_reject_number)]
"""With its zone."""
FileName = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)]
"""As sent by clients; `safe_filename` cleans it before it is stored."""

AttributeName = Annotated[
    str,
    StringConstraints(
        max_length=200, strip_whitespace=True, pattern=r"^[^=\x00-\x08\x0e-\x1f\x7f]+$"
    ),
    BeforeValidator(_without_unseen),
]
"""Without "=", which separates name and value in a filter."""


def _reject_without_time(precision: Precision | None, info: ValidationInfo) -> Precision | None:
    """Reject a precision that the date beside it cannot have."""
    time = info.data.get("taken_at")
    if precision is None or "taken_at" not in info.data:  # taken_at has its own error
        return precision
    if time is None:
        raise ValueError("needs a taken_at beside it")
    if precision is Precision.INSTANT and time.tzinfo is None:
        raise ValueError("instant needs a taken_at with a zone, such as 2026-05-01T12:30:00Z")
    return precision


TakenAt = Annotated[
    Timestamp | None,
    AfterValidator(_reject_beyond_utc),
    Field(
        description="When the photo was taken: a date alone is a day (its precision); a time that "
        "names no zone is of the server's zone (PETSEARCH_TIME_ZONE)."
    ),
]
"""`with_precision` reads it before."""
TakenAtPrecision = Annotated[
    Precision | None,
    AfterValidator(_reject_without_time),
    Field(
        description="Of taken_at, where it says less than it is written with: day takes its date "
        "as written, local its time. Left out: as taken_at is written."
    ),
]


class LocationBody(StrictModel):
    """A place in degrees (WGS 84). It is read from photos only if a job asks for it (`gps`)."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]

    @classmethod
    def of(cls, location: tuple[float, float] | None) -> Self | None:
        """From latitude and longitude."""
        return cls(lat=location[0], lon=location[1]) if location else None


class PhotoMetadata(StrictModel):
    """Metadata of a photo. All fields are optional."""

    filename: FileName | None = None
    breed: Name | None = None
    species: Name | None = None
    animal_id: ShortText | None = None
    status: Name | None = None
    tags: list[ShortText] = Field([], max_length=MAX_ENTRIES)
    taken_at: TakenAt = None
    taken_at_precision: TakenAtPrecision = None
    taken_at_source: Annotated[
        TakenAtSource | None,
        AfterValidator(_reject_exif),
        Field(description='"stated" without taken_at: the date in the file is not to be used'),
    ] = None
    attributes: dict[AttributeName, ShortText] = Field({}, max_length=MAX_ENTRIES)
    location: LocationBody | None = None
    source_path: SourcePath | None = None

    @classmethod
    def _said(cls, given: Any) -> Any:
        return with_precision(given)

    @staticmethod
    def of(metadata: ImageMetadata) -> "PhotoMetadata":
        """From valid metadata of the domain, which is not validated again."""
        return PhotoMetadata.model_construct(
            filename=metadata.filename or None,
            breed=metadata.breed,
            species=metadata.species,
            animal_id=metadata.animal_id,
            status=metadata.status,
            tags=list(metadata.tags),
            taken_at=metadata.taken_at,
            taken_at_precision=metadata.taken_at_precision,
            taken_at_source=metadata.taken_at_source,
            attributes=dict(metadata.attributes),
            location=LocationBody.of(metadata.location),
            source_path=metadata.source_path or None,
        )

    def to_domain(self, filename: str) -> ImageMetadata:
        """The domain's metadata; `filename` is used if the client gave none."""
        return ImageMetadata(
            filename=safe_filename(self.filename or filename),
            breed=self.breed or None,
            species=self.species or None,
            animal_id=self.animal_id or None,
            status=self.status or None,
            tags=distinct(tag for tag in self.tags if tag),
            taken_at=_midnight(self.taken_at, self.taken_at_precision),
            taken_at_precision=self.taken_at_precision,
            taken_at_source=self.taken_at_source,
            attributes={name: value for name, value in self.attributes.items() if value},
            # Rounded to a centimetre, so that what is read back equals what was sent.
            location=(round(self.location.lat, 7), round(self.location.lon, 7))
            if self.location
            else None,
            source_path=safe_path(self.source_path or ""),
        )


def with_precision(given: Any) -> Any:
    """Fields in which a `taken_at` that is a date alone is a time, with its precision beside it."""
    stated = given.get("taken_at") if isinstance(given, Mapping) else None
    is_date = isinstance(stated, date) and not isinstance(stated, datetime)
    day = stated if is_date else day_in(stated)
    if day is None:
        return given
    precision = given.get("taken_at_precision") or Precision.DAY
    return {**given, "taken_at": time_of(day), "taken_at_precision": precision}


def _midnight(time: datetime | None, precision: Precision | None) -> datetime | None:
    if time is None or precision is not Precision.DAY:
        return time
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def parse_metadata(fields: Mapping[str, object], filename: str) -> ImageMetadata:
    """Validate the fields of a `PhotoMetadata`; `filename` is used if they have none.

    Raises:
        InvalidInput: a field is invalid; the message names it.
    """
    with naming_fields():
        return PhotoMetadata.model_validate(fields).to_domain(filename)


def fitting_metadata(
    fields: Mapping[str, object], filename: str
) -> tuple[ImageMetadata, dict[str, str]]:
    """Validate like `parse_metadata`, but leave out what does not fit.

    Tags and attributes are validated one by one.

    Returns:
        the metadata, and why a field or `attributes.<name>` was left out.
    """
    with suppress(ValidationError):
        return PhotoMetadata.model_validate(fields).to_domain(filename), {}
    kept: dict[str, Any] = {"tags": [], "attributes": {}}
    problems: dict[str, str] = {}
    for label, piece in _pieces(fields):
        try:
            PhotoMetadata.model_validate(piece)
        except ValidationError as error:
            problems[label] = message(error.errors()[0])
            continue
        name = label.partition(".")[0]
        if name not in ("tags", "attributes"):
            kept |= piece
        elif len(kept[name]) == MAX_ENTRIES:
            problems[label] = f"must have at most {MAX_ENTRIES} items"
        elif name == "tags":
            kept["tags"] += piece["tags"]
        else:
            kept["attributes"] |= piece["attributes"]
    return PhotoMetadata.model_validate(kept).to_domain(filename), problems


def _pieces(fields: Mapping[str, object]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What can be validated by itself, with its name; a date goes with its precision."""
    date_of_photo = {name: fields[name] for name in _DATE_FIELDS if name in fields}
    if date_of_photo:
        yield next(iter(date_of_photo)), date_of_photo
    for name, value in fields.items():
        if name in date_of_photo:
            continue
        if name == "tags" and isinstance(value, list):
            yield from ((name, {name: [tag]}) for tag in value)
        elif name == "attributes" and isinstance(value, dict):
            yield from ((f"{name}.{key}", {name: {key: text}}) for key, text in value.items())
        else:
            yield name, {name: value}


@contextmanager
def naming_fields(*of: str) -> Iterator[None]:
    """Turn pydantic's errors into an `InvalidInput` that names the first wrong field.

    Args:
        of: names of what is validated, before the field's.
    """
    try:
        yield
    except ValidationError as error:
        raise InvalidInput(f"{messages(error.errors(), *of)[0]}.") from error


def safe_filename(name: str) -> str:
    """The last part of a path as people read it, at most 200 characters long.

    Characters that cannot be seen are dropped, but those that join emoji stay, as does the narrow
    space in the names of macOS' screenshots. Bytes that are no UTF-8 (as `os.fsdecode` marks them)
    become "\ufffd". A long name is shortened before its suffix.
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _shortened(safe_path(_shortened(last, 4 * _LONGEST_NAME)))


def named_metadata(path: str) -> ImageMetadata:
    """The metadata of a photo of which only its path in a folder, archive or bucket is known."""
    return ImageMetadata(safe_filename(path), source_path=safe_path(path)[-LONGEST_PATH:])


def safe_path(name: str) -> str:
    """A path as people read it; see `safe_filename`. Of one longer than any path, its end."""
    if name.isascii() and name.isprintable():
        return name
    name = name[-MOST_COMPOSED:]
    return "".join(map(_readable, unicodedata.normalize("NFC", name))).strip()


def _readable(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    if unicodedata.category(character) == "Zs":
        return character
    return "\ufffd" if unicodedata.category(character) == "Cs" else ""


def _shortened(name: str, most: int = _LONGEST_NAME) -> str:
    if len(name) <= most:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        return name[:most]
    return stem[: most - len(suffix) - 2] + "\u2026." + suffix
