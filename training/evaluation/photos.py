"""Labelled photos of a data set, read by index on access."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petsearch.domain import Pixels, PixelSpec, normalise_name
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotAnImage, Unavailable
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.sources.dataset import image_column_of, label_of, load, undecoded

DECODED_SIDE = 640
"""Large photos are decoded at no more than this side in pixels; no model uses more."""


@dataclass(frozen=True)
class SplitSource:
    """The data set, split and columns of photos."""

    data: str
    """A hub name or a local folder."""
    split: str
    image_column: str
    label_column: str


@dataclass(frozen=True)
class BrokenPhoto:
    """A photo that was left out, with the reason as a sentence."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Photos with their classes; their bytes stay on disk until they are read.

    `skipped` are those without a label. Only `picture` finds out whether a photo can be decoded.
    """

    source: SplitSource
    class_names: tuple[str, ...]
    """Normalised and sorted; the classes that occurred when the split was loaded."""
    labels: NDArray[np.int64]
    """`(n,)`: indices into `class_names`."""
    skipped: tuple[BrokenPhoto, ...]
    _rows: Any
    """The data set of the library `datasets`, undecoded."""
    _numbers: NDArray[np.int64]
    """`(n,)`: row numbers in the data set."""

    def __len__(self) -> int:
        return len(self._numbers)

    def name(self, index: int) -> str:
        """The name of a photo: its `image_id`, its file name, or its row number."""
        return _name(self._row(index), int(self._numbers[index]), self.source.image_column)

    def data(self, index: int) -> bytes:
        """The encoded bytes of a photo.

        Raises:
            NotAnImage: the row holds no photo, or its file cannot be read.
        """
        cell = self._row(index)[self.source.image_column] or {}
        if cell.get("bytes") is not None:
            return bytes(cell["bytes"])
        if not cell.get("path"):
            raise NotAnImage("The row holds no photo.")
        try:
            return Path(cell["path"]).read_bytes()
        except OSError as error:
            raise NotAnImage(f"The photo's file cannot be read: {error.strerror}.") from error

    def picture(self, index: int, *, at_least: int = DECODED_SIDE) -> Image.Image:
        """A photo, upright and RGB; see `petsearch.photos.decode`.

        Raises:
            NotAnImage, TooLarge: it cannot be decoded.
        """
        return decode.decode(self.data(index), ImageLimits(), at_least=at_least).picture

    def pixels(self, index: int, spec: PixelSpec) -> Pixels:
        """Preprocessed pixels, uint8 `(3, height, width)`; errors as `picture`."""
        return preprocessing.to_pixels(self.picture(index), spec)

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> "LabelledPhotos":
        """The photos at some indices, in that order; classes keep their indices."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(self, labels=self.labels[chosen], _numbers=self._numbers[chosen])

    def only(self, class_names: Sequence[str]) -> "LabelledPhotos":
        """The photos of some classes, whose indices become those in `class_names`."""
        old = {name: place for place, name in enumerate(self.class_names)}
        places = np.full(len(self.class_names), -1, np.int64)
        places[[old[name] for name in class_names]] = np.arange(len(class_names))
        kept = self.subset(np.flatnonzero(places[self.labels] >= 0))
        return replace(kept, class_names=tuple(class_names), labels=places[kept.labels])

    def _row(self, index: int) -> Any:
        return self._rows[int(self._numbers[index])]


def load_split(
    data: str, split: str, *, image_column: str | None = None, label_column: str = "label"
) -> LabelledPhotos:
    """Open a split of a data set.

    Args:
        data: a hub name or a local folder; `datasets` caches it.
        split: name of the split, or a slice in the syntax of `datasets` ("train[:100]").
        image_column: by default the first column that holds images.
        label_column: holds class labels or names.

    Raises:
        ConfigurationError: the library `datasets` is missing, or the hub is not reachable.
        InvalidInput: the split or column does not exist, or there are fewer than two classes.
        NotFound: `data` is a path that does not exist.
    """
    try:
        rows = load(data, split, streaming=False)
    except Unavailable as error:
        raise ConfigurationError(
            f"{error.detail} Check the network, or use a local folder."
        ) from error
    source = SplitSource(data, split, _image_column(data, rows, image_column), label_column)
    feature = _feature(data, rows, label_column, ("ClassLabel", "Value"), "labels")
    if not len(rows):
        raise InvalidInput(f"The split {split!r} of {data} is empty.")
    names = [label_of(feature, value) for value in rows[label_column][:]]
    normalised = [name and normalise_name(name) for name in names]
    return _labelled(source, undecoded(rows, source.image_column), normalised)


def _labelled(source: SplitSource, rows: Any, names: Sequence[str | None]) -> LabelledPhotos:
    class_names = tuple(sorted({name for name in names if name}))
    if len(class_names) < 2:
        found = f"only {class_names[0]!r}" if class_names else "no label at all"
        raise InvalidInput(
            f"The column {source.label_column!r} of {source.data} (split {source.split}) holds "
            f"{found}; at least two classes are needed. {_columns(rows)}"
        )
    places = {name: place for place, name in enumerate(class_names)}
    numbers = [number for number, name in enumerate(names) if name]
    unlabelled = [number for number, name in enumerate(names) if not name]
    return LabelledPhotos(
        source=source,
        class_names=class_names,
        labels=np.array([places[str(names[number])] for number in numbers], np.int64),
        skipped=tuple(
            BrokenPhoto(_name(rows[number], number, source.image_column), "It has no label.")
            for number in unlabelled
        ),
        _rows=rows,
        _numbers=np.array(numbers, np.int64),
    )


def public_name(data: str) -> str:
    """A hub name unchanged; of a local folder only its own name, because reports are shared."""
    path = Path(data).expanduser()
    return path.resolve().name if path.exists() else data


def class_counts(photos: LabelledPhotos) -> dict[str, int]:
    """Number of photos in each class, in the order of `class_names`."""
    counts = Counter(photos.labels.tolist())
    return {name: counts[place] for place, name in enumerate(photos.class_names)}


def _image_column(data: str, rows: Any, wanted: str | None) -> str:
    if wanted is None:
        return image_column_of(data, rows.features)
    _feature(data, rows, wanted, ("Image",), "images")
    return wanted


def _feature(data: str, rows: Any, column: str, kinds: tuple[str, ...], content: str) -> Any:
    if column not in rows.features:
        raise InvalidInput(f"The data set {data} has no column {column!r}. {_columns(rows)}")
    feature = rows.features[column]
    if type(feature).__name__ not in kinds:
        raise InvalidInput(f"The column {column!r} of {data} holds no {content}. {_columns(rows)}")
    return feature


def _columns(rows: Any) -> str:
    described = (f"{name} ({type(feature).__name__})" for name, feature in rows.features.items())
    return f"Its columns: {', '.join(described)}."


def _name(row: Any, number: int, image_column: str) -> str:
    path = (row[image_column] or {}).get("path") or ""
    return str(row.get("image_id") or Path(path).name or f"row {number}")
