"""Long runs of one character cost time in proportion to their length, whatever parses them."""

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput
from petsearch.photos.embedded import capture_of_xmp
from petsearch.sources.sidecars import Sidecars
from petsearch.tables.cells import BadCell, to_degrees, to_location, to_tags
from petsearch.tables.columns import ColumnMap
from petsearch.tables.dates import parse_date
from petsearch.tables.places import places_of
from petsearch.tables.table import unique_names
from petsearch.tables.url_lines import is_url_list, split_urls

_RUNS = 100_000
_WITHIN_S = 2.0
"""Each takes milliseconds; what is quadratic in the length takes minutes."""
_PATHS = ColumnMap({"path": ("photo",)})


def _places(text: str) -> object:
    return places_of({"photo": text}, _PATHS)


def _describe(xmp: str) -> object:
    data = f"<rdf:Description>{xmp}".encode()
    sidecars = Sidecars(lambda: ["a.jpg", "a.xmp"], lambda _: data)
    return sidecars.describe("a.jpg", ImageMetadata("a.jpg"))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (lambda text: is_url_list(text.encode()), "\n" * _RUNS + "x"),
        (lambda text: is_url_list(text.encode()), "#\n" * _RUNS + "x"),
        (lambda text: is_url_list(text.encode()), " " * _RUNS + "x"),
        (split_urls, "https://a.example/" + " ;" * _RUNS + "b"),
        (_places, "a" + " " * _RUNS + "b.jpg"),
        (_places, "https://a.example/" + " " * _RUNS + "b"),
        (_places, "https://a.example/" + ";" * _RUNS + "b"),
        (to_degrees, "48" + " " * _RUNS + "x"),
        (to_location, "48" + " " * _RUNS + "," + " " * _RUNS + "x"),
        (to_location, "(48.1 N" + " " * _RUNS + "16"),
        (to_tags, ";" * _RUNS),
        (lambda text: unique_names(text.split(",")), "a," * _RUNS),
        (lambda text: unique_names(text.split(",")), "a,a 2,a 3," * _RUNS),
        (parse_date, "1" + "-" * _RUNS + "x"),
        (parse_date, "a" * _RUNS + " 1 may 2026"),
        (_describe, "<dc:description>" * _RUNS),
        (_describe, "<dc:description><rdf:li>" + "x" * 100 * _RUNS + "</rdf:li>"),
        (_describe, "<dc:description>" + "<rdf:li" * _RUNS),
        (_describe, "<dc:description>" + "<rdf:li>" * _RUNS),
        (lambda text: capture_of_xmp(text.encode()), "exif:GPSLatitude='" + "1" * _RUNS + ",1N'"),
        (lambda text: capture_of_xmp(text.encode()), "<exif:GPSLatitude>" * _RUNS),
    ],
)
def test_it_is_parsed_in_linear_time(parse: Callable[[str], object], text: str) -> None:
    began = time.process_time()
    with suppress(BadCell, InvalidInput, ValueError):
        parse(text)
    assert time.process_time() - began < _WITHIN_S
