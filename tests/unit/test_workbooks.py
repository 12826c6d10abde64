"""Excel workbooks as tables, the hostile ones too."""

import io
import zipfile
from collections.abc import Callable
from datetime import datetime, time

import pytest
from openpyxl import Workbook

from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput
from petsearch.sources.manifest import ManifestSource
from petsearch.tables import has_places, open_table
from tests.sources import items_of, left_out_of
from tests.tables import cells_of, rows_of, workbook


def test_an_excel_workbook_is_read_with_its_types() -> None:
    def change(book: Workbook) -> None:
        sheet = book.create_sheet("Pets", 1)
        sheet.append(["Animals"])
        sheet.append([])
        sheet.append(["Photo", None, "Animal ID", "Date", "Neutered"])
        sheet.append(["1.jpg", "?", 4711, datetime(2026, 5, 17), True])
        sheet.append([])
        sheet.append(["Photo", None, "Animal ID", "Date", "Neutered"])
        sheet.append(["2.jpg", None, None, time(0, 0)])
        sheet.append([None, "  ", None, None, None, "beyond"])

    rows = rows_of(workbook(["Read me"], change=change))
    assert [(row.number, row.cells) for row in rows] == [
        (4, {"Photo": "1.jpg", "Animal ID": 4711, "Date": datetime(2026, 5, 17), "Neutered": True}),
        (7, {"Photo": "2.jpg", "Animal ID": None, "Date": time(0, 0), "Neutered": None}),
    ]


@pytest.mark.parametrize(
    "title", [["Photos"], ["URL", "https://example.org/report"], ["Images", 12]]
)
def test_a_title_that_could_be_a_name_is_passed_over(title: list[object]) -> None:
    data = workbook(title, [], ["Animal ID", "Photo"], ["A-17", "1.jpg"])
    assert cells_of(data) == [{"Animal ID": "A-17", "Photo": "1.jpg"}]


def merged(book: Workbook) -> None:
    sheet = book.worksheets[0]
    for cells in ("A1:C1", "B3:B5", "C4:C7", "B6:C6"):
        sheet.merge_cells(cells)


def test_a_cell_that_spans_rows_describes_them_all() -> None:
    title = ["Cats of May"]
    rows: list[list[object]] = [["1.jpg", "A-18"], ["2.jpg", None, "Pug"], ["3.jpg"]]
    data = workbook(
        title,
        ["Photo", "Animal ID", "Breed"],
        *rows,
        ["4.jpg", "A-20"],
        [" "],
        ["5.jpg"],
        change=merged,
    )
    told = [(row["Photo"], row["Animal ID"], row["Breed"]) for row in cells_of(data)]
    assert told == [
        ("1.jpg", "A-18", None),
        ("2.jpg", "A-18", "Pug"),
        ("3.jpg", "A-18", "Pug"),
        ("4.jpg", "A-20", "Pug"),
        ("5.jpg", None, None),
    ]


def several_sheets(book: Workbook) -> None:
    for title, rows in {
        "Cats": [["Cats of May"], ["url", "Primary Breed"], ["https://example.org/b.jpg", "Manx"]],
        "Legend": [["Pug", "a dog"]],
        "Empty": [],
    }.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)


def test_every_worksheet_with_a_header_is_read_by_its_own() -> None:
    data = workbook(
        ["Photo", "url", "Breed"],
        ["a.jpg", "https://example.org/page", "Pug"],
        ["c.jpg", None, "Boxer"],
        change=several_sheets,
    )
    source = ManifestSource(lambda: io.BytesIO(data), folder="/f")
    items = items_of(source)
    assert [(item.origin, item.metadata.breed) for item in items] == [
        ("file:/f/a.jpg", "Pug"),
        ("file:/f/c.jpg", "Boxer"),
        ("url:https://example.org/b.jpg", "Manx"),
    ]
    assert LeftOut("rows of Legend", LeftOutReason.ROW) in left_out_of(source)
    for position, item in enumerate(items):
        assert items_of(source, item.cursor) == items[position + 1 :]


def test_messages_about_a_row_name_its_worksheet() -> None:
    data = workbook(["path"], ["1.jpg"], change=several_sheets)
    assert [row.title for row in rows_of(data)] == ["Row 2 of Sheet", "Row 3 of Cats"]


def test_reading_a_workbook_resumes_at_any_row() -> None:
    data = workbook([], ["path", "ID"], *([f"{n}.jpg", n] for n in range(5)), change=merged)
    with open_table(io.BytesIO(data), lambda names: has_places(names, {})) as table:
        whole = list(table.read())
        for position, row in enumerate(whole):
            assert list(table.read(row.number, row.end)) == whole[position + 1 :]


def repacked(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook with one of its parts changed."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w", 8) as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry == name else content)
    return written.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    "change",
    [
        lambda _: b" " * 300_000_000,
        lambda _: b"no XML",
        lambda content: content[: len(content) // 2],
        lambda content: content.replace(b"<sheetData>", b"<sheetData><row r='99999999999'/>"),
        lambda content: content.replace(b'r="A1"', b'r="ZZZZZZZ1"'),
    ],
    ids=["bomb", "no-xml", "cut", "endless", "wide"],
)
def test_a_hostile_or_broken_workbook_is_rejected_or_read_within_limits(
    change: Callable[[bytes], bytes],
) -> None:
    data = repacked(workbook(["path"], ["1.jpg"]), SHEET, change)
    try:
        assert len(rows_of(data)) <= 1
    except InvalidInput as error:
        assert "workbook" in error.detail or "header" in error.detail


@pytest.mark.parametrize(
    ("part", "what"),
    [("META-INF/manifest.xml", "an OpenDocument file"), ("Index/Document.iwa", "an archive")],
)
def test_a_table_of_another_program_is_named_with_what_to_do(part: str, what: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(part, "")
    with pytest.raises(InvalidInput, match=rf"{what}.*save its table as \.xlsx or CSV"):
        rows_of(packed.getvalue())


def test_a_workbook_that_unpacks_to_far_more_than_a_table_is_rejected() -> None:
    data = repacked(
        workbook(["path"], ["1.jpg"]),
        SHEET,
        lambda sheet: sheet.replace(b"</sheetData>", b" " * 9_000_000 + b"</sheetData>"),
    )
    with pytest.raises(InvalidInput, match="unpacks to far more than a table"):
        rows_of(data)


def test_a_workbook_that_states_a_wrong_size_is_read_whole() -> None:
    data = repacked(
        workbook(["path", "breed"], ["1.jpg", "Pug"]),
        SHEET,
        lambda content: content.replace(b'ref="A1:B2"', b'ref="A1"'),
    )
    assert cells_of(data) == [{"path": "1.jpg", "breed": "Pug"}]
