"""Properties of the parsers of zip files, tar files, manifests and cursors, on generated input.

`pytest --hypothesis-profile=explore` tries other and more input than the usual run.
"""

import csv
import io
import itertools
import unicodedata
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsearch.adapters.qdrant.time_pages import newest_page
from petsearch.domain import Filters, LeftOut
from petsearch.domain.errors import Conflict, InvalidInput
from petsearch.domain.visible_text import visible_text
from petsearch.search import pages
from petsearch.sources import Source, SourceItem, cursor
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.manifest import ManifestSource
from petsearch.sources.names import refusal_by_name
from petsearch.tables.cells import is_empty
from petsearch.tables.delimited import cells_without_quotes
from tests.archives import KINDS, made, source_of
from tests.contract.records import record
from tests.tables import workbook

MOST_ITEMS = 1000
ZIP_AND_TAR = ("zip", "zip stored", "tar", "tar.gz")

# Names that every archive format can hold.
NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["C"]), max_size=30)
ENTRIES = st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=6).map(
    lambda entries: [(f"a/p{n}{name}.jpg", data) for n, (name, data) in enumerate(entries)]
)
CHANGES = st.lists(st.tuples(st.integers(0), st.binary(min_size=1, max_size=8)))
HEADS = [
    *(b"", b"PK\x05\x06", b"\x1f\x8b", b"BZh", b"path\n", b"key;url\n", b'{"path":'),
    *(b"sep=;\npath;date\n", "path,date\n".encode("utf-16")),
]
TEXT = (
    st.text(
        st.characters(exclude_characters="\ufffd", exclude_categories=["C", "Z"]),
        min_size=1,
        max_size=40,
    )
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(
        lambda text: (
            visible_text(text) == text and not is_empty(text) and not text.startswith(("[", '="'))
        )
    )
)
KEYS = TEXT.filter(lambda text: not {*text} & {*",;|"}).map(
    lambda text: unicodedata.normalize("NFC", f"p{text}")
)
"""One name a cell, with a letter: lines without one are no rows. An accent joins the letter."""
LIKE_CURSORS = st.from_regex(r"[A-Za-z0-9_\-:.+T]{1,60}", fullmatch=True)


def read_any(source: Source) -> list[SourceItem | LeftOut]:
    """The entries; none if the file is rejected."""
    try:
        entries = list(itertools.islice(source.read(None), MOST_ITEMS))
        source.count()
    except InvalidInput:
        return []
    assert len(entries) < MOST_ITEMS
    return entries


def read_items(source: Source) -> list[SourceItem]:
    """The photos of a file that is not rejected."""
    return [entry for entry in source.read(None) if isinstance(entry, SourceItem)]


def check_any(source: Source) -> None:
    """Every item is a photo or rejected, and reading goes on from each of them."""
    entries = read_any(source)
    items = [(n, entry) for n, entry in enumerate(entries) if isinstance(entry, SourceItem)]
    for number, item in items:
        assert (item.refusal is None) == (item.data is not None or item.origin is not None)
        item.metadata.filename.encode()
        if number in (0, len(entries) - 1):
            assert list(source.read(item.cursor)) == entries[number + 1 :]


@pytest.mark.parametrize("kind", KINDS)
@given(entries=ENTRIES)
def test_an_archive_gives_the_bytes_that_went_in(
    kind: str, entries: list[tuple[str, bytes]]
) -> None:
    source = source_of(made(kind, entries))
    items = read_items(source) if entries else []
    assert [item.data for item in items] == [data for _, data in entries]
    for number, item in enumerate(items):
        assert list(source.read(item.cursor)) == items[number + 1 :]


@given(data=st.binary(max_size=2000), head=st.sampled_from(HEADS))
def test_any_bytes_are_read_or_rejected(data: bytes, head: bytes) -> None:
    check_any(ArchiveSource(lambda: io.BytesIO(head + data)))
    check_any(ManifestSource(lambda: io.BytesIO(head + data), folder="/"))


@pytest.mark.parametrize("kind", ZIP_AND_TAR)
@given(entries=ENTRIES, changes=CHANGES)
def test_an_overwritten_archive_gives_items_or_is_rejected(
    kind: str, entries: list[tuple[str, bytes]], changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(made(kind, entries))
    for place, written in changes:
        at = place % len(data)
        data[at : at + len(written)] = written
    check_any(ArchiveSource(lambda: io.BytesIO(bytes(data))))


@given(changes=CHANGES)
def test_an_overwritten_workbook_gives_rows_or_is_rejected(
    changes: list[tuple[int, bytes]],
) -> None:
    data = bytearray(workbook(["path", "date"], ["1.jpg", date(2026, 5, 17)]))
    for place, written in changes:
        at = place % len(data)
        data[at : at + len(written)] = written
    check_any(ManifestSource(lambda: io.BytesIO(bytes(data)), folder="/"))


@given(
    rows=st.lists(st.tuples(KEYS, TEXT), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_a_manifest_gives_what_a_csv_writer_wrote(
    rows: list[tuple[str, str]], delimiter: str, newline: str
) -> None:
    written = io.StringIO(newline="")
    table = csv.writer(written, delimiter=delimiter, lineterminator=newline)
    table.writerows([("key", "attributes.note"), *rows])
    source = ManifestSource(lambda: io.BytesIO(written.getvalue().encode()))
    items = read_items(source)
    assert [(item.origin, item.metadata.attributes["note"]) for item in items] == [
        (None if refusal_by_name(key) else f"s3:{key}", note) for key, note in rows
    ]
    check_any(source)


@given(
    line=st.text(st.sampled_from('ab ,;\t|"\r\x0b\xa0\u2028')),
    end=st.sampled_from(["", "\n", "\r\n"]),
    delimiter=st.sampled_from(",;\t|"),
)
def test_a_line_without_quotes_is_divided_as_csv_divides_it(
    line: str, end: str, delimiter: str
) -> None:
    cells = cells_without_quotes(line + end, delimiter)
    if cells is None:
        assert '"' in line or "\r" in line
    else:
        reader = csv.reader([line + end], delimiter=delimiter, strict=True, skipinitialspace=True)
        assert [cells] == [*reader]


@given(numbers=st.lists(st.integers(0), min_size=1, max_size=4))
def test_a_cursor_of_numbers_gives_them_back(numbers: list[int]) -> None:
    assert cursor.unpack(cursor.pack(*numbers), len(numbers)) == tuple(numbers)


@given(
    model_id=st.text(min_size=1, max_size=20),
    question=st.binary(min_size=6, max_size=6),
    shown=st.lists(st.binary(min_size=5, max_size=5), max_size=20),
)
def test_a_cursor_of_a_search_gives_its_walk_back(
    model_id: str, question: bytes, shown: list[bytes]
) -> None:
    walk = pages.Walk(model_id, question, tuple(shown))
    assert pages.resume(walk.to_cursor(), model_id, question) == walk


def _of_a_source(text: str) -> object:
    return cursor.unpack(text, 2)


def _of_a_search(text: str) -> object:
    return pages.resume(text, "model", b"123456")


def _of_a_list(text: str) -> object:
    return newest_page(
        Filters(),
        "created_at",
        limit=2,
        cursor=text,
        latest=lambda *_: [record(1)],
        by_id=lambda *_: [record(2)],
    )


@pytest.mark.parametrize("read", [_of_a_source, _of_a_search, _of_a_list])
@given(text=st.one_of(st.text(max_size=60), LIKE_CURSORS))
def test_any_text_is_a_cursor_or_rejected(read: Callable[[str], object], text: str) -> None:
    try:
        read(text)
    except (InvalidInput, Conflict):
        return
