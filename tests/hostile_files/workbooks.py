"""Excel workbooks that are hard to read: XML in a zip."""

from collections.abc import Iterator

from tests.hostile_files.archives import zipped
from tests.hostile_files.grammar import Variant

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEADER = '<row r="1"><c r="A1" t="inlineStr"><is><t>path</t></is></c></row>'
_PHOTO = '<c t="inlineStr"><is><t>1.jpg</t></is></c>'


def xlsxs() -> Iterator[Variant]:
    """Far rows, parts that unpack to much, styles, entities, and sheets without number."""
    yield "a row at the end of the sheet", _book(f'{_HEADER}<row r="1048576">{_PHOTO}</row>')
    yield "a row beyond the end", _book(f'{_HEADER}<row r="{2**31 - 1}">{_PHOTO}</row>')
    yield "rows that go back", _book(_HEADER + f'<row r="2">{_PHOTO}</row>' * 20_000)
    yield "200 MB of spaces", _book(_HEADER + " " * 200_000_000)
    yield "2,000,000 empty rows", _book(_HEADER + "<row/>" * 2_000_000)
    yield "a row of 500,000 cells", _book(f"{_HEADER}<row>{'<c/>' * 500_000}</row>")
    yield "a text of 50 MB", _book(_HEADER, texts=f"<si><t>{'x' * 50_000_000}</t></si>")
    yield "1,500,000 texts", _book(_HEADER, texts="<si><t/></si>" * 1_500_000)
    yield "500 sheets", _book("<row/>" * 20, sheets=500)
    yield "100,000 elements in each other", _book("<row>" * 100_000)
    laughs = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    entities = f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]>'
    fonts = "<cellXfs><xf/></cellXfs>" + f"<fonts>{'<font/>' * 1_000_000}</fonts>"
    yield "a million fonts", _book(_HEADER, styles=fonts)
    brackets = f'<numFmt numFmtId="200" formatCode="{"[" * 1_000_000}"/>'
    shown = f'<numFmts>{brackets}</numFmts><cellXfs><xf numFmtId="200"/></cellXfs>'
    yield "a format of a million brackets", _book(_HEADER, styles=shown)
    yield "a billion laughs", _book(f'{_HEADER}<row r="2"><c><v>&a9;</v></c></row>', entities)


def _book(
    rows: str, doctype: str = "", *, texts: str = "", styles: str = "", sheets: int = 1
) -> bytes:
    numbers = range(1, sheets + 1)
    sheet = f"{doctype}<worksheet {_MAIN}><sheetData>{rows}</sheetData></worksheet>"
    of_each = "".join(f'<sheet name="s{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
    listed = f"<sheets>{of_each}</sheets>"
    links = [("worksheet", f"r{n}", f"worksheets/sheet{n}.xml") for n in numbers]
    links.append(("sharedStrings", "texts", "sharedStrings.xml"))
    links.append(("styles", "styles", "styles.xml"))
    types = "".join(
        f'<Override PartName="/xl/{part}.xml" ContentType="{_TYPES}.{kind}+xml"/>'
        for part, kind in (
            ("workbook", "sheet.main"),
            ("sharedStrings", "sharedStrings"),
            ("styles", "styles"),
        )
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">{types}</Types>',
        "_rels/.rels": _links([("officeDocument", "r1", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}">{listed}</workbook>',
        "xl/_rels/workbook.xml.rels": _links(links),
        "xl/sharedStrings.xml": f"<sst {_MAIN}>{texts}</sst>",
        "xl/styles.xml": f"<styleSheet {_MAIN}>{styles}</styleSheet>",
        **{f"xl/worksheets/sheet{n}.xml": sheet for n in numbers},
    }
    return zipped([(name, text.encode()) for name, text in parts.items()])


def _links(links: list[tuple[str, str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for kind, name, target in links
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'
