"""The bundled drawings as labelled photos, for runs with no data set at hand."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from petsearch.sample.catalogue import attributes_at, drawing_at
from training.evaluation.photos import LabelledPhotos, SplitSource

DRAWINGS = "sample"
"""What `data` says for them."""
_COUNT = 57
_SEED = 4
"""No seed of the demo's, of training from nothing or of evaluation."""


@dataclass(frozen=True)
class _Rows:
    """Drawings as rows of a data set, drawn when they are asked for."""

    def __getitem__(self, number: int) -> dict[str, Any]:
        data = drawing_at(number, _SEED).to_jpeg()
        return {"image": {"bytes": data, "path": None}, "image_id": f"drawing {number}"}


def drawn_photos() -> LabelledPhotos:
    """A few drawings of each kind, as a data set would give them."""
    kinds = [attributes_at(number, _SEED).kind.name for number in range(_COUNT)]
    names = tuple(sorted(set(kinds)))
    return LabelledPhotos(
        source=SplitSource(DRAWINGS, "train", "image", "label"),
        class_names=names,
        labels=np.array([names.index(kind) for kind in kinds], np.int64),
        skipped=(),
        _rows=_Rows(),
        _numbers=np.arange(_COUNT),
    )
