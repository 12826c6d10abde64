"""A table of photos and their metadata (CSV, JSONL, XLSX) as a source.

A row has one or more photos, each at a `path` (a file of the server), a `key` (`bucket/key` on the
S3 server) or a `url`, and the metadata of all of them. A row that names no photo is left out, and
one that cannot be read is an item with a refusal. A cell that does not fit is left out with a
warning; unknown columns are named.
"""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from petsearch.domain import ImageMetadata, ItemWarning, LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput
from petsearch.domain.jobs import fitting_warnings
from petsearch.domain.metadata import safe_filename, safe_path
from petsearch.sources import cursor as cursors
from petsearch.sources import import_folders, s3_prefix, url_list
from petsearch.sources.names import refusal_by_name
from petsearch.sources.source import Source, SourceItem, disk_errors
from petsearch.tables import (
    ColumnMap,
    Columns,
    DayOrders,
    Place,
    Row,
    RowColumns,
    Table,
    check_columns,
    check_fields,
    has_places,
    open_table,
    places_of,
    read_metadata,
)
from petsearch.tables.url_lines import UrlLines


@dataclass(frozen=True)
class ManifestSource(Source):
    """The `Source` of a manifest.

    The cursor has the number and the end of a row, and how many photos of the row after it are
    read, if any.
    """

    open_file: Callable[[], BinaryIO]
    """Opens the manifest as a seekable stream."""
    columns: Columns = field(default_factory=dict)
    folder: str | None = None
    """The folder that paths are relative to; None if they must be absolute."""

    def __post_init__(self) -> None:
        check_fields(self.columns.values())

    def read(self, cursor: str | None) -> Iterator[SourceItem | LeftOut]:
        number, end, done = _unpack(cursor)
        with disk_errors("The manifest"), self.open() as table:
            if table.has_header:
                check_columns(table.columns, self.columns)
            rows = _Rows(self, table)
            if cursor is None:
                yield from rows.columns.left_out()
            for row in table.read(number, end):
                items = rows.items(row)
                for count, item in enumerate(items[done:-1], done + 1):
                    yield replace(item, cursor=cursors.pack(number, end, count))
                yield items[-1] if items else LeftOut(row.name, LeftOutReason.ROW)
                number, end, done = row.number, row.end, 0

    @contextmanager
    def open(self) -> Iterator[Table]:
        """Open the table."""
        with self.open_file() as file, open_table(file, self._is_header) as table:
            yield table

    def _is_header(self, names: Sequence[str]) -> bool:
        return has_places(names, self.columns)

    def origin_of(self, place: Place) -> str:
        """The origin of a photo.

        Raises:
            InvalidInput: its path is not absolute, and there is no folder.
        """
        if place.kind == "url":
            return f"{url_list.SCHEME}:{place.text}"
        if place.kind == "key":
            return f"{s3_prefix.SCHEME}:{place.text}"
        if not posixpath.isabs(place.text) and self.folder is None:
            raise InvalidInput("its path must be absolute, since the manifest was uploaded.")
        return f"{import_folders.SCHEME}:{posixpath.join(self.folder or '/', place.text)}"


class _Rows:
    """Makes the items of rows."""

    def __init__(self, source: ManifestSource, table: Table) -> None:
        self._source = source
        self._has_metadata = not isinstance(table, UrlLines)
        self.columns = RowColumns(table, source.columns)
        self._day_orders = DayOrders(source.open)

    def items(self, row: Row) -> list[SourceItem]:
        """The photos that a row names, or its refusal; all have the cursor after the row."""
        if row.problem is not None:
            return [_refused(row, row.problem)]
        columns = self.columns.of(row)
        try:
            places = places_of(row.cells, columns, has_metadata=self._has_metadata)
        except InvalidInput as error:
            return [_refused(row, error.detail)]
        if not places:
            return []
        described = self._describe(row, columns, _filename_of(places[0]))
        if len(places) == 1:
            return [self._item(row, places[0], *described)]
        metadata, warnings = described
        named = ((place, replace(metadata, filename=_filename_of(place))) for place in places)
        return [self._item(row, place, said, warnings) for place, said in named]

    def _describe(
        self, row: Row, columns: ColumnMap, filename: str
    ) -> tuple[ImageMetadata, tuple[ItemWarning, ...]]:
        """What a row says of all its photos, and the warnings about it."""
        metadata, warnings = read_metadata(
            row.cells, columns, filename, day_first=self._day_orders.find
        )
        strange = map(_unknown_column, self.columns.strange(columns))
        warnings = fitting_warnings((*row.warnings, *warnings, *strange))
        return metadata, tuple(replace(w, detail=f"{row.title}: {w.detail}") for w in warnings)

    def _item(
        self, row: Row, place: Place, metadata: ImageMetadata, warnings: tuple[ItemWarning, ...]
    ) -> SourceItem:
        try:
            origin = self._source.origin_of(place)
        except InvalidInput as error:
            return _refused(row, error.detail)
        is_url = place.kind == "url"
        refusal = (url_list.refusal_of_url if is_url else refusal_by_name)(place.text)
        return SourceItem(
            metadata,
            cursors.pack(row.number, row.end),
            origin=None if refusal else origin,
            refusal=refusal,
            warnings=warnings,
        )


def _filename_of(place: Place) -> str:
    return (url_list.filename_of_url if place.kind == "url" else safe_filename)(place.text)


def _unpack(cursor: str | None) -> tuple[int, ...]:
    if cursor is None:
        return (0, 0, 0)
    return cursors.unpack(cursor if cursor.count(":") > 1 else f"{cursor}:0", 3)


def _unknown_column(name: str) -> ItemWarning:
    shown = safe_path(name)[:100]
    return ItemWarning("unknown_column", f"{shown} means nothing here. It is left out.", shown)


def _refused(row: Row, reason: str) -> SourceItem:
    return SourceItem(
        ImageMetadata(filename=row.name),
        cursors.pack(row.number, row.end),
        refusal=f"{row.title}: {reason.rstrip('.')}.",
    )
