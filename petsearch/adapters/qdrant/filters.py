"""`Filters` as a filter of the Qdrant client and of Qdrant Edge.

Most of their classes have the same names and arguments.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from petsearch.adapters.qdrant.conditions import METRES_PER_KM, Conditions, Named
from petsearch.adapters.qdrant.payload import PAYLOAD_VERSION, PAYLOAD_VERSION_FIELD, VERSION_FIELD
from petsearch.domain import ImageRecord, Near

_Filter = TypeVar("_Filter")
_Condition = Any


@dataclass(frozen=True)
class FilterMaker(Generic[_Filter]):
    """Makes filters of the classes of one library.

    Args:
        classes: that have the same names and arguments in both.
        absent: makes the condition that a point has nothing in a field.
        has_id: makes the condition that a point has one of these ids.
        numbers: makes a range of numbers.
        times: makes a range of times.
    """

    classes: ModuleType
    absent: Callable[[str], _Condition]
    has_id: Callable[[Sequence[str]], _Condition]
    numbers: Callable[..., object]
    times: Callable[..., object]

    def filter_of(self, wanted: Conditions) -> _Filter | None:
        """None where there are no conditions."""
        must = [
            *(self._one_holds(fields) for fields in wanted.any_of),
            *(self.absent(field) for field in wanted.absent),
            *(self._any(*(self._named(name) for name in names)) for names in wanted.named),
            *(self._at_least(field, least) for field, least in wanted.at_least.items()),
            *(
                self._field(field, range=self.times(gte=times.since, lt=times.until))
                for field, times in wanted.times.items()
            ),
        ]
        if wanted.near is not None:
            must.append(self._field(wanted.near_field, geo_radius=self._circle(wanted.near)))
        must_not = [
            *(self._holds(field, values) for field, values in wanted.none_of),
            *(self._certain(name) for name in wanted.not_named),
        ]
        if wanted.is_outdated:
            must_not.append(self._at_least(PAYLOAD_VERSION_FIELD, PAYLOAD_VERSION))
        if wanted.excluded_ids:
            must_not.append(self.has_id(wanted.excluded_ids))
        return self._all(must, must_not) if must or must_not else None

    def filter_of_version(self, record: ImageRecord) -> _Filter:
        """Matches the point of `record` as long as it is unchanged."""
        at = self.times(gte=record.updated_at, lte=record.updated_at)
        return self._all([self.has_id([record.image_id]), self._field(VERSION_FIELD, range=at)])

    def _named(self, one: Named) -> _Condition:
        """Stated, or neither stated nor ruled out by a guess of another name."""
        stated = self._holds(one.stated, [one.name])
        if one.sure_from is None:
            return stated
        ruled_out = self._all(self._sure(one), [self._holds(one.guessed, [one.name])])
        also = [self._named(one.also)] if one.also else []
        return self._any(stated, self._all([self.absent(one.stated), *also], [ruled_out]))

    def _certain(self, one: Named) -> _Condition:
        """Stated, or not stated and guessed for sure."""
        stated = self._holds(one.stated, [one.name])
        if one.sure_from is None:
            return stated
        guessed = self._holds(one.guessed, [one.name])
        return self._any(stated, self._all([self.absent(one.stated), guessed, *self._sure(one)]))

    def _sure(self, one: Named) -> list[_Condition]:
        return [self._at_least(field, least) for field, least in one.least.items()]

    def _one_holds(self, fields: dict[str, list[str]]) -> _Condition:
        held = [self._holds(field, values) for field, values in fields.items()]
        return held[0] if len(held) == 1 else self._any(*held)

    def _holds(self, field: str, values: list[str]) -> _Condition:
        return self._field(field, match=self.classes.MatchAny(any=[*values]))

    def _at_least(self, field: str, least: float) -> _Condition:
        return self._field(field, range=self.numbers(gte=least))

    def _circle(self, near: Near) -> object:
        center = self.classes.GeoPoint(lon=near.lon, lat=near.lat)
        return self.classes.GeoRadius(center=center, radius=near.km * METRES_PER_KM)

    def _field(self, field: str, **condition: object) -> _Condition:
        return self.classes.FieldCondition(key=field, **condition)

    def _any(self, *conditions: _Condition) -> _Condition:
        return self.classes.Filter(should=[*conditions])

    def _all(self, must: list[_Condition], must_not: list[_Condition] | None = None) -> _Filter:
        return cast(_Filter, self.classes.Filter(must=must, must_not=must_not or None))
