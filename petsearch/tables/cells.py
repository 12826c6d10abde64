"""What the cells of a row mean: values as people write them, and what they say of a photo.

A cell that does not fit costs only itself: it is left out, with a warning.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from petsearch.domain import ImageMetadata, ItemWarning, TakenAtSource
from petsearch.domain.metadata import fitting_metadata, safe_filename, safe_path
from petsearch.tables.columns import ATTRIBUTE, PLACES, ColumnMap
from petsearch.tables.dates import AmbiguousDate, parse_date
from petsearch.tables.table import REPLACED, clean

DayFirst = Callable[[str], bool | None]
"""Whether the dates of a column have the day first; None if that is unknown."""

_EMPTY = re.compile(
    r"[-\u2013\u2014]*|#?n\.?/?a\.?|#[a-z0/]+[!?]|\\n|\(?(null|nil|none|nan|blank)\)?",
    re.IGNORECASE,
)
_NUMBER = r"\d{1,3}(?:[.,]\d+)?"
_PARTS = (
    rf"[-+]?{_NUMBER}(?: ?[°º])?"
    rf"(?: ?{_NUMBER} ?['\u2032\u2019])?(?: ?{_NUMBER} ?(?:[\"\u2033\u201d]|''))?"
)
"""Degrees, minutes and seconds."""
_DEGREES = rf"(?:[NSEW] ?{_PARTS}|{_PARTS}(?: ?[NSEW])?)"
_PAIR = re.compile(rf"\(?({_DEGREES})(?: ?[,;/] ?| )({_DEGREES})\)?", re.IGNORECASE)
_NOT_A_DATE = "which is not a date like 2026-05-17"
_AMBIGUOUS = (
    "which could be of two months: no date of the column tells whether the day is first, "
    "or they contradict; write it like 2026-05-17"
)


class BadCell(ValueError):
    """A cell does not fit its field, with the reason for a relative clause."""


def is_empty(value: object) -> bool:
    """Whether a cell says nothing: it is blank, `-`, `n/a`, `NULL`, `#REF!`, NaN or the like."""
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or (isinstance(value, str) and _EMPTY.fullmatch(clean(value)) is not None)


def to_text(value: object) -> str:
    """A cell as text; `4711.0` of a spreadsheet is `4711`.

    Raises:
        BadCell: it is a list or an object.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat().removesuffix("T00:00:00")
    if isinstance(value, list | dict):
        raise BadCell("which is not a text")
    text = clean(str(value))
    if REPLACED in text:
        raise BadCell("which has characters that cannot be read")
    return text


def to_tags(value: object) -> list[str]:
    """Tags: a list, one in JSON, or words between `;`, `|` or line breaks; without those, `,`."""
    words = as_list(value)
    if words is None:
        text = to_text(value)
        words = re.split(r"[;|\n]" if re.search(r"[;|\n]", text) else ",", text)
    return list(dict.fromkeys(to_text(word) for word in words if not is_empty(word)))


def to_degrees(value: object) -> float:
    """A latitude or longitude, with a decimal point or comma, or in minutes and seconds.

    Raises:
        BadCell: it is neither.
    """
    text = _with_single_spaces(to_text(value)).upper()
    if re.fullmatch(_DEGREES, text) is None:
        raise BadCell("which is not a number of degrees like 48.2")
    numbers = [float(number.replace(",", ".")) for number in re.findall(_NUMBER, text)]
    degrees: float = sum(number / 60.0**power for power, number in enumerate(numbers))
    return -degrees if re.search("[-SW]", text) else degrees


def to_location(value: object) -> dict[str, float] | str:
    """A place: `{"lat": …, "lon": …}`, or the text if it is not one of two numbers."""
    if isinstance(value, dict):
        value = [value.get("lat", value.get("latitude")), _longitude(value)]
    if isinstance(value, list):
        if len(value) != 2 or any(map(is_empty, value)):
            raise BadCell("which is not a pair of latitude and longitude")
        lat, lon = map(to_degrees, value)
        return {"lat": lat, "lon": lon}
    text = to_text(value)
    found = _PAIR.fullmatch(_with_single_spaces(text))
    if found is None:
        return text
    return {"lat": to_degrees(found[1]), "lon": to_degrees(found[2])}


def _with_single_spaces(text: str) -> str:
    return " ".join(text.split())


def as_list(value: object) -> list[object] | None:
    """A list as it is or in JSON; None if it is no list."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None


def _longitude(value: Mapping[str, object]) -> object:
    names = ("lon", "lng", "long", "longitude")
    return next((value[name] for name in names if name in value), None)


_PLACE_FIELDS = ("lat", "lon", "location")
_CONVERSIONS: Mapping[str, Callable[[object], object]] = {
    "tags": to_tags,
    "lat": to_degrees,
    "lon": to_degrees,
    "location": to_location,
    "filename": lambda value: safe_filename(to_text(value)),
}


def read_metadata(
    cells: Mapping[str, object],
    columns: ColumnMap,
    filename: str,
    *,
    day_first: DayFirst = lambda _: None,
) -> tuple[ImageMetadata, tuple[ItemWarning, ...]]:
    """What a row says of its photo, with a warning for each cell that is left out.

    Args:
        filename: used if the row has none.
        day_first: whether the ambiguous dates of a column have the day first; see `DayOrders`.
    """
    reader = _Reader(cells, day_first)
    for name, among in columns.fields.items():
        if name not in PLACES:
            reader.read(name, among)
    metadata, problems = fitting_metadata(reader.fields(), filename)
    for name, problem in problems.items():
        reader.warn(reader.column_of.get(name, name), f"does not fit: {problem}")
    dated = replace(metadata, taken_at_source=TakenAtSource.TABLE)
    return dated, tuple(reader.warnings)


@dataclass
class _Reader:
    """Reads the fields of a row, and collects warnings."""

    cells: Mapping[str, object]
    day_first: DayFirst
    values: dict[str, object] = field(default_factory=dict)
    column_of: dict[str, str] = field(default_factory=dict)
    warnings: list[ItemWarning] = field(default_factory=list)

    def read(self, name: str, columns: Iterable[str]) -> None:
        """Take a field from the first of its columns that is filled and fits."""
        for column in columns:
            value = self.cells.get(column)
            if is_empty(value):
                continue
            try:
                converted = self._convert(name, column, value)
            except BadCell as error:
                # Whoever sees jobs need not see places.
                shown = "a value" if name in _PLACE_FIELDS else repr(str(value)[:40])
                self.warn(column, f"is {shown}, {error}")
                continue
            if converted is not None:
                self.values[name], self.column_of[name] = converted, column
                return

    def _convert(self, name: str, column: str, value: object) -> object:
        if isinstance(value, bool) and not name.startswith(ATTRIBUTE):
            raise BadCell("which only an attribute can be")
        if name != "taken_at":
            return _CONVERSIONS.get(name, to_text)(value)
        try:
            return self._date(column, value)
        except AmbiguousDate as error:
            raise BadCell(_AMBIGUOUS) from error
        except (ValueError, OverflowError) as error:
            raise BadCell(_NOT_A_DATE) from error

    def _date(self, column: str, value: object) -> date | datetime | None:
        try:
            return parse_date(value)
        except AmbiguousDate:
            return parse_date(value, day_first=self.day_first(column))

    def fields(self) -> dict[str, object]:
        """The fields of `PhotoMetadata`."""
        given = self.values
        attributes = {
            name.removeprefix(ATTRIBUTE): given.pop(name)
            for name in list(given)
            if name.startswith(ATTRIBUTE)
        }
        lat, lon = given.pop("lat", None), given.pop("lon", None)
        if isinstance(given.get("location"), str):
            attributes.setdefault("location", given.pop("location"))
        if lat is not None and lon is not None:
            given["location"] = {"lat": lat, "lon": lon}
            self.column_of["location"] = self.column_of["lat"]
        elif lat is not None or lon is not None:
            column = self.column_of["lat" if lon is None else "lon"]
            self.warn(column, "has no other half: a place is a latitude and a longitude")
        if given.get("location") == {"lat": 0.0, "lon": 0.0}:
            del given["location"]
        return given | {"attributes": attributes}

    def warn(self, column: str, problem: str) -> None:
        """Add the warning that a cell is left out."""
        name = safe_path(column)[:100]
        self.warnings.append(
            ItemWarning("cell_ignored", f"{name} {problem}. It is left out.", name)
        )
