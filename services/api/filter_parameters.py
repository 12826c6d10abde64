"""Filters as query parameters, and as JSON; both become the domain's `Filters`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from pydantic import BeforeValidator, Field, StringConstraints

from petsearch.domain import Filters, MissingField, Near, TimeRange
from petsearch.domain.dates import day_in, time_of
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import AttributeName, Number, ShortText, Timestamp
from petsearch.domain.strict_model import QueryModel, without_nothing
from petsearch.domain.visible_text import fold
from services.api.callers import caller_of

MOST_VALUES = 20
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
    day = day_in(value)
    if day is None:
        return value
    return datetime.max if day == date.max else time_of(day + timedelta(days=1))


def _listed(value: object) -> object:
    """One value stands for a list of it."""
    return [value] if isinstance(value, str) else without_nothing(value)


End = Annotated[Timestamp, BeforeValidator(_end_of_date)]
"""The end of a range, excluded; a date alone means through that day."""
_ZONE = "What names no zone is of the server's (PETSEARCH_TIME_ZONE)."
_SINCE = f"this time or day. {_ZONE}"
_UNTIL = f"before this time, or through this day where it is a date alone. {_ZONE}"
_ADDED = f"Added at or after {_SINCE}"
_ADDED_BEFORE = f"Added {_UNTIL}"
_TAKEN = f"Taken at or after {_SINCE}"
_TAKEN_BEFORE = f"Taken {_UNTIL}"


ANY = "Any of them, where it is repeated."
NONE = "None of them; photos that have none match."
MISSING = "Photos that have nothing in any of these fields."
_Many = Annotated[list[ShortText], Field(max_length=MOST_VALUES)]
# Published as one value or a list of them, because clients generated earlier send one.
Values = Annotated[_Many, BeforeValidator(_listed, json_schema_input_type=ShortText | _Many)]
AnyOf = Annotated[Values, Field(description="One, or a list: any of them.")]
NoneOf = Annotated[Values, Field(description=NONE)]
_ManyFields = Annotated[list[MissingField], Field(max_length=MOST_VALUES)]
Missing = Annotated[
    _ManyFields,
    BeforeValidator(_listed, json_schema_input_type=MissingField | _ManyFields),
    Field(description=MISSING),
]


class NearBody(QueryModel):
    """A circle on the earth."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]
    km: Annotated[Number, Field(gt=0, le=_HALF_ROUND_THE_EARTH_KM)]


class FiltersBody(QueryModel):
    """What every result must satisfy; all that is given must hold."""

    species: AnyOf = Field([])
    breed: AnyOf = Field([])
    status: AnyOf = Field([])
    animal_id: AnyOf = Field([])
    not_species: NoneOf = Field([])
    not_breed: NoneOf = Field([])
    not_status: NoneOf = Field([])
    not_animal_id: NoneOf = Field([])
    not_tags: NoneOf = Field([])
    missing: Missing = Field([])
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
            **as_tuples(self.model_dump(include=_LISTS)),
            attributes=self.attributes,
            near=Near(self.near.lat, self.near.lon, self.near.km) if self.near else None,
            created=_range(self.since, self.until),
            taken=_range(self.taken_since, self.taken_until),
        )


_LISTS = {name for name, field in FiltersBody.model_fields.items() if field.default == []}
_Words = Annotated[Values | None, Query(description=ANY)]
_NotWords = Annotated[Values | None, Query(description=NONE)]


async def _filters(
    species: Annotated[_Words, Query(examples=["cat"])] = None,
    breed: Annotated[_Words, Query(examples=["siamese"])] = None,
    status: Annotated[_Words, Query(examples=["lost"])] = None,
    animal_id: _Words = None,
    not_species: _NotWords = None,
    not_breed: _NotWords = None,
    not_status: _NotWords = None,
    not_animal_id: _NotWords = None,
    not_tag: _NotWords = None,
    missing: Annotated[Missing | None, Query()] = None,
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
    lists = {
        **{"species": species, "breed": breed, "status": status, "animal_id": animal_id},
        **{"not_species": not_species, "not_breed": not_breed, "not_status": not_status},
        **{"not_animal_id": not_animal_id, "not_tags": not_tag, "missing": missing, "tags": tag},
    }
    return Filters(
        **as_tuples(lists),
        attributes=_attributes(attr or ()),
        near=_near(near) if near else None,
        created=_range(since, until),
        taken=_range(taken_since, taken_until),
    )


async def _visible_filters(
    request: Request, filters: Annotated[Filters, Depends(_filters)]
) -> Filters:
    return filters if caller_of(request).sees_places else filters.in_cells()


FiltersDep = Annotated[Filters, Depends(_visible_filters)]
"""They tell no more of places than the caller may see."""


def as_tuples(lists: Mapping[str, Any]) -> dict[str, Any]:
    """Lists of values as `Filters` holds them; those that say nothing are left out."""
    return {name: tuple(without_nothing(values or [])) for name, values in lists.items()}


def _attributes(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    names = set[str]()
    for name, value in map(_attribute, given):
        if fold(name) in names:
            raise InvalidInput(f"attr: {name[:100]!r} is given more than once; it has one value.")
        names.add(fold(name))
        found[name] = value
    return found


def _attribute(words: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in words.partition("="))
    if not (name and equals) or len(name) > 200 or len(value) > 200:
        raise InvalidInput(f"attr: {words[:100]!r} is no name=value, such as attr=collar=red.")
    return name, value


def _near(words: str) -> Near:
    try:
        lat, lon, km = words.split(",")
        body = NearBody.model_validate({"lat": lat, "lon": lon, "km": km})
    except ValueError as error:  # pydantic's errors are ValueErrors too
        raise InvalidInput(
            f"near: {words!r} is not lat,lon,km in degrees and kilometres, such as 52.52,13.40,5."
        ) from error
    return Near(body.lat, body.lon, body.km)


def _range(since: datetime | None, until: datetime | None) -> TimeRange | None:
    if since is None and until is None:
        return None
    return TimeRange(since, until)
