"""A Hugging Face data set of photos, on the hub or in a local folder, and its rows as a source."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import (
    ConfigurationError,
    InvalidInput,
    NotFound,
    SourceUnavailable,
    is_damage,
)
from petsearch.domain.metadata import parse_metadata, safe_filename
from petsearch.models.hub import is_hub_reachable
from petsearch.observability import get_logger
from petsearch.sources import cursor as cursors
from petsearch.sources import import_folders
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.dataset_folder import CheckFile, check_hub_files, folder_files
from petsearch.sources.source import Source, SourceItem
from petsearch.sources.spec import DatasetOptions

log = get_logger(__name__)

_ID_COLUMN = "image_id"
_ROW_BYTES = 4000
"""What a row counts for beside its photo: a file of 1 kB can have a billion of them."""
_NO_PHOTO_BYTES = 16_000
"""What a row without a photo counts for besides."""
_BATCH_ROWS = 16
_BUFFER_BYTES = 4 << 20
"""Of each column of a parquet file."""

_OF_SENSELESS_FILES = (AttributeError, TypeError, LookupError)
"""What the library raises for files whose metadata makes no sense, beside its own errors."""


@dataclass(frozen=True)
class DatasetRow:
    """A photo of a data set: its bytes, or the path of its file."""

    filename: str
    data: bytes | None
    path: str
    """The path of its file, or empty if there is `data`. It is chosen by the author of the data
    set, so it may lead anywhere."""
    breed: str | None

    @property
    def is_empty(self) -> bool:
        """Whether it has no photo."""
        return self.data == b""


class DatasetRows:
    """An open data set."""

    def __init__(self, name: str, rows: Any, options: DatasetOptions) -> None:
        self._name = name
        self._options = options
        self._features = rows.features or {}
        self._image_column = image_column_of(name, self._features)
        label = options.label_column
        if label and not _is_plain(self._features.get(label)):
            raise InvalidInput(
                f"The data set {name} has no column {label!r} of texts or labels. "
                f"It has: {', '.join(self._features)}. "
                "Choose another label column, or none (--label-column, --no-labels)."
            )
        self.count = _count(rows, options)
        """The number of rows to read, if the data set declares it."""
        # Others could be images, sounds or documents, which the library would fetch from any URL.
        plain = {label, _ID_COLUMN} - {None, self._image_column}
        read = [
            name for name in self._features if name in plain and _is_plain(self._features[name])
        ]
        self._rows = undecoded(rows.select_columns([self._image_column, *read]), self._image_column)

    def read(self, start: int) -> Iterator[DatasetRow]:
        """Iterate over the rows from `start` (0 is the first) to the end or the limit.

        Raises:
            InvalidInput: the data set is broken.
            SourceUnavailable: the hub stopped answering.
        """
        rows = self._rows.skip(start) if start else self._rows
        if self._options.limit is not None:
            rows = rows.take(max(0, self._options.limit - start))
        with _read_errors(self._name):
            for number, row in enumerate(rows, start):
                yield self._row(row, number)

    def _row(self, row: Any, number: int) -> DatasetRow:
        image = row[self._image_column] or {"bytes": b"", "path": None}
        path = image["path"] or ""
        return DatasetRow(
            filename=str(row.get(_ID_COLUMN) or Path(path or f"{number:06d}.jpg").name),
            data=image["bytes"],
            path="" if image["bytes"] is not None else path,
            breed=self._breed(row),
        )

    def _breed(self, row: Any) -> str | None:
        column = self._options.label_column
        return label_of(self._features[column], row[column]) if column else None


@dataclass(frozen=True)
class DatasetSource(Source):
    """The `Source` of a data set. The cursor is the row number.

    The data set is opened when it is read, which takes a second or more.
    """

    name: str
    """A name on the hub, or the absolute path of a folder that jobs may read."""
    options: DatasetOptions
    check_file: CheckFile = str
    """Raises for a file that jobs may not read, such as a link that points outside the folder."""

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`; also raises `ConfigurationError` if `datasets` is not installed."""
        (start,) = cursors.unpack(cursor, 1) if cursor else (0,)
        rows = open_rows(self.name, self.options, self.check_file)
        packed, unpacked = _folder_bytes(self.name), 0
        for number, row in enumerate(rows.read(start), start + 1):
            unpacked += _ROW_BYTES + (_NO_PHOTO_BYTES if row.is_empty else len(row.data or b""))
            if packed is not None and ArchiveLimits().is_suspicious(unpacked, packed):
                what = "have no photos" if row.is_empty else "unpack to far more than photos do"
                raise InvalidInput(
                    f"The data set is not read beyond row {number - 1}: its rows {what}."
                )
            yield self._item(row, cursors.pack(number))

    def count(self) -> int | None:
        """The number of rows that the data set declares; opens it."""
        return open_rows(self.name, self.options, self.check_file).count

    def _item(self, row: DatasetRow, cursor: str) -> SourceItem:
        filename = safe_filename(row.filename)
        try:
            metadata = parse_metadata({"breed": row.breed}, filename)
            origin = None
            if row.is_empty:
                raise InvalidInput("The row has no photo.")
            if row.data is None:
                origin = f"{import_folders.SCHEME}:{file_of(self.name, row)}"
        except InvalidInput as error:
            return SourceItem(ImageMetadata(filename), cursor, refusal=error.detail)
        size = len(row.data) if row.data is not None else None
        return SourceItem(metadata, cursor, data=row.data, origin=origin, size_bytes=size)


def _folder_bytes(name: str) -> int | None:
    """Of all files in a folder; None for a data set on the hub."""
    folder = Path(name)
    if not folder.is_dir():
        return None
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def file_of(name: str, row: DatasetRow) -> Path:
    """The file of a photo, which must be in the folder of its data set, `name`.

    Raises:
        InvalidInput: it is not: a data set could refer to any file of this machine, or any URL.
    """
    folder, path = Path(name).absolute(), Path(row.path)
    if path.is_absolute() and ".." not in path.parts and path.is_relative_to(folder):
        return path
    raise InvalidInput(
        "The data set refers to a file outside its folder; photos must be in its rows."
    )


def open_rows(name: str, options: DatasetOptions, check_file: CheckFile = str) -> DatasetRows:
    """Open a data set, by hub name or local folder.

    Args:
        name: of the data set.
        options: what to read of it.
        check_file: called with each file of a folder before it is read; raises `InvalidInput`.

    Raises:
        ConfigurationError: the `datasets` library is not installed.
        InvalidInput: there is no such split or column, or no column with images.
        NotFound: `name` is a path that does not exist.
        SourceUnavailable: the hub does not answer.
    """
    rows = load(name, options.split, streaming=True, check_file=check_file)
    return DatasetRows(name, rows, options)


def label_of(feature: Any, value: Any) -> str | None:
    """The label in a cell of a label column; None if it is empty."""
    if value is None:
        return None
    if not hasattr(feature, "int2str"):
        return str(value)
    # Data sets use -1 for labels that are not published.
    return str(feature.int2str(value)) if value >= 0 else None


def load(name: str, split: str, *, streaming: bool, check_file: CheckFile = str) -> Any:
    """Load a split with the `datasets` library; raises like `open_rows`.

    Streaming reads rows in order, in place; otherwise the split is copied into the cache of the
    library first, and rows can be read at random.
    """
    try:
        import datasets
    except ImportError as error:
        raise ConfigurationError(
            "Reading data sets needs the library 'datasets'. "
            "Install it with: pip install 'petsearch[worker]'"
        ) from error
    _check_place(name)
    try:
        if Path(name).exists():
            loader, files = folder_files(Path(name).absolute(), check_file)
            if not streaming:
                return datasets.load_dataset(loader, data_files=files, split=split)
            builder = datasets.load_dataset_builder(loader, data_files=files)
        elif streaming:
            builder = datasets.load_dataset_builder(name)
            check_hub_files(name, builder.config.data_files or {})
        else:
            return datasets.load_dataset(name, split=split)
        _read_in_pieces(builder.config)
        return builder.as_streaming_dataset(split=split)
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        raise InvalidInput(f"The data set {name} (split {split}) does not load: {error}") from error
    except _OF_SENSELESS_FILES as error:
        log.exception("data set cannot be read", name=name)
        raise _broken(name) from error
    except OSError as error:
        if _is_damaged(name, error):
            raise InvalidInput(f"The data set {name} is broken: {error}") from error
        raise SourceUnavailable(
            f"The data set {name} cannot be fetched from the hub ({error})."
        ) from error


def _read_in_pieces(config: Any) -> None:
    """Have the files of parquet read some rows at a time.

    By default a group of rows is read and unpacked as a whole, and the next one beside it: 20
    groups of 10 MB took 335 MB of memory, and take 98 MB like this.
    """
    if hasattr(config, "fragment_scan_options"):
        from pyarrow.dataset import ParquetFragmentScanOptions

        config.batch_size = _BATCH_ROWS
        config.fragment_scan_options = ParquetFragmentScanOptions(
            use_buffered_stream=True, buffer_size=_BUFFER_BYTES, pre_buffer=False
        )


def _broken(name: str) -> InvalidInput:
    return InvalidInput(f"The data set {name} is broken: its metadata makes no sense.")


def _check_place(name: str) -> None:
    """Check that a folder exists or the hub answers, whose client would retry for half a minute.

    Raises:
        NotFound: `name` is a path that does not exist.
        SourceUnavailable: `name` is on the hub, which does not answer.
    """
    if Path(name).exists():
        return
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise NotFound(f"There is no folder {name}.")
    if not is_hub_reachable():
        raise SourceUnavailable(
            f"The data set {name} is not a folder here, and the hub does not answer."
        )


@contextmanager
def _read_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, httpx.HTTPError) as error:
        if _is_damaged(name, error):
            raise InvalidInput(f"The data set {name} is broken: {error}") from error
        raise SourceUnavailable(f"The data set {name} cannot be read further: {error}") from error
    except ValueError as error:  # includes the errors of pyarrow for broken files
        raise InvalidInput(f"The data set {name} is broken: {error}") from error
    except _OF_SENSELESS_FILES as error:
        log.exception("data set cannot be read", name=name)
        raise _broken(name) from error


def _is_damaged(name: str, error: Exception) -> bool:
    """Whether an error is about the content of a folder: the network's have no number either."""
    return isinstance(error, OSError) and is_damage(error) and Path(name).exists()


def image_column_of(name: str, features: Any) -> str:
    """The first column with images.

    Raises:
        InvalidInput: there is no such column.
    """
    for column, feature in features.items():
        if type(feature).__name__ == "Image":
            return str(column)
    raise InvalidInput(f"The data set {name} has no column with images; it has: {list(features)}.")


def _is_plain(feature: Any) -> bool:
    """Whether a column holds numbers, texts or labels, which are read as they are."""
    return type(feature).__name__ in ("ClassLabel", "Value")


def undecoded(rows: Any, column: str) -> Any:
    """The same rows with encoded images."""
    import datasets

    return rows.cast_column(column, datasets.Image(decode=False))


def _count(rows: Any, options: DatasetOptions) -> int | None:
    splits = rows.info.splits or {}
    known = splits[options.split].num_examples if options.split in splits else 0
    if not known:
        return options.limit
    return min(known, options.limit) if options.limit is not None else known
