"""A Hugging Face data set as a source that the server reads. The cursor is the row number."""

from collections.abc import Iterator
from pathlib import Path

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import checked_metadata, safe_filename
from petsearch.sources import cursor as cursors
from petsearch.sources import import_folders
from petsearch.sources.dataset_rows import DatasetOptions, DatasetRow, open_rows
from petsearch.sources.source import SourceItem


class DatasetSource:
    """The `Source` of a data set; it is opened when it is read, which takes a second or more.

    Args:
        name: a hub name, or the absolute path of a folder that jobs may read.
    """

    def __init__(self, name: str, options: DatasetOptions) -> None:
        self._name = name
        self._options = options

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`; also raises `ConfigurationError` where `datasets` is missing."""
        (start,) = cursors.unpack(cursor, 1) if cursor else (0,)
        rows = open_rows(self._name, self._options)
        for number, row in enumerate(rows.read(start), start + 1):
            yield self._item(row, cursors.pack(number))

    def count(self) -> int | None:
        """As the data set says; opens it."""
        return open_rows(self._name, self._options).count

    def _item(self, row: DatasetRow, cursor: str) -> SourceItem:
        filename = safe_filename(row.filename)
        try:
            metadata = checked_metadata({"breed": row.breed}, filename)
            origin = self._origin(row) if row.data is None else None
        except InvalidInput as error:
            return SourceItem(ImageMetadata(filename), cursor, refusal=error.detail)
        size = len(row.data) if row.data is not None else None
        return SourceItem(metadata, cursor, data=row.data, origin=origin, size_bytes=size)

    def _origin(self, row: DatasetRow) -> str:
        """Of a photo in a file of its own: only in the data set's own folder.

        A data set could name any file of this machine, or any address, for this server to read.
        """
        folder = Path(self._name)
        path = Path(row.path)
        if folder.is_absolute() and path.is_absolute() and path.is_relative_to(folder):
            return f"{import_folders.SCHEME}:{path}"
        raise InvalidInput(
            "The data set only names a file that is not in its folder; photos must be in its rows."
        )
