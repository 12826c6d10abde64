"""Joins the rows of a table to photos by the names of their files."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from petsearch.client.local_photos import PhotoSource
from petsearch.client.photo import Photo
from petsearch.domain import JsonDict, LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import PhotoMetadata, safe_filename, safe_path
from petsearch.tables import (
    Columns,
    DayOrders,
    Row,
    RowColumns,
    Table,
    check_columns,
    has_places,
    open_table,
    places_of,
    read_metadata,
)

Warnings = list[tuple[str, str]]


def join_table(source: PhotoSource, path: Path, columns: Columns) -> PhotoSource:
    """The same photos, with what the rows of a table say of them.

    A row is of the photo whose path in its folder it names, or else of the only one of that name;
    neither case nor the composition of letters matters. Photos without a row and rows of a photo
    that is not there are warned of; rows that name none are left out.

    Args:
        path: of a CSV, JSONL or XLSX file.
        columns: what its columns hold, where their names do not tell.

    Raises:
        InvalidInput: the file is no table, or has no column with the names of files.
    """

    @contextmanager
    def open_again() -> Iterator[Table]:
        with (
            path.open("rb") as file,
            open_table(file, lambda names: has_places(names, columns)) as table,
        ):
            yield table

    with open_again() as table:
        if table.has_header:
            check_columns(table.columns, columns)
        row_columns = RowColumns(table, columns)
        reader = _Reader(row_columns, DayOrders(open_again), source.warnings)
        said_of: dict[str, JsonDict] = {}
        for name, said in (entry for row in table.read() for entry in reader.read(row)):
            if said_of.setdefault(name, said) is not said:
                source.warnings.append((name, "Several rows are of this photo; the first counts."))
    row_of = _match(source.names, said_of, source.warnings)

    def describe(photo: Photo) -> Photo:
        said = row_of.get(_key(photo.metadata.get("source_path", photo.filename)))
        return photo if said is None else replace(photo, metadata=_merged(photo.metadata, said))

    left_out = [*source.left_out, *row_columns.left_out(), *reader.left_out]
    return replace(source, photos=map(describe, source.photos), left_out=left_out)


class _Reader:
    """Reads what rows say of the photos that they name."""

    def __init__(self, columns: RowColumns, orders: DayOrders, warnings: Warnings) -> None:
        self._columns = columns
        self._orders = orders
        self._warnings = warnings
        self.left_out: list[LeftOut] = []

    def read(self, row: Row) -> Iterator[tuple[str, JsonDict]]:
        """The names of a row's photos, each with the fields of its metadata."""
        columns = self._columns.of(row)
        try:
            if row.problem is not None:
                raise InvalidInput(row.problem)
            places = places_of(row.cells, columns)
        except InvalidInput as error:
            self._warnings.append((row.name, error.detail))
            return
        if not places:
            self.left_out.append(LeftOut(row.name, LeftOutReason.ROW))
        for place in places:
            name = safe_filename(place.text)
            metadata, warnings = read_metadata(
                row.cells, columns, name, day_first=self._orders.find
            )
            told = (f"{row.title}: {warning.detail}" for warning in warnings)
            self._warnings += ((name, detail) for detail in told)
            said = PhotoMetadata.of(metadata).model_dump(mode="json", exclude_none=True)
            yield _key(place.text), said


def _match(
    photos: Sequence[str], said_of: dict[str, JsonDict], warnings: Warnings
) -> dict[str, JsonDict]:
    """What is said of photos, by their keys."""
    keys = [_key(name) for name in photos]
    of_name: dict[str, list[str]] = {}
    for key in keys:
        of_name.setdefault(PurePosixPath(key).name, []).append(key)
    found = {key: said_of[key] for key in keys if key in said_of}
    for name, said in said_of.items():
        if name in found:
            continue
        alike = [key for key in of_name.get(PurePosixPath(name).name, ()) if key not in found]
        if len(alike) == 1:
            found[alike[0]] = said
        elif alike:
            warnings.append((name, f"The table's row could be of {len(alike)} photos."))
        else:
            warnings.append((name, "The table has a row for it, but there is no such photo."))
    missing = [name for name, key in zip(photos, keys, strict=True) if key not in found]
    warnings += [(safe_path(name), "The table has no row for it.") for name in missing]
    return found


def _merged(metadata: Mapping[str, Any], said: JsonDict) -> JsonDict:
    """What a table says goes before what lies beside the photo."""
    tags = dict.fromkeys([*metadata.get("tags", ()), *said.get("tags", ())])
    attributes = {**metadata.get("attributes", {}), **said.get("attributes", {})}
    own = {"filename": metadata["filename"], "tags": [*tags], "attributes": attributes}
    return {**metadata, **said, **own}


def _key(name: str) -> str:
    path = PurePosixPath(safe_path(name).replace("\\", "/"))
    return unicodedata.normalize("NFC", str(path)).casefold()
