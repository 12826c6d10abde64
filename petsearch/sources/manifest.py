"""A JSONL or CSV file of photos and their metadata as a source.

A row has one of `path` (a file of the server), `key` (`bucket/key` on the S3 server) and `url`, and
may have filename, breed, species, animal_id, status, tags (a JSON list, or words separated by `;`
or `|`), taken_at (ISO 8601) and any `attributes.<name>`. An invalid row is an item with a refusal;
an unknown column, usually a misspelt one, rejects the whole file.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput, unknown_choice
from petsearch.domain.metadata import parse_metadata, safe_filename
from petsearch.sources import cursor as cursors
from petsearch.sources import import_folders, s3_prefix, url_list
from petsearch.sources.manifest_rows import BadRow, CsvRows, Row, read_jsonl
from petsearch.sources.source import Source, SourceItem, disk_errors

PLACES = ("path", "key", "url")
"""The columns of which a row has exactly one."""
_METADATA = ("filename", "breed", "species", "animal_id", "status", "tags", "taken_at")
_ATTRIBUTE = "attributes."
ACCEPTED = (*PLACES, *_METADATA, f"{_ATTRIBUTE}<name>")
"""The accepted columns."""

Columns = Mapping[str, str | None]
"""From columns of the file to accepted ones; None for one that is ignored."""


@dataclass(frozen=True)
class ManifestSource(Source):
    """The `Source` of a manifest. The cursor has the row number and the offset of the next row."""

    open_file: Callable[[], BinaryIO]
    """Opens the manifest as a seekable stream."""
    columns: Columns = field(default_factory=dict)
    folder: str | None = None
    """The folder that paths are relative to; None if they must be absolute."""

    def __post_init__(self) -> None:
        check_columns(self.columns.values())

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        number, offset = cursors.unpack(cursor, 2) if cursor else (0, 0)
        with disk_errors("The manifest"), self.open_file() as file:
            for row in self._rows(file, number, offset):
                yield self._item(row)

    def _rows(self, file: BinaryIO, number: int, offset: int) -> Iterator[Row]:
        head = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head.startswith(b"["):
            raise InvalidInput("The manifest is a JSON list; write one object a line instead.")
        if not head.startswith(b"{"):
            table = CsvRows(file)
            check_columns(self._mapped(name) for name in table.columns)
            yield from table.read(number, offset)
            return
        for row in read_jsonl(file, number, offset):
            if row.number == 1:
                check_columns(self._mapped(name) for name in row.fields if name != "attributes")
            yield row

    def _mapped(self, name: str) -> str | None:
        return self.columns.get(name, name)

    def _item(self, row: Row) -> SourceItem:
        metadata = ImageMetadata(filename=f"row {row.number}")
        origin, refusal = None, row.problem
        if refusal is None:
            try:
                given = self._rename(row.fields)
                origin = self._origin(given)
                metadata = _metadata(given, origin)
            except BadRow as error:
                origin, refusal = None, str(error)
            except InvalidInput as error:
                origin, refusal = None, error.detail.rstrip(".")
        return SourceItem(
            metadata,
            cursors.pack(row.number, row.end),
            origin=origin,
            refusal=refusal and f"Row {row.number}: {refusal}.",
        )

    def _rename(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields by accepted columns, without empty ones."""
        given: dict[str, object] = {}
        for name, value in _flat(fields):
            column = self._mapped(name)
            if column is None or value is None or value == "":
                continue
            check_columns([column])
            if column in given:
                raise BadRow(f"it has {column} twice")
            given[column] = value
        return given

    def _origin(self, given: Mapping[str, object]) -> str:
        places = [name for name in PLACES if name in given]
        if len(places) != 1:
            raise BadRow(f"it must have one of path, key and url, and has {len(places)}")
        (place,) = places
        value = given[place]
        if not isinstance(value, str):
            raise BadRow(f"its {place} is not a text")
        if "\0" in value or not _is_unicode(value):
            raise BadRow(f"its {place} has characters that no name has")
        if place == "url":
            return f"{url_list.SCHEME}:{value}"
        if place == "key":
            return f"{s3_prefix.SCHEME}:{value.removeprefix('s3://')}"
        if not posixpath.isabs(value) and self.folder is None:
            raise BadRow("its path must be absolute, since the manifest was uploaded")
        return f"{import_folders.SCHEME}:{posixpath.join(self.folder or '/', value)}"


def check_columns(names: Iterable[str | None]) -> None:
    """Check that columns are accepted; None stands for one that is ignored.

    Raises:
        InvalidInput: one is not; the message lists the accepted ones.
    """
    for name in names:
        attribute = name is not None and name.startswith(_ATTRIBUTE) and name != _ATTRIBUTE
        if name is not None and name not in ACCEPTED[:-1] and not attribute:
            raise unknown_choice("column", name, ACCEPTED)


def _flat(fields: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Flatten `attributes`, which JSON may have as an object."""
    for name, value in fields.items():
        if name == "attributes" and isinstance(value, dict):
            yield from ((_ATTRIBUTE + inner, text) for inner, text in value.items())
        else:
            yield name, value


def _metadata(given: Mapping[str, object], origin: str) -> ImageMetadata:
    fields: dict[str, object] = {
        name: _text(given[name]) for name in _METADATA if name in given and name != "tags"
    }
    if "tags" in given:
        fields["tags"] = _tags(given["tags"])
    if "taken_at" in given:
        fields["taken_at"] = _time(str(given["taken_at"]))
    fields["attributes"] = {
        name.removeprefix(_ATTRIBUTE): _text(value)
        for name, value in given.items()
        if name.startswith(_ATTRIBUTE)
    }
    if origin.startswith(f"{url_list.SCHEME}:"):
        filename = url_list.filename_of_url(origin.removeprefix(f"{url_list.SCHEME}:"))
    else:
        filename = safe_filename(origin)
    return parse_metadata(fields, filename)


def _is_unicode(text: str) -> bool:
    # JSON can escape unpaired surrogates.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: object) -> object:
    """Numbers as text, since ids of animals may be numbers; other types are rejected later."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _tags(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [tag.strip() for tag in value.replace("|", ";").split(";") if tag.strip()]


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadRow(f"taken_at is {text[:40]!r}, which is not a date like 2026-05-17") from error
