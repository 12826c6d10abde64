"""What the columns of a table mean: our own names, those of other programs, and stated ones."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput, unknown_choice
from petsearch.domain.metadata import safe_path
from petsearch.domain.visible_text import MOST_COMPOSED

PLACES = ("path", "key", "url")
"""The fields that say where a photo is."""
ATTRIBUTE = "attributes."
_FIELDS = {
    "path": "path file filepath photo photos photopath image images imagepath picture pictures "
    "picturepath photofile imagefile photourl imageurl pictureurl photolink "
    "animalimage animalphoto",
    "key": "key keys s3key objectkey",
    "url": "url urls",
    "filename": "filename",
    "breed": "breed primarybreed pribreed animalbreed breed1 animalbreed1 breedname",
    "species": "species animalspecies speciesname type animaltype",
    "animal_id": "animalid animalcode sheltercode animalno animalnumber petid externalid arn id",
    "status": "status animalstatus petstatus stage",
    "tags": "tags tag keywords flags animalflags attributes",
    "taken_at": "takenat taken datetaken takenon photodate datetimeoriginal date intakedate "
    "intakedatetime arrivaldate entrydate animalentrydate receiveddate founddate datefound datein",
    "lat": "lat latitude gpslatitude",
    "lon": "lon lng long longitude gpslongitude",
    "location": "location coordinates coords latlon latlng gps place foundlocation locationfound "
    "animallocation shelterlocation foundzipcode",
}  # in order of preference, as `_key` writes them
ACCEPTED = (*_FIELDS, f"{ATTRIBUTE}<name>")
"""The fields that a column can have."""
_FIELD_OF = {alias: name for name, aliases in _FIELDS.items() for alias in aliases.split()}
_RANKS = {alias: rank for rank, alias in enumerate(_FIELD_OF)}

Columns = Mapping[str, str | None]
"""From columns of the file to fields; None for one that is left out."""


@dataclass(frozen=True)
class ColumnMap:
    """Which columns of a table are read as what."""

    fields: Mapping[str, Sequence[str]]
    """The columns of each field; the first one that is filled counts, but of places all of them."""
    unknown: Sequence[str] = ()
    """Columns that mean nothing here."""

    def left_out(self) -> list[LeftOut]:
        """The unknown columns, with the field that a misspelt one may mean."""
        return [
            LeftOut(safe_path(name)[:100] + _suggestion(name), LeftOutReason.COLUMN)
            for name in self.unknown
        ]


def check_fields(names: Iterable[str | None]) -> None:
    """Check that there are fields of these names; None stands for one that is left out.

    Raises:
        InvalidInput: there is none; the message lists the accepted ones.
    """
    for name in names:
        if name is not None and name not in _FIELDS and not is_attribute(name):
            raise unknown_choice("column", name, ACCEPTED)


def map_columns(names: Sequence[str], given: Columns) -> ColumnMap:
    """Map the columns of a table: as `given`, otherwise by their names.

    Case, spaces and signs in names do not matter, so `Animal ID` is `animal_id`. A field that is
    given a column takes no others, and a place that is given no other places.
    """
    stated = {_key(name): field for name, field in given.items()}
    taken = {field for field in stated.values() if field is not None}
    if taken.intersection(PLACES):
        taken.update(PLACES)
    found: dict[str, list[str]] = {}
    unknown: list[str] = []
    for name in sorted(filter(None, names), key=_rank):
        is_stated = _key(name) in stated
        field = stated[_key(name)] if is_stated else _field_of(name)
        if field is not None and (is_stated or field not in taken):
            found.setdefault(field, []).append(name)
        elif not is_stated:
            unknown.append(name)
    unknown += _drop_other_places(found, taken)
    places = {name: place for place, name in enumerate(names)}
    return ColumnMap(found, sorted(unknown, key=places.__getitem__))


def check_columns(names: Sequence[str], given: Columns) -> None:
    """Check that a header has the `given` columns and at least one with places of photos.

    Raises:
        InvalidInput: it has not; the message lists its columns and the accepted ones.
    """
    listed = ", ".join(filter(None, map(safe_path, names)))[:500]
    keys = set(map(_key, names))
    for name, field in given.items():
        if field is not None and _key(name) not in keys:
            raise InvalidInput(f"The table has no column {name!r}. Its columns are: {listed}.")
    if not has_places(names, given):
        raise InvalidInput(
            f"The table's header row cannot be read: it has none of {', '.join(PLACES)}, but: "
            f"{listed}. Columns that can be read: {', '.join(ACCEPTED)}."
        )


def has_places(names: Sequence[str], given: Columns) -> bool:
    """Whether a row is a header with places of photos."""
    return not map_columns(names, given).fields.keys().isdisjoint(PLACES)


def _drop_other_places(found: dict[str, list[str]], taken: Set[str]) -> list[str]:
    """Take file names for paths if nothing else is, and drop URLs of pages beside photos."""
    if found.keys().isdisjoint(PLACES):
        if "filename" in found:
            found["path"] = found.pop("filename")
        return []
    if taken.isdisjoint(PLACES) and "path" in found and _key(found["path"][0]) != "path":
        return found.pop("key", []) + found.pop("url", [])
    return []


def _field_of(name: str) -> str | None:
    if is_attribute(name):
        return ATTRIBUTE + name[len(ATTRIBUTE) :].strip()
    key = _key(name)
    numbered = _FIELD_OF.get(key.rstrip("0123456789"))
    return _FIELD_OF.get(key) or (numbered if numbered in PLACES else None)


def is_attribute(name: str) -> bool:
    """Whether a name is that of an attribute, such as `attributes.collar`."""
    return name.lower().startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE)


def _rank(name: str) -> int:
    """The preference of a column; the order of the table among several photos."""
    key = _key(name)
    return _RANKS.get(key if key in _RANKS else key.rstrip("0123456789"), len(_RANKS))


def _key(name: str) -> str:
    """A name for comparison: letters and digits alone, with `#` as `no`."""
    folded = unicodedata.normalize("NFKC", name[:MOST_COMPOSED]).casefold().replace("#", "no")
    return "".join(filter(str.isalnum, folded))


def _suggestion(name: str) -> str:
    key = _key(name)
    close = (field for field in _FIELDS if OSA.distance(key, _key(field)) == 1)
    field = next(close, None) if len(key) > 3 else None
    return f" (did you mean {field}?)" if field else ""
