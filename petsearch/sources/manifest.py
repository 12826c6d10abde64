"""A JSONL or CSV file that says where photos are, and what is known of each, as a source.

A row has one of `path` (a file of this machine), `key` (`bucket/key` on the S3 server) and `url`,
and may have filename, breed, species, animal_id, status, tags (a JSON list, or words between `;`
or `|`), taken_at (ISO 8601) and any `attributes.<name>`. A row that cannot be used is an item with
its reason; a column that nobody knows refuses the whole file, for it is mostly a misspelt one.
"""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput, Unavailable, unknown_choice
from petsearch.domain.metadata import checked_metadata, safe_filename
from petsearch.sources import cursor as cursors
from petsearch.sources import import_folders, s3_prefix, url_list
from petsearch.sources.manifest_rows import BadRow, CsvRows, Row, read_jsonl
from petsearch.sources.source import SourceItem

PLACES = ("path", "key", "url")
"""Columns of which a row has one."""
_SAID = ("filename", "breed", "species", "animal_id", "status", "tags", "taken_at")
_ATTRIBUTE = "attributes."
ACCEPTED = (*PLACES, *_SAID, f"{_ATTRIBUTE}<name>")
"""Names of columns."""

Columns = Mapping[str, str | None]
"""From the file's names of columns to ours; None for one that is left out."""


class ManifestSource:
    """The `Source` of a manifest. The cursor holds the row's number and the next one's offset.

    Args:
        open_file: opens the manifest as a seekable stream.
        columns: names of columns that are not ours.
        folder: what paths in it are relative to; None if they must be absolute.
    """

    def __init__(
        self,
        open_file: Callable[[], BinaryIO],
        *,
        columns: Columns | None = None,
        folder: str | None = None,
    ) -> None:
        self._open_file = open_file
        self._columns = columns or {}
        self._folder = folder
        check_columns(name for name in self._columns.values() if name is not None)

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`."""
        number, offset = cursors.unpack(cursor, 2) if cursor else (0, 0)
        with _translated_disk_errors(), self._open_file() as file:
            for row in self._rows(file, number, offset):
                yield self._item(row)

    def count(self) -> int | None:
        """Not known without reading the whole file."""
        return None

    def _rows(self, file: BinaryIO, number: int, offset: int) -> Iterator[Row]:
        head = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head.startswith(b"["):
            raise InvalidInput("The manifest is a JSON list; write one object a line instead.")
        if not head.startswith(b"{"):
            table = CsvRows(file)
            check_columns(self._our_name(name) for name in table.columns)
            yield from table.read(number, offset)
            return
        for row in read_jsonl(file, number, offset):
            if row.number == 1:
                check_columns(self._our_name(name) for name in row.fields if name != "attributes")
            yield row

    def _our_name(self, name: str) -> str | None:
        return self._columns.get(name, name)

    def _item(self, row: Row) -> SourceItem:
        metadata = ImageMetadata(filename=f"row {row.number}")
        origin, refusal = None, row.problem
        if refusal is None:
            try:
                said = self._renamed(row.fields)
                origin = self._origin(said)
                metadata = _metadata(said, origin)
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

    def _renamed(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields by our names, without those that say nothing."""
        said: dict[str, object] = {}
        for name, value in _flat(fields):
            ours = self._our_name(name)
            if ours is None or value is None or value == "":
                continue
            check_columns([ours])
            if ours in said:
                raise BadRow(f"it says {ours} twice")
            said[ours] = value
        return said

    def _origin(self, said: Mapping[str, object]) -> str:
        given = [name for name in PLACES if name in said]
        if len(given) != 1:
            raise BadRow(f"it must have one of path, key and url, and has {len(given)}")
        value = said[given[0]]
        if not isinstance(value, str):
            raise BadRow(f"its {given[0]} is no text")
        if "\0" in value or not _is_unicode(value):
            raise BadRow(f"its {given[0]} has characters that no name has")
        if given[0] == "url":
            return f"{url_list.SCHEME}:{value}"
        if given[0] == "key":
            return f"{s3_prefix.SCHEME}:{value.removeprefix('s3://')}"
        if not posixpath.isabs(value) and self._folder is None:
            raise BadRow("its path must be absolute, since the manifest was uploaded")
        return f"{import_folders.SCHEME}:{posixpath.join(self._folder or '/', value)}"


def check_columns(names: Iterable[str | None]) -> None:
    """Refuse names of columns that are not ours; None stands for one that is left out.

    Raises:
        InvalidInput: lists those that are.
    """
    for name in names:
        attribute = name is not None and name.startswith(_ATTRIBUTE) and name != _ATTRIBUTE
        if name is not None and name not in ACCEPTED[:-1] and not attribute:
            raise unknown_choice("column", name, ACCEPTED)


def _flat(fields: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """JSON may hold attributes as an object of their own."""
    for name, value in fields.items():
        if name == "attributes" and isinstance(value, dict):
            yield from ((_ATTRIBUTE + inner, said) for inner, said in value.items())
        else:
            yield name, value


def _metadata(said: Mapping[str, object], origin: str) -> ImageMetadata:
    fields: dict[str, object] = {
        name: _text(said[name]) for name in _SAID if name in said and name != "tags"
    }
    if "tags" in said:
        fields["tags"] = _tags(said["tags"])
    if "taken_at" in said:
        fields["taken_at"] = _time(str(said["taken_at"]))
    fields["attributes"] = {
        name.removeprefix(_ATTRIBUTE): _text(value)
        for name, value in said.items()
        if name.startswith(_ATTRIBUTE)
    }
    if origin.startswith(f"{url_list.SCHEME}:"):
        filename = url_list.filename_of_url(origin.removeprefix(f"{url_list.SCHEME}:"))
    else:
        filename = safe_filename(origin)
    return checked_metadata(fields, filename)


def _is_unicode(text: str) -> bool:
    # JSON can escape halves of a character.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _text(value: object) -> object:
    """Numbers as text: an animal's number is one. What else is no text is refused later."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _tags(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [tag.strip() for tag in value.replace("|", ";").split(";") if tag.strip()]


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadRow(f"taken_at is {text[:40]!r}, which is no date as 2026-05-17") from error


@contextmanager
def _translated_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The manifest cannot be read: {error.strerror}.") from error
