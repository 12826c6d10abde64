"""What is read from manifests, and what happens to rows that cannot be used."""

import io
import json
import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from petsearch.domain import ImageMetadata, LeftOut, LeftOutReason, TakenAtSource
from petsearch.domain.errors import InvalidInput
from petsearch.sources import SourceItem
from petsearch.sources.manifest import ManifestSource
from petsearch.tables import Columns


def source_of(data: str | bytes, columns: Columns | None = None) -> ManifestSource:
    encoded = data.encode() if isinstance(data, str) else data
    return ManifestSource(lambda: io.BytesIO(encoded), columns=columns or {}, folder="/photos/a")


def read(data: str | bytes, columns: Columns | None = None) -> list[SourceItem]:
    entries = source_of(data, columns).read(None)
    return [entry for entry in entries if isinstance(entry, SourceItem)]


def left_out(data: str | bytes, columns: Columns | None = None) -> list[str]:
    entries = source_of(data, columns).read(None)
    return [entry.name for entry in entries if isinstance(entry, LeftOut)]


def warned(data: str | bytes) -> list[list[str]]:
    return [[warning.code for warning in item.warnings] for item in read(data)]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


EVERYTHING = ImageMetadata(
    filename="Rex.jpg",
    breed="Pug",
    species="dog",
    animal_id="4711",
    status="lost",
    tags=("shy", "old dog"),
    taken_at=datetime(2026, 5, 17, 12, 30, tzinfo=UTC),
    taken_at_source=TakenAtSource.TABLE,
    attributes={"shelter": "Nord", "kennel": "7"},
)


def test_a_row_of_csv_says_everything_about_a_photo() -> None:
    (item,) = read(
        "path,filename,breed,species,animal_id,status,tags,taken_at,attributes.shelter,attributes.kennel\n"
        "b/1.jpg,Rex.jpg,Pug,dog,4711,lost,shy; old dog;,2026-05-17T12:30:00Z,Nord,7\n"
    )
    assert (item.origin, item.metadata) == ("file:/photos/a/b/1.jpg", EVERYTHING)


def test_a_line_of_json_says_everything_about_a_photo() -> None:
    said = {
        **{"path": "b/1.jpg", "filename": "Rex.jpg", "breed": "Pug", "species": "dog"},
        **{"animal_id": 4711, "status": "lost", "tags": ["shy", "old dog"]},
        **{"taken_at": "2026-05-17T12:30:00+00:00", "attributes": {"shelter": "Nord"}},
        "attributes.kennel": 7,
    }
    (item,) = read(lines(said))
    assert (item.origin, item.metadata) == ("file:/photos/a/b/1.jpg", EVERYTHING)


@pytest.mark.parametrize(
    ("row", "origin", "filename"),
    [
        ({"path": "/elsewhere/1.jpg"}, "file:/elsewhere/1.jpg", "1.jpg"),
        ({"key": "bucket/a/2.jpg"}, "s3:bucket/a/2.jpg", "2.jpg"),
        ({"key": "s3://bucket/a/2.jpg"}, "s3:bucket/a/2.jpg", "2.jpg"),
        ({"url": "https://a.org/p/a%20b.jpg?x=1"}, "url:https://a.org/p/a%20b.jpg?x=1", "a b.jpg"),
        ({"url": "https://a.org"}, "url:https://a.org", "a.org"),
    ],
)
def test_a_photo_lies_at_a_path_a_key_or_a_url(
    row: dict[str, str], origin: str, filename: str
) -> None:
    (item,) = read(lines(row))
    assert (item.origin, item.metadata.filename) == (origin, filename)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv_of_any_table_program_is_read(delimiter: str, mark: bytes, newline: str) -> None:
    rows = [("path", "breed"), ("1.jpg", '"Pug, ""small"""'), ("2.jpg", '"two\nlines"')]
    text = newline.join(delimiter.join(row) for row in rows)
    items = read(mark + text.encode())
    assert [item.origin for item in items] == ["file:/photos/a/1.jpg", "file:/photos/a/2.jpg"]
    assert [item.metadata.breed for item in items] == ['Pug, "small"', "two\nlines"]


def test_a_byte_order_mark_before_json_is_passed_over() -> None:
    assert len(read(b"\xef\xbb\xbf" + lines({"path": "1.jpg"}).encode())) == 1


BAD_CSV = (
    "path;url;breed;taken_at\n"
    "1.jpg;;Pug;2026-05-17\n"
    "2.jpg;;Pug;17.05.2026\n"
    "\n"
    ";;Pug;\n"
    "5.jpg;https://a.org/5.jpg;Pug;\n"
    "6.jpg;;Pug\n"
    '7.jpg;;"Pug;\n'
    "8.jpg;;Pug;2026-05-17\n"
    '9.jpg;;P"u"g;\n'
    '10.jpg;;"P"u;\n'
    f"11.jpg;;{'x' * 70_000};\n"
    f"12.jpg;;{'x' * 201};\n"
    "\xff.jpg;;;\n"
    "14.jpg;;Pug;\n"
).encode("latin-1")
BAD_JSONL = (
    lines({"path": "1.jpg"}).encode()
    + b"{path: 2.jpg}\n\n[]\n"
    + lines(
        {"path": "5.jpg", "taken_at": "2026"},
        {"breed": "Pug"},
        {"path": "7.jpg", "url": "https://a.org/7.jpg"},
        {"path": 8},
        {"path": "9.jpg", "tags": {"a": 1}},
        {"path": "10.jpg", "color": "red"},
        {"path": "11.jpg", "breed": "x" * 70_000},
        {"path": "12\ud800.jpg"},
        {"path": "13\0.jpg"},
    ).encode()
    + b"[" * 50_000
    + b'\n{"path": "\xff"}\n'
    + lines({"path": "16.jpg"}).encode()
)


@pytest.mark.parametrize(
    ("data", "rows", "good"),
    [
        (BAD_CSV, [2, 3, *range(6, 16)], {2, 3, 7, 8, 9, 10, 11, 13, 14, 15}),
        (BAD_JSONL, [1, 2, 4, 5, *range(7, 17)], {1, 5, 9, 10, 15, 16}),
    ],
    ids=["csv", "jsonl"],
)
def test_a_bad_row_costs_itself_only_and_is_named(
    data: bytes, rows: list[int], good: set[int]
) -> None:
    items = read(data)
    numbers = [int(item.cursor.split(":")[0]) for item in items]
    assert {n for n, item in zip(numbers, items, strict=True) if not item.refusal} == good
    assert numbers == rows
    for number, item in zip(numbers, items, strict=True):
        if item.refusal:
            assert item.refusal.startswith(f"Row {number}: ")
            assert item.origin is None


def test_a_quote_that_swallows_rows_gives_them_back() -> None:
    items = read('path,breed\n1.jpg,"Pug\n2.jpg,Pug\n3.jpg,Pug",more\n4.jpg,Pug\n')
    assert [item.refusal for item in items] == [None] * 4
    assert [item.metadata.breed for item in items] == ["Pug", "Pug", 'Pug"', "Pug"]
    assert [[w.code for w in item.warnings] for item in items] == [
        ["quotes_unbalanced"],
        [],
        ["extra_cells"],
        [],
    ]


def test_refusals_say_what_is_wrong() -> None:
    said = [str(item.refusal) for item in read(BAD_JSONL)]
    for reason in (
        "not JSON",
        "must have one of path, key and url, and has 2",
        "path is not a text",
        "path has characters that no name has",
        "longer than 64 kB",
    ):
        assert any(reason in text for text in said), reason


SEVERAL = "photos;breed\n1.jpg|2.jpg|3.jpg;Pug\n\n;Pug\n4.jpg;x\n5.jpg|../6.jpg;Pug\n"


@pytest.mark.parametrize(
    "data",
    [BAD_CSV, b"\xef\xbb\xbf" + BAD_CSV, BAD_JSONL, SEVERAL, SEVERAL.encode("utf-16")],
    ids=["csv", "bom", "jsonl", "several photos a row", "utf-16"],
)
def test_reading_on_from_any_cursor_gives_the_rest(data: str | bytes) -> None:
    source = source_of(data)
    whole = list(source.read(None))
    for position, entry in enumerate(whole):
        if isinstance(entry, SourceItem):
            assert list(source.read(entry.cursor)) == whole[position + 1 :]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ("path;url;breed\n1.jpg;\n;;Pug\n-;n/a\n2.jpg;\n\n[];\n", (4, 7)),
        (
            lines({"path": "1.jpg"}, {"breed": "Pug"}, {"path": []}, {"path": "2.jpg"})
            + lines({"path": None, "url": ""}),
            (3, 5),
        ),
    ],
    ids=["csv", "jsonl"],
)
def test_a_row_that_names_no_photo_is_left_out_where_it_stands(
    data: str, rows: tuple[int, int]
) -> None:
    entries = source_of(data).read(None)
    names = [e.name if isinstance(e, LeftOut) else e.metadata.filename for e in entries]
    middle, last = rows
    assert names == ["1.jpg", f"row {middle - 1}", f"row {middle}", "2.jpg", f"row {last}"]


def test_photos_of_a_row_share_what_it_says() -> None:
    items = read(SEVERAL)
    assert [item.metadata.filename for item in items] == [
        *("1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg"),
    ]
    assert [item.metadata.breed for item in items[:3]] == ["Pug"] * 3
    assert len({item.cursor for item in items}) == len(items)
    named = read("photos,filename\n1.jpg;2.jpg,Rex.jpg\n3.jpg,Rex.jpg\n")
    assert [item.metadata.filename for item in named] == ["1.jpg", "2.jpg", "Rex.jpg"]


def test_a_line_of_a_list_may_hold_any_number_of_urls() -> None:
    urls = [f"https://a.org/{number}.jpg" for number in range(150)]
    assert [item.origin for item in read(" ".join(urls))] == [f"url:{url}" for url in urls]


def test_the_same_photo_twice_is_two_items() -> None:
    items = read("path\n1.jpg\n1.jpg\n")
    assert [item.origin for item in items] == ["file:/photos/a/1.jpg"] * 2
    assert items[0].cursor != items[1].cursor


@pytest.mark.parametrize(
    "data",
    ["path,colour,stauts\n1.jpg,red,lost\n", lines({"path": "1.jpg", "colour": 1, "stauts": 2})],
)
def test_unknown_columns_are_left_out_and_named(data: str) -> None:
    (item,) = read(data)
    assert (item.origin, item.refusal, item.warnings) == ("file:/photos/a/1.jpg", None, ())
    assert left_out(data) == ["colour", "stauts (did you mean status?)"]
    (entry, *_) = source_of(data).read(None)
    assert entry == LeftOut("colour", LeftOutReason.COLUMN)


@pytest.mark.parametrize(
    "data",
    ["Bild,Rasse,Notiz\n1.jpg,Pug,-\n", lines({"Bild": "1.jpg", "Rasse": "Pug", "Notiz": "-"})],
)
def test_columns_are_mapped_or_left_out(data: str) -> None:
    (item,) = read(data, {"Bild": "path", "Rasse": "breed", "Notiz": None})
    assert (item.origin, item.metadata.breed) == ("file:/photos/a/1.jpg", "Pug")


def test_columns_are_mapped_to_known_ones_only() -> None:
    with pytest.raises(InvalidInput, match="'colour'"):
        source_of("", {"Farbe": "colour"})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no header"),
        (b"\n1.jpg\n", "none of path, key, url, but: 1.jpg. Columns that can be read: path"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 a workbook", "save it as .xlsx or CSV"),
        (b"<html><table>", "a web page, not a table"),
        (b"PK\x03\x04 a zip", "not an Excel workbook"),
        (b'"path\n1.jpg\n', "header row cannot be read"),
        (b'[{"path": "1.jpg"}]', "one object a line"),
        (b"\xff\xd8\xff\xe0 a photo\n", "header row cannot be read"),
    ],
)
def test_what_is_no_manifest_is_said(data: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(data)


def test_a_relative_path_in_an_uploaded_manifest_is_refused() -> None:
    source = ManifestSource(lambda: io.BytesIO(b"path\n1.jpg\n/a/2.jpg\n"), folder=None)
    first, second = (item for item in source.read(None) if isinstance(item, SourceItem))
    assert "must be absolute" in str(first.refusal)
    assert second.origin == "file:/a/2.jpg"


def test_a_line_without_end_is_not_held_in_memory() -> None:
    data = b'{"path": "' + b"x" * 30_000_000 + b"\n" + lines({"path": "2.jpg"}).encode()
    file = io.BytesIO(data)
    tracemalloc.start()
    items = [
        item
        for item in ManifestSource(lambda: file, folder="/").read(None)
        if isinstance(item, SourceItem)
    ]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [item.refusal is None for item in items] == [False, True]
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("\n" * 60_000 + "x\n", id="blank lines before what is no URL"),
        pytest.param("#\n \n" * 20_000 + "x\n", id="comments before what is no URL"),
        pytest.param(lines({"url": "https://a.org/1.jpg" + " ;" * 30_000 + "x"}), id="separators"),
        pytest.param(lines({"path": "1.jpg" + " " * 60_000 + "2.jpg"}), id="blanks in a name"),
        pytest.param(lines({"path": "1.jpg", "taken_at": "1" * 60_000}), id="digits of a date"),
        pytest.param(lines({"path": "1.jpg", "taken_at": "a" * 60_000}), id="letters of a date"),
        pytest.param(lines({"path": "1.jpg", "location": "1" * 60_000}), id="digits of a place"),
        pytest.param(lines({"path": "1.jpg", "tags": "a ," * 20_000}), id="tags"),
    ],
)
def test_no_cell_takes_more_time_than_its_length(table: str) -> None:
    began = time.process_time()
    with suppress(InvalidInput):
        read(table)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("clip.mov", "a video"),
        ("notes.TXT", "another kind of file"),
        ("a.xmp", "a file beside a photo"),
        ("Thumbs.db", "what systems keep"),
        ("more.zip", "an archive"),
    ],
)
@pytest.mark.parametrize("column", ["path", "url"])
def test_a_place_whose_name_is_of_no_photo_is_refused_and_not_read(
    column: str, written: str, words: str
) -> None:
    place = f"http://photos.org/@eaDir/{written}?a=b.jpg" if column == "url" else written
    (item,) = read(f"{column}\n{place}\n")
    assert item.origin is None
    assert words in (item.refusal or "")
    (kept,) = read(f"{column}\n{place.replace(written, 'IMG_0001')}\n")
    assert kept.refusal is None


def test_a_row_with_more_photos_than_an_animal_has_is_refused() -> None:
    few, many = ([f"{n}.jpg" for n in range(count)] for count in (100, 101))
    assert len(read(lines({"path": few}))) == 100
    (item,) = read(lines({"path": many}))
    assert item.refusal == "Row 1: it names 101 photos; at most 100 are read."


def test_a_row_gives_cause_for_a_few_warnings_only() -> None:
    (_, item) = read(lines({"path": "1.jpg"}, {"path": "2.jpg"} | {f"n{n}": 1 for n in range(500)}))
    assert len(item.warnings) == 20
    assert item.warnings[0].field == "n0"
    assert item.warnings[-1].detail == "Row 2: There are 481 more warnings."


def test_the_table_is_read_once_more_for_all_its_dates() -> None:
    names = [f"da{'.' * n}te" for n in range(20)]
    table = f"path,{','.join(names)}\n1.jpg{',03/04/2026' * 20}\n2.jpg{',13/04/2026' * 20}\n"
    opened = list[io.BytesIO]()

    def open_again() -> io.BytesIO:
        opened.append(io.BytesIO(table.encode()))
        return opened[-1]

    source = ManifestSource(open_again, folder="/")
    items = [entry for entry in source.read(None) if isinstance(entry, SourceItem)]
    assert items[0].metadata.taken_at == datetime(2026, 4, 3, tzinfo=None)
    assert len(opened) == 2
