"""Evaluation of a model on labelled photos: metrics with bootstrap intervals, the report, and the
table of results in the README.

The face does not import torch; `training.evaluation.evaluate` does.
"""

from petsearch.calibration.resampling import Resampling
from training.evaluation.embedding import embed_photos, embed_texts
from training.evaluation.figures import Evaluation
from training.evaluation.photos import LabelledPhotos, load_split

__all__ = [
    "Evaluation",
    "LabelledPhotos",
    "Resampling",
    "embed_photos",
    "embed_texts",
    "load_split",
]
