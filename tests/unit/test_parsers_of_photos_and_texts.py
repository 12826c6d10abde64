"""Properties of the parsers of photos' structure, dates, places, headers and cursors.

Whatever the input, they return what they promise or raise an error of ours. `make fuzz-parsers`
tries input for as long as you like.
"""

import io
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from petsearch.domain import ImageMetadata
from petsearch.domain.capture import Capture, parse_time
from petsearch.domain.errors import InvalidInput
from petsearch.photos import ImageLimits, boxes, containers, formats, pages
from petsearch.photos.decode import decode
from petsearch.photos.embedded import capture_of_xmp
from petsearch.sources.sidecars import Sidecars
from petsearch.tables import read_urls
from petsearch.tables.cells import BadCell, to_degrees, to_location, to_tags
from petsearch.tables.dates import parse_date
from services.api.conditions import etag_of, is_named
from services.api.cursors import seal, unseal
from tests.hostile_files import boxes as box_files
from tests.hostile_files import pictures as picture_files
from tests.hostile_files.grammar import Sample
from tests.unit.test_forwarded import seen

SMALL = ImageLimits(max_megapixels=1.0, max_decode_bytes=50_000_000)
SAMPLES = {
    "JPEG": picture_files.jpeg,
    "PNG": picture_files.png,
    "WebP": picture_files.webp,
    "GIF": picture_files.gif,
    "TIFF": picture_files.tiff,
    "BMP": picture_files.bmp,
    "HEIC": box_files.heic,
    "AVIF": box_files.avif,
}
CHANGES = st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)), max_size=6)
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=80)
LIKE_DATES = st.from_regex(r"[0-9A-Za-z .:/+,T-]{0,40}", fullmatch=True)
LIKE_PLACES = st.from_regex(r"[0-9 .,;/()°NSEWnsew+-]{0,40}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@cache
def sample(kind: str) -> Sample:
    return SAMPLES[kind]()


def overwritten(kind: str, changes: list[tuple[int, bytes]]) -> bytes:
    """A good file with bytes changed, at numbers of its grammar first of all."""
    made = sample(kind)
    data = bytearray(made.data)
    for place, written in changes:
        at = place % (2 * len(data))
        at = made.numbers[at % len(made.numbers)].at if at >= len(data) else at
        data[at : at + len(written)] = written
    return made.seal(bytes(data))


@pytest.mark.parametrize("kind", SAMPLES)
@given(changes=CHANGES)
def test_the_structure_of_a_damaged_photo_is_read_or_broken(
    kind: str, changes: list[tuple[int, bytes]]
) -> None:
    data = overwritten(kind, changes)
    formats.describe(data)
    boxes.main_picture(data)
    containers.pixels_alone(data)
    pages.tiff_pages(data)


@pytest.mark.parametrize("kind", SAMPLES)
@given(changes=CHANGES)
def test_a_damaged_photo_is_decoded_or_refused(kind: str, changes: list[tuple[int, bytes]]) -> None:
    with suppress(InvalidInput):
        decode(overwritten(kind, changes), SMALL, at_least=64)


@given(data=st.binary(max_size=300), head=st.sampled_from([b"", b"\0\0\0\x18ftypheic", b"II*\0"]))
def test_any_bytes_are_a_photo_or_refused(data: bytes, head: bytes) -> None:
    with suppress(InvalidInput):
        decode(head + data, SMALL)


@given(text=st.text(max_size=40) | LIKE_DATES, offset=st.text(max_size=8) | LIKE_DATES)
def test_any_text_is_a_date_or_none(text: str, offset: str) -> None:
    parse_time(text, offset)
    with suppress(ValueError, OverflowError):  # what the reader of cells expects
        parse_date(text)


@pytest.mark.parametrize("convert", [to_degrees, to_location, to_tags])
@given(value=st.text(max_size=40) | LIKE_PLACES | JSON)
def test_any_cell_is_converted_or_bad(convert: Callable[[object], object], value: object) -> None:
    with suppress(BadCell):
        convert(value)


@given(
    stated=JSON | st.fixed_dictionaries({"title": JSON, "photoTakenTime": JSON, "geoData": JSON})
)
def test_any_json_beside_a_photo_is_a_sidecar_or_ignored(stated: object) -> None:
    sidecars = Sidecars(lambda: ["a.jpg", "a.jpg.json"], lambda _: json.dumps(stated).encode())
    sidecars.describe("a.jpg", ImageMetadata("a.jpg"))


@given(xmp=st.text(max_size=200), value=LIKE_PLACES | LIKE_DATES)
def test_any_xmp_is_read(xmp: str, value: str) -> None:
    named = f'{xmp} exif:GPSLatitude="{value}" exif:GPSLongitude="{value}" xmp:CreateDate="{value}"'
    assert isinstance(capture_of_xmp(named.encode("utf-8", "ignore")), Capture)
    sidecars = Sidecars(lambda: ["a.jpg", "a.xmp"], lambda _: named.encode("utf-8", "ignore"))
    sidecars.describe("a.jpg", ImageMetadata("a.jpg"))


@given(data=st.binary(max_size=300))
def test_any_bytes_are_urls_or_rejected(data: bytes) -> None:
    with suppress(InvalidInput):
        read_urls(io.BytesIO(b"http://a.example/1.jpg\n" + data))


@given(place=st.text(max_size=40), other=st.text(max_size=40), mine=st.text(max_size=9))
def test_a_cursor_of_a_list_leads_back(place: str, other: str, mine: str) -> None:
    cursor = seal(place.encode("utf-8", "ignore").decode(), mine)
    assert unseal(cursor, mine) == place.encode("utf-8", "ignore").decode()
    with suppress(InvalidInput):
        unseal(other, mine)


class Body(BaseModel):
    text: str


@given(header=HEADER, text=st.text(max_size=20).map(lambda t: t.encode("utf-8", "ignore").decode()))
def test_any_condition_names_the_tag_or_not(header: str, text: str) -> None:
    etag = etag_of(Body(text=text))
    assert is_named(f"{header}, W/{etag}", etag)
    assert not is_named(header.replace("*", "").replace(etag, ""), etag)


@given(client=HEADER, host=HEADER, proto=HEADER, prefix=HEADER, port=HEADER)
def test_any_forwarded_header_is_read(
    client: str, host: str, proto: str, prefix: str, port: str
) -> None:
    found = seen(
        x_forwarded_for=client,
        x_forwarded_host=host,
        x_forwarded_proto=proto,
        x_forwarded_prefix=prefix,
        x_forwarded_port=port,
    )
    assert found["scheme"] in ("http", "https")
    assert found["link"].startswith("/")
