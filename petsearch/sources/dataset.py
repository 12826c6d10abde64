"""A Hugging Face data set as a source. The cursor is the row number."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import checked_metadata, safe_filename
from petsearch.sources import cursor as cursors
from petsearch.sources import import_folders
from petsearch.sources.dataset_rows import DatasetOptions, DatasetRow, open_rows
from petsearch.sources.source import Source, SourceItem


@dataclass(frozen=True)
class DatasetSource(Source):
    """The `Source` of a data set, which is opened when it is read: that takes a second or more."""

    name: str
    """A name on the hub, or the absolute path of a folder that jobs may read."""
    options: DatasetOptions

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`; also raises `ConfigurationError` if `datasets` is not installed."""
        (start,) = cursors.unpack(cursor, 1) if cursor else (0,)
        rows = open_rows(self.name, self.options)
        for number, row in enumerate(rows.read(start), start + 1):
            yield self._item(row, cursors.pack(number))

    def count(self) -> int | None:
        """The number of rows that the data set declares; opens it."""
        return open_rows(self.name, self.options).count

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
        """The origin of a photo in a file, which must be in the folder of the data set.

        A data set could refer to any file of the server, or to any URL.
        """
        folder = Path(self.name)
        path = Path(row.path)
        if folder.is_absolute() and path.is_absolute() and path.is_relative_to(folder):
            return f"{import_folders.SCHEME}:{path}"
        raise InvalidInput(
            "The data set refers to a file outside its folder; photos must be in its rows."
        )
