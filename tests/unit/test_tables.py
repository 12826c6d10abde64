"""Tables as Excel, shelters' programs and people save them."""

import io
import random
from pathlib import Path

import pytest

from petsearch.domain import ImageMetadata, ItemWarning
from petsearch.domain.errors import InvalidInput
from petsearch.tables import (
    ColumnMap,
    has_places,
    map_columns,
    open_table,
    places_of,
    read_metadata,
    read_urls,
)
from tests import pictures
from tests.tables import cells_of, rows_of, said, warnings_of

ROWS = [{"path": "1.jpg", "breed": "Épagneul"}, {"path": "2.jpg", "breed": "Mops † klein"}]
TABLE = "path{0}breed\n1.jpg{0}Épagneul\n2.jpg{0}Mops † klein\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_every_delimiter_line_end_and_encoding_is_read(
    delimiter: str, newline: str, encoding: str
) -> None:
    data = TABLE.format(delimiter).replace("\n", newline).encode(encoding)
    assert cells_of(data) == ROWS


def test_json_lines_are_read_in_utf_16() -> None:
    assert cells_of('{"path": "1.jpg"}\n\n{"path": "2.jpg"}\n'.encode("utf-16")) == [
        {"path": "1.jpg"},
        {"path": "2.jpg"},
    ]


def test_one_encoding_is_chosen_for_the_whole_file() -> None:
    damaged = "path,breed\n1.jpg,Épagneul français\n2.jpg,Mops\n".encode() + b"3.jpg,Caf\xe9\n"
    assert [cells["breed"] for cells in cells_of(damaged)] == [
        "Épagneul français",
        "Mops",
        "Caf\ufffd",
    ]
    late = b"path,breed\n" + b"1.jpg,Pug\n" * 100_000 + b"2.jpg,Caf\xe9\n"
    assert cells_of(late)[-1] == {"path": "2.jpg", "breed": "Café"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_names_in_the_header_may_have_line_breaks(delimiter: str) -> None:
    table = f'"Photo\nfile"{delimiter}"Animal\nID"\r\n"c.jpg"{delimiter}"X1"\r\n'
    assert cells_of(table) == [{"Photo\nfile": "c.jpg", "Animal\nID": "X1"}]


def test_what_is_no_number_is_empty() -> None:
    (cells,) = cells_of('{"path": "a.jpg", "animal_id": NaN, "lat": Infinity, "lon": -Infinity}\n')
    assert said({}, **cells) == said({}, path="a.jpg")
    assert warnings_of(**cells) == []


@pytest.mark.parametrize("control", ["\0", "\x02", "\x1a", "\x1f", "\x7f"])
@pytest.mark.parametrize("padding", [0, 1000])
def test_control_characters_are_dropped(control: str, padding: int) -> None:
    rows = "2.jpg,z\n" * padding
    table = f"path,note\n{rows}1.jpg,x{control}y\r\n{control}"
    assert cells_of(table)[padding:] == [{"path": "1.jpg", "note": "xy"}]
    assert cells_of(table.encode("utf-16"))[padding:] == [{"path": "1.jpg", "note": "xy"}]
    lines = '{"path": "2.jpg"}\n' * padding + f'{{"path": "1{control}.jpg"}}\n{control}'
    assert cells_of(lines)[padding:] == [{"path": "1.jpg"}]


def test_what_ends_a_file_of_dos_is_no_url() -> None:
    assert read_urls(io.BytesIO(b"https://example.org/1.jpg\r\n\x1a")) == [
        "https://example.org/1.jpg"
    ]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (pictures.jpeg(1), "a JPEG picture"),
        (b"PK\x05\x06" + bytes(18), "a zip archive"),
        (b"%PDF-1.7\n\x02\x01", "a PDF document"),
        (random.Random(1).randbytes(5000), "no text"),
        (bytes(5000), "nothing but zero bytes"),
    ],
)
def test_a_binary_file_is_no_table(data: bytes, what: str) -> None:
    with pytest.raises(InvalidInput, match=f"The file is {what}, not a table"):
        rows_of(data)


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"'])
def test_excels_line_about_the_delimiter_is_followed(line: str) -> None:
    table = f"{line}\r\npath;breed, or mix\r\n1.jpg;Pug\r\n"
    assert cells_of(table) == [{"path": "1.jpg", "breed, or mix": "Pug"}]
    assert rows_of(table)[0].number == 3


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ('"path" , "breed"\n1.jpg , "Pug, small"\n', {"path": "1.jpg ", "breed": "Pug, small"}),
        ("Name, first;path\nRex;1.jpg\n", {"Name, first": "Rex", "path": "1.jpg"}),
        ("path\nRex, the dog.jpg\n", {"path": "Rex, the dog.jpg"}),
        ("path;\nRex, the dog.jpg;\n", {"path": "Rex, the dog.jpg"}),
        ("photo,photo\n1.jpg,2.jpg\n", {"photo": "1.jpg", "photo 2": "2.jpg"}),
        ('path,note\n"1.jpg","say \\"hi\\""\n', {"path": "1.jpg", "note": 'say "hi"'}),
        ('\ufeff"path";"breed"\r\n"1.jpg";""\r\n', {"path": "1.jpg", "breed": ""}),
    ],
)
def test_headers_are_divided_as_they_make_sense(table: str, cells: dict[str, object]) -> None:
    assert [{k: str(v).strip("\r\n") for k, v in row.items()} for row in cells_of(table)] == [cells]


def test_cells_may_be_missing_blank_or_too_many() -> None:
    rows = rows_of(
        "path;;breed;\n"
        "1.jpg\n"
        "2.jpg;;Pug;;;\n"
        ";;;\n"
        " \xa0;;;\n"
        "\n"
        "3.jpg;;Pug, small;;late\n"
        "path;;breed;\n"
        "4.jpg;note;\n"
    )
    assert [row.cells for row in rows] == [
        {"path": "1.jpg"},
        {"path": "2.jpg", "breed": "Pug"},
        {"path": "3.jpg", "breed": "Pug, small"},
        {"path": "4.jpg", "breed": ""},
    ]
    assert [row.number for row in rows] == [2, 3, 7, 9]
    assert [[warning.code for warning in row.warnings] for row in rows] == [
        [],
        [],
        ["extra_cells"],
        [],
    ]


def test_titles_above_the_header_are_passed_over() -> None:
    title = 'Animal inventory\n"Printed 5/17/2026, 12:30 PM"\n\n'
    assert cells_of(title + "Photo,Animal #\n1.jpg,A-17\n") == [
        {"Photo": "1.jpg", "Animal #": "A-17"}
    ]


@pytest.mark.parametrize(
    "title",
    [
        "Photos",
        "Photos;;",
        "URL;https://example.org/report",
        "File;pets.csv",
        "Images;12",
        "url\n\n",
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_title_that_could_be_a_name_is_passed_over(title: str, delimiter: str) -> None:
    lines = (title, "", "Animal ID;Photo;Breed", "A-17;1.jpg;Pug")
    assert cells_of("\n".join(lines).replace(";", delimiter)) == [
        {"Animal ID": "A-17", "Photo": "1.jpg", "Breed": "Pug"}
    ]


@pytest.mark.parametrize(
    "rows",
    [
        ["1.jpg", "2.jpg"],
        ["Rex, the dog", "image"],
        ['"1.jpg', "2.jpg"],
        ["1.jpg", '"the cat, photo"', '"photo,image"'],
    ],
    ids=["names", "words", "an open quote", "names of columns below"],
)
def test_a_single_name_is_the_header_if_no_other_row_is(rows: list[str]) -> None:
    table = "\n".join(("Pets of May", "photo", *rows))
    found = [str(cells["photo"]).strip() for cells in cells_of(table)]
    assert found == [row.replace('"', "") for row in rows]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Animal ID", "animal_id"),
        (" ANIMAL-ID ", "animal_id"),
        ("animalId", "animal_id"),
        ("Animal #", "animal_id"),
        ("Primary Breed", "breed"),
        ("Taken At", "taken_at"),
        ("\xa0Status", "status"),
        ("Latitude", "lat"),
        ("lng", "lon"),
        ("Photo URL 2", "path"),
        ("image3", "path"),
        ("Attributes.Collar", "attributes.Collar"),
    ],
)
def test_names_of_columns_are_read_as_people_write_them(name: str, field: str) -> None:
    assert dict(map_columns([name], {}).fields) == {field: [name]}


def test_a_given_column_takes_the_place_of_others() -> None:
    names = ["photo", "path", "Breed", "Type", "Note", "color"]
    found = map_columns(names, {"PHOTO": "path", "type": "breed", "note": None})
    assert found == ColumnMap({"path": ["photo"], "breed": ["Type"]}, ["path", "Breed", "color"])


def test_the_better_name_counts_first_and_the_next_if_it_is_empty() -> None:
    assert said(type="Dog", species="cat", id="7", animal_id="A-7").species == "cat"
    assert said(type="Dog", species=" ").species == "Dog"


@pytest.mark.parametrize(
    "empty", ["", " ", "-", "--", "n/a", "N/A", "N.A.", "#N/A", "NULL", "#REF!", None]
)
def test_empty_cells_say_nothing(empty: str | None) -> None:
    cells = dict.fromkeys(("breed", "tags", "taken_at", "lat", "lon", "location"), empty)
    assert said(None, **cells) == ImageMetadata(filename="a.jpg")
    assert warnings_of(**cells) == []


@pytest.mark.parametrize(
    ("cell", "tags"),
    [
        ("shy; old dog;", ("shy", "old dog")),
        ("shy|old dog", ("shy", "old dog")),
        ("shy, old dog, shy", ("shy", "old dog")),
        ("black, white; shy", ("black, white", "shy")),
        ('["black, white", "shy", null, 7]', ("black, white", "shy", "7")),
        (["shy", "", "old dog"], ("shy", "old dog")),
        ("[sic]", ("[sic]",)),
        (7, ("7",)),
    ],
)
def test_tags_are_divided(cell: object, tags: tuple[str, ...]) -> None:
    assert said(tags=cell).tags == tags


@pytest.mark.parametrize(
    "cells",
    [
        {"lat": "48.2", "lon": "16.37"},
        {"lat": " 48,2 ", "lon": "16,37"},
        {"Latitude": "48.2° N", "Longitude": "16.37°E"},
        {"lat": 48.2, "lon": 16.37},
        {"location": "48.2, 16.37"},
        {"location": "48,2; 16,37"},
        {"GPS": "(48.2 16.37)"},
        {"GPS": "48°12'00.0\"N 16°22'12.0\"E"},
        {"GPS": "48° 12\u2032 N, 16° 22.2\u2032 E"},
        {"GPS": "N 48.2 E 16.37"},
        {"lat": "48°12'N", "lon": "E16,37"},
        {"location": {"lat": 48.2, "lon": 16.37}},
        {"location": {"latitude": "48,2", "lng": 16.37}},
        {"coordinates": [48.2, 16.37]},
    ],
)
def test_a_place_is_read_in_any_form(cells: dict[str, object]) -> None:
    assert said(None, **cells).location == (48.2, 16.37)


def test_a_place_in_words_is_an_attribute_and_zero_is_none() -> None:
    found = said(location="Kennel 4, north")
    assert (found.location, found.attributes) == (None, {"location": "Kennel 4, north"})
    assert said(lat="0", lon="0.0") == ImageMetadata(filename="a.jpg")
    assert said(lat="-33.9", lon="151.2").location == (-33.9, 151.2)
    assert said(lat="33.9 S", lon="151.2").location == (-33.9, 151.2)


def test_a_cell_that_does_not_fit_costs_itself_and_is_named() -> None:
    cells = {
        "Breed": "x" * 201,
        "status": "lost",
        "tags": ["shy", "y" * 201],
        "lat": "91",
        "lon": "16",
        "attributes.note": "z" * 201,
        "attributes.neutered": True,
        "attributes.weight": 4.0,
        "animal_id": {"a": 1},
        "taken_at": True,
        "species": "caf\ufffd",
    }
    metadata, warnings = read_metadata(cells, map_columns(list(cells), {}), "a.jpg")
    assert metadata == ImageMetadata(
        filename="a.jpg",
        status="lost",
        tags=("shy",),
        attributes={"neutered": "true", "weight": "4"},
    )
    assert sorted(str(warning.field) for warning in warnings) == [
        *("Breed", "animal_id", "attributes.note", "lat", "species", "tags", "taken_at"),
    ]
    assert (
        ItemWarning(
            "cell_ignored",
            "Breed does not fit: must have at most 200 characters. It is left out.",
            "Breed",
        )
        in warnings
    )


def test_a_long_file_name_is_shortened() -> None:
    name = said(path="a.jpg", filename="x" * 250 + ".jpg").filename
    assert (len(name), name[-5:]) == (200, "….jpg")


def test_more_attributes_than_a_photo_has_are_left_out() -> None:
    cells = {f"attributes.{n}": "x" for n in range(51)}
    metadata, warnings = read_metadata(cells, map_columns(list(cells), {}), "a.jpg")
    assert (len(metadata.attributes), len(warnings)) == (50, 1)
    assert said(tags=",".join(map(str, range(60)))).tags == tuple(map(str, range(50)))


def test_values_are_composed_trimmed_and_freed_of_excels_formula() -> None:
    found = said(breed="\xa0 E\u0301pagneul\u200b ", animal_id='="0017"')
    assert (found.breed, found.animal_id) == ("Épagneul", "0017")


@pytest.mark.parametrize(
    ("cells", "places"),
    [
        ({"photo1": "a.jpg", "photo2": " ", "photo3": "b.jpg"}, ["path a.jpg", "path b.jpg"]),
        ({"photos": "a.jpg; b.png|c.jpeg"}, ["path a.jpg", "path b.png", "path c.jpeg"]),
        ({"path": "a.jpg, b.jpg"}, ["path a.jpg", "path b.jpg"]),
        ({"path": "a.jpg\nb.jpg"}, ["path a.jpg", "path b.jpg"]),
        ({"path": '["a.jpg", "b;c.jpg"]'}, ["path a.jpg", "path b;c.jpg"]),
        ({"photos": ["a.jpg", {"small": "s", "full": "f.jpg"}]}, ["path a.jpg", "path f.jpg"]),
        ({"path": "Rex, the dog.jpg"}, ["path Rex, the dog.jpg"]),
        ({"path": "sub\\a.jpg"}, ["path sub/a.jpg"]),
        ({"Photo": "https://a.org/1;2.jpg"}, ["url https://a.org/1;2.jpg"]),
        (
            {"photos": "https://a.org/1.jpg,https://a.org/2.jpg"},
            ["url https://a.org/1.jpg", "url https://a.org/2.jpg"],
        ),
        ({"path": "s3://b/a.jpg"}, ["key b/a.jpg"]),
        ({"path": "file:///srv/a%20b.jpg"}, ["path /srv/a b.jpg"]),
        ({"filename": "a.jpg"}, ["path a.jpg"]),
        ({"url": "<https://a.org/1.jpg>"}, ["url https://a.org/1.jpg"]),
        ({"photo": "<https://a.org/1.jpg>"}, ["url https://a.org/1.jpg"]),
        ({"path": float("nan"), "url": "https://a.org/1.jpg"}, ["url https://a.org/1.jpg"]),
        ({"photo": "a.jpg", "url": "https://a.org/animals/7"}, ["path a.jpg"]),
    ],
)
def test_a_row_may_have_several_photos(cells: dict[str, object], places: list[str]) -> None:
    found = places_of(cells, map_columns(list(cells), {}))
    assert [f"{place.kind} {place.text}" for place in found] == places


URLS = "# photos of May\n\n https://a.org/é.jpg \nhttps://a.org/2.jpg\n\t\n#https://a.org/3.jpg\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_a_list_of_urls_is_a_table(newline: str, encoding: str) -> None:
    data = URLS.replace("\n", newline).encode(encoding)
    urls = ["https://a.org/é.jpg", "https://a.org/2.jpg"]
    assert [(row.number, row.cells) for row in rows_of(data)] == [
        (3, {"url": urls[:1]}),
        (4, {"url": urls[1:]}),
    ]
    assert read_urls(io.BytesIO(data)) == urls


@pytest.mark.parametrize(
    "line",
    [
        "<https://a.org/1.jpg>, <https://a.org/2.jpg>",
        '"https://a.org/1.jpg","https://a.org/2.jpg"',
        "https://a.org/1.jpg\thttps://a.org/2.jpg",
        "- https://a.org/1.jpg; https://a.org/2.jpg;",
    ],
)
def test_what_stands_around_urls_is_no_part_of_them(line: str) -> None:
    found = read_urls(io.BytesIO(line.encode()))
    assert found == ["https://a.org/1.jpg", "https://a.org/2.jpg"]


def test_southern_and_western_places_are_negative() -> None:
    place = said(None, location="33°52'08\"S 151°12'33\"W").location
    assert place == pytest.approx((-33.868889, -151.209167), abs=1e-5)
    assert said(None, location="N 33.5 W 151.5").location == (33.5, -151.5)


def test_a_line_that_is_too_long_for_a_url_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"Line 2 .* longer than 64 kB"):
        read_urls(io.BytesIO(b"https://a.org/1.jpg\n" + b"x" * 70_000))


def test_a_file_on_disk_is_read_like_one_in_memory(tmp_path: Path) -> None:
    (tmp_path / "pets.csv").write_bytes(TABLE.format(";").encode("cp1252"))
    with (
        (tmp_path / "pets.csv").open("rb") as file,
        open_table(file, lambda names: has_places(names, {})) as table,
    ):
        assert [dict(row.cells) for row in table.read()] == ROWS


LONG = "word, word\n" * 10_000


@pytest.mark.parametrize(
    "row",
    [
        f'b.jpg,"{LONG}"',
        f'b.jpg,"{2 * LONG}"',
        f'b.jpg,"{LONG.replace(chr(10), " ")}"',
        "b.jpg," + "x" * 70_000,
    ],
    ids=["lines in quotes", "a cell beyond 128 kB", "quotes", "plain"],
)
def test_a_row_that_is_too_long_costs_itself(row: str) -> None:
    first, problem, last = rows_of(f"path,note\na.jpg,short\n{row}\nc.jpg,short\n")
    assert (first.cells["path"], last.cells["path"]) == ("a.jpg", "c.jpg")
    assert (problem.number, problem.problem) == (3, "it is longer than 64 kB")


def test_a_title_that_is_too_long_costs_nothing() -> None:
    title = "x" * 70_000
    assert cells_of(f"{title}\npath,note\na.jpg,short\n") == [{"path": "a.jpg", "note": "short"}]
    with pytest.raises(InvalidInput, match="longer than 64 kB"):
        rows_of(f"path,{title}\na.jpg,short\n")


def test_quotes_that_nothing_closes_are_looked_for_once() -> None:
    lines = [f'{n}.jpg,"open {n}' for n in range(2_000)]
    lines = [line.replace('"', '"' if n % 100 == 0 else "") for n, line in enumerate(lines)]
    rows = rows_of("path,note\n" + "\n".join(f"{line}{'x' * 900}" for line in lines))
    assert len(rows) == 2_000
