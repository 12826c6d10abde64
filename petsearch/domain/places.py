"""Places as callers see them: exact, or as the cell of one fixed grid that they are in."""

import re
import unicodedata
from collections.abc import Mapping
from math import asin, cos, radians, sin, sqrt

from petsearch.domain.errors import InvalidInput
from petsearch.domain.visible_text import fold

_EARTH_RADIUS_M = 6_371_008.8
"""The mean radius (IUGG), with which Qdrant measures, too."""
_DECIMALS = 2
"""Cells of 0.01 degrees: 1.1 km from south to north, and at most that from west to east."""

_PLACE_PARTS = (
    *("location", "address", "adres", "street", "strasse", "coord", "koordinat"),
    *("latitude", "longitude", "latlon", "latlng", "postal", "postcode", "zipcode"),
)
"""Parts of names of attributes that hold a place more exact than a cell."""
_PLACE_WORDS = frozenset({"place", "road", "zip", "plz", "gps", "lat", "lon", "lng", "where"})
"""Whole words, since "place" is in "replaced"."""
_WORD = re.compile(r"[A-Z]+(?![^\W\d_A-Z])|[A-Z]?[^\W\d_A-Z]+")
_NO_PLACES = re.compile("dislocation|relocation")

Place = tuple[float, float]
"""Latitude and longitude in degrees (WGS 84)."""


def cell_of(place: Place) -> Place:
    """The centre of the cell that `place` is in."""
    # Adding 0 makes 0.0 of -0.0, which would tell the half of the cell.
    lat, lon = (round(degrees, _DECIMALS) + 0.0 for degrees in place)
    return lat, lon


def stated_place(stored: Place | None, given: Place | None, *, sees_places: bool) -> Place | None:
    """The place after `given` is stated: whoever sees cells may send back the one they were shown.

    Args:
        sees_places: whether who states it sees exact places, and may mean the cell.
    """
    is_as_shown = not sees_places and stored is not None and given == cell_of(stored)
    return stored if is_as_shown else given


def stated_attributes(
    stored: Mapping[str, str], given: Mapping[str, str], *, sees_places: bool
) -> Mapping[str, str]:
    """The attributes after `given` are stated; who is not shown those of places cannot send them.

    Args:
        sees_places: whether who states them is shown all.
    """
    if sees_places:
        return given
    named = set(map(fold_attribute, given))
    kept = {
        name: value
        for name, value in stored.items()
        if names_place(name) and fold_attribute(name) not in named
    }
    return kept | dict(given)


def names_place(attribute: str) -> bool:
    """Whether an attribute of this name may tell an exact place, in words: `Found location`.

    True for all names that are compared as equal (`fold_attribute`), or for none of them.
    """
    return _says_place(attribute) or _says_place(fold(attribute))


def fold_attribute(words: str) -> str:
    """`name=value` as it is compared, each of the two by itself: `Collar = Red` is `collar=red`.

    A name that says a place only as it is written, such as `foundZip`, keeps its case: nobody finds
    out its values by `foundzip`, which says none.
    """
    name, equals, value = words.partition("=")
    folded = fold(name)
    is_kept = _says_place(name) and not _says_place(folded)
    return f"{name if is_kept else folded}{equals}{fold(value)}"


def _says_place(attribute: str) -> bool:
    name = unicodedata.normalize("NFKC", attribute)
    folded = _NO_PLACES.sub("", "".join(filter(str.isalpha, name.casefold())))
    words = {word.casefold() for word in _WORD.findall(name)}
    return any(part in folded for part in _PLACE_PARTS) or not words.isdisjoint(_PLACE_WORDS)


def check_shown(attribute: str) -> None:
    """Check that callers who do not see exact places may filter and count by an attribute.

    Raises:
        InvalidInput: its name says that it tells a place.
    """
    if names_place(attribute):
        raise InvalidInput(
            f"The attribute {attribute[:100]!r} may tell an exact place; using it takes a key with "
            "the scope places."
        )


def distance_m(one: Place, other: Place) -> float:
    """Metres between two places on the sphere, by the haversine formula."""
    lat, other_lat, lon_apart = (
        radians(degrees) for degrees in (one[0], other[0], one[1] - other[1])
    )
    half = sin((lat - other_lat) / 2) ** 2 + cos(lat) * cos(other_lat) * sin(lon_apart / 2) ** 2
    return 2 * _EARTH_RADIUS_M * asin(min(1.0, sqrt(half)))
