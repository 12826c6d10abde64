"""Filters as query parameters, and as JSON; both become the domain's `Filters`."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BeforeValidator, Field, StringConstraints

from petsearch.domain import Filters, Near, TimeRange
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import AttributeName, Number, ShortText, Timestamp
from petsearch.domain.strict_model import QueryModel, without_nothing

MOST_VALUES = 20
_DATE_ALONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DropNothing = BeforeValidator(without_nothing)
_HALF_ROUND_THE_EARTH_KM = 20_038.0
_AttributeWords = Annotated[
    str,
    StringConstraints(
        max_length=401, pattern=r"^[^=\x00-\x08\x0e-\x1f\x7f]+=[^\x00-\x08\x0e-\x1f\x7f]+$"
    ),
]


def _end_of_date(value: object) -> object:
    """The end of a day that is given as a date alone; other values are checked later."""
    if not isinstance(value, str) or not _DATE_ALONE.fullmatch(value.strip()):
        return value
    try:
        return (date.fromisoformat(value.strip()) + timedelta(days=1)).isoformat()
    except OverflowError:  # the last day there is
        return datetime.max.isoformat()
    except ValueError:
        return value


End = Annotated[Timestamp, BeforeValidator(_end_of_date)]
"""The end of a range, excluded; a date alone means through that day, in UTC."""
_ADDED = "Added at or after."
_ADDED_BEFORE = "Added before this time, or through this day where it is a date alone (in UTC)."
_TAKEN = "Taken at or after."
_TAKEN_BEFORE = "Taken before this time, or through this day where it is a date alone (in UTC)."


class NearBody(QueryModel):
    """A circle on the earth."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]
    km: Annotated[Number, Field(gt=0, le=_HALF_ROUND_THE_EARTH_KM)]


class FiltersBody(QueryModel):
    """What every result must satisfy; all that is given must hold."""

    species: ShortText | None = None
    breed: ShortText | None = None
    status: ShortText | None = None
    animal_id: ShortText | None = None
    tags: Annotated[list[ShortText], _DropNothing] = Field([], max_length=MOST_VALUES)
    attributes: Annotated[dict[AttributeName, ShortText], _DropNothing] = Field(
        {}, max_length=MOST_VALUES
    )
    near: NearBody | None = None
    since: Annotated[Timestamp | None, Field(description=_ADDED)] = None
    until: Annotated[End | None, Field(description=_ADDED_BEFORE)] = None
    taken_since: Annotated[Timestamp | None, Field(description=_TAKEN)] = None
    taken_until: Annotated[End | None, Field(description=_TAKEN_BEFORE)] = None

    def to_domain(self) -> Filters:
        """The domain's filters."""
        return Filters(
            species=self.species,
            breed=self.breed,
            status=self.status,
            animal_id=self.animal_id,
            tags=tuple(self.tags),
            attributes=self.attributes,
            near=Near(self.near.lat, self.near.lon, self.near.km) if self.near else None,
            created=_range(self.since, self.until),
            taken=_range(self.taken_since, self.taken_until),
        )


async def _filters(
    species: Annotated[ShortText | None, Query(examples=["cat"])] = None,
    breed: Annotated[ShortText | None, Query(examples=["siamese"])] = None,
    status: Annotated[ShortText | None, Query(examples=["lost"])] = None,
    animal_id: Annotated[ShortText | None, Query()] = None,
    tag: Annotated[
        list[ShortText] | None,
        Query(max_length=MOST_VALUES, description="All of them, where it is repeated."),
    ] = None,
    attr: Annotated[
        list[_AttributeWords] | None,
        Query(max_length=MOST_VALUES, description="name=value; may be repeated."),
    ] = None,
    near: Annotated[
        str | None, Query(max_length=100, description="lat,lon,km", examples=["52.52,13.40,5"])
    ] = None,
    since: Annotated[Timestamp | None, Query(description=_ADDED)] = None,
    until: Annotated[End | None, Query(description=_ADDED_BEFORE)] = None,
    taken_since: Annotated[Timestamp | None, Query(description=_TAKEN)] = None,
    taken_until: Annotated[End | None, Query(description=_TAKEN_BEFORE)] = None,
) -> Filters:
    return Filters(
        species=species,
        breed=breed,
        status=status,
        animal_id=animal_id,
        tags=tuple(tag or ()),
        attributes=dict(_attribute(value) for value in attr or ()),
        near=_near(near) if near else None,
        created=_range(since, until),
        taken=_range(taken_since, taken_until),
    )


FiltersDep = Annotated[Filters, Depends(_filters)]


def _attribute(words: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in words.partition("="))
    if not (name and equals) or len(name) > 200 or len(value) > 200:
        raise InvalidInput(f"attr: {words[:100]!r} is no name=value, such as attr=collar=red.")
    return name, value


def _near(words: str) -> Near:
    try:
        lat, lon, km = (float(part) for part in words.split(","))
        body = NearBody(lat=lat, lon=lon, km=km)
    except ValueError as error:  # pydantic's errors are ValueErrors too
        raise InvalidInput(
            f"near: {words!r} is not lat,lon,km in degrees and kilometres, such as 52.52,13.40,5."
        ) from error
    return Near(body.lat, body.lon, body.km)


def _range(since: datetime | None, until: datetime | None) -> TimeRange | None:
    if since is None and until is None:
        return None
    return TimeRange(_in_utc(since), _in_utc(until))


def _in_utc(time: datetime | None) -> datetime | None:
    """A time that names no zone is taken for UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
