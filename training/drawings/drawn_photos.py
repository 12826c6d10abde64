"""The bundled drawings as labelled photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from petsearch.sample.catalogue import attributes_at, drawing_at
from training.evaluation.photos import LabelledPhotos, SplitSource

DRAWINGS = "sample"
"""The value of `data` that stands for them."""
_FINETUNING_NUMBERS = range(57)
_FINETUNING_SEED = 4
"""Not the demo's, nor one of training from scratch or evaluation."""


@dataclass(frozen=True)
class _Rows:
    """Drawings of a seed as rows of a data set, drawn on access."""

    seed: int

    def __getitem__(self, number: int) -> dict[str, Any]:
        data = drawing_at(number, self.seed).to_jpeg()
        return {"image": {"bytes": data, "path": None}, "image_id": f"drawing {number}"}


def drawn_photos(
    numbers: Sequence[int] = _FINETUNING_NUMBERS, seed: int = _FINETUNING_SEED
) -> LabelledPhotos:
    """Some drawings of a seed; by default three of each kind, for fine-tuning."""
    kinds = [attributes_at(number, seed).kind.name for number in numbers]
    names = tuple(sorted(set(kinds)))
    return LabelledPhotos(
        source=SplitSource(DRAWINGS, "train", "image", "label"),
        class_names=names,
        labels=np.array([names.index(kind) for kind in kinds], np.int64),
        skipped=(),
        _rows=_Rows(seed),
        _numbers=np.array(numbers, np.int64),
    )
