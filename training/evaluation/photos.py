"""Labelled photos of a data set: any of them by its number, read only when it is asked for."""

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
from petsearch.domain.prompts import species_of
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.sources.dataset import image_column_of, label_of, load, undecoded

DECODED_SIDE = 640
"""Of large photos, as many pixels a side are kept; no model wants more."""


@dataclass(frozen=True)
class SplitSource:
    """Which photos, and which of their columns."""

    data: str
    """A hub name or a local folder."""
    split: str
    image_column: str
    label_column: str


@dataclass(frozen=True)
class BrokenPhoto:
    """A photo that is left out, and why, in a sentence."""

    name: str
    reason: str


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Photos with their classes. Their bytes stay on the disk until they are read.

    `skipped` are those without a label. Photos that do not decode are found by `picture` only, or
    by `readable`.
    """

    source: SplitSource
    class_names: tuple[str, ...]
    """Normalised and sorted; those that occur when the split is loaded."""
    labels: NDArray[np.int64]
    """`(n,)`: places in `class_names`."""
    skipped: tuple[BrokenPhoto, ...]
    _rows: Any
    """The library's data set, undecoded."""
    _numbers: NDArray[np.int64]
    """`(n,)`: rows of the data set."""

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def species(self) -> tuple[str | None, ...]:
        """Of each class; None for names that are no breed of Oxford-IIIT Pet."""
        return tuple(species_of(name) for name in self.class_names)

    def name(self, index: int) -> str:
        """What the data set calls a photo: its `image_id`, its file's name, or its row."""
        return _name(self._row(index), self._place(index), self.source.image_column)

    def data(self, index: int) -> bytes:
        """The encoded bytes of a photo.

        Raises:
            NotAnImage: there are none, or the file that the data set names cannot be read.
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
        """A photo upright and RGB; see `images.decode`.

        Raises:
            NotAnImage, TooLarge: it cannot be decoded.
        """
        return decode.decode(self.data(index), ImageLimits(), at_least=at_least).picture

    def pixels(self, index: int, spec: PixelSpec) -> Pixels:
        """uint8 `(3, height, width)` by the one preprocessing. Errors as `picture`."""
        return preprocessing.to_pixels(self.picture(index), spec)

    def subset(self, indices: Sequence[int] | NDArray[np.integer]) -> "LabelledPhotos":
        """Some of the photos, in the order given; classes keep their places."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(self, labels=self.labels[chosen], _numbers=self._numbers[chosen])

    def only(self, class_names: Sequence[str]) -> "LabelledPhotos":
        """The photos of some classes, whose places are then those in `class_names`."""
        old = {name: place for place, name in enumerate(self.class_names)}
        places = np.full(len(self.class_names), -1, np.int64)
        places[[old[name] for name in class_names]] = np.arange(len(class_names))
        kept = self.subset(np.flatnonzero(places[self.labels] >= 0))
        return replace(kept, class_names=tuple(class_names), labels=places[kept.labels])

    def readable(self) -> tuple["LabelledPhotos", tuple[BrokenPhoto, ...]]:
        """Those that decode, and those that do not; decodes all, some 2 ms each."""
        good: list[int] = []
        broken: list[BrokenPhoto] = []
        for index in range(len(self)):
            try:
                self.picture(index)
            except InvalidInput as error:
                broken.append(BrokenPhoto(self.name(index), error.detail))
            else:
                good.append(index)
        return self.subset(good), tuple(broken)

    def _place(self, index: int) -> int:
        return int(self._numbers[index])

    def _row(self, index: int) -> Any:
        return self._rows[self._place(index)]


def load_split(
    data: str, split: str, *, image_column: str | None = None, label_column: str = "label"
) -> LabelledPhotos:
    """Open a split of a data set.

    Args:
        data: a hub name or a local folder, which `datasets` keeps in its cache.
        split: its name there; slices as `datasets` writes them ("train[:100]") do as well.
        image_column: the first one that holds images if not given.
        label_column: holds class labels or names.

    Raises:
        ConfigurationError: the library `datasets` is missing, or the hub does not answer.
        InvalidInput: there is no such split or column, no photo, or one class only.
        NotFound: `data` is a path, and nothing is there.
    """
    try:
        rows = load(data, split, streaming=False)
    except Unavailable as error:
        raise ConfigurationError(
            f"{error.detail} Check the network, or give a local folder."
        ) from error
    source = SplitSource(data, split, _image_column(data, rows, image_column), label_column)
    feature = _label_feature(data, rows, label_column)
    if not len(rows):
        raise InvalidInput(f"The split {split!r} of {data} is empty.")
    names = [_class_name(feature, value) for value in rows[label_column][:]]
    return _labelled(source, undecoded(rows, source.image_column), names)


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


def class_counts(photos: LabelledPhotos) -> dict[str, int]:
    """How many photos each class has, in the order of `class_names`."""
    counts = Counter(photos.labels.tolist())
    return {name: counts[place] for place, name in enumerate(photos.class_names)}


def _class_name(feature: Any, value: Any) -> str | None:
    name = label_of(feature, value)
    return normalise_name(name) if name is not None else None


def _image_column(data: str, rows: Any, wanted: str | None) -> str:
    if wanted is None:
        return image_column_of(data, rows.features)
    if type(_feature(data, rows, wanted)).__name__ != "Image":
        raise InvalidInput(f"The column {wanted!r} of {data} holds no images. {_columns(rows)}")
    return wanted


def _label_feature(data: str, rows: Any, column: str) -> Any:
    feature = _feature(data, rows, column)
    if type(feature).__name__ not in ("ClassLabel", "Value"):
        raise InvalidInput(f"The column {column!r} of {data} holds no labels. {_columns(rows)}")
    return feature


def _feature(data: str, rows: Any, column: str) -> Any:
    if column not in rows.features:
        raise InvalidInput(f"The data set {data} has no column {column!r}. {_columns(rows)}")
    return rows.features[column]


def _columns(rows: Any) -> str:
    described = (f"{name} ({type(feature).__name__})" for name, feature in rows.features.items())
    return f"Its columns: {', '.join(described)}."


def _name(row: Any, number: int, image_column: str) -> str:
    path = (row[image_column] or {}).get("path") or ""
    return str(row.get("image_id") or Path(path).name or f"row {number}")
