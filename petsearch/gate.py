"""What must hold before a model goes into service."""

import random
from dataclasses import dataclass

import numpy as np

from petsearch.model import Filters, ModelInfo
from petsearch.ports import Index

NEIGHBOURS = 10
LEAST_RECALL = 0.95
"""Of the exact nearest neighbours, how many the approximate search must find on average."""
_SAMPLE = 50
_PAGE = 1000
_TIE = 1e-6


@dataclass(frozen=True)
class Check:
    """One condition, whether it holds, and what was found."""

    name: str
    passed: bool
    detail: str


def check_measured(model: ModelInfo, *, has_metrics: bool) -> Check:
    """Somebody measured this model: a calibration of its weights, or metrics, were published."""
    if model.calibration is not None:
        return Check("measured", passed=True, detail="It is calibrated on held-out photos.")
    detail = (
        "Its metrics on a reference set were published."
        if has_metrics
        else "It has neither calibration nor metrics: run training.calibrate or petsearch evaluate "
        "on its folder, and publish it again."
    )
    return Check("measured", passed=has_metrics, detail=detail)


def check_counts(index: Index, current: str, candidate: str) -> Check:
    """Both collections hold the same number of images. Nobody writes meanwhile."""
    counts = [index.count(collection, Filters()) for collection in (current, candidate)]
    same = counts[0] == counts[1]
    detail = f"{counts[1]} images, {counts[0]} in the current collection."
    return Check("count", same, detail if same else f"{detail} Run petsearch reindex once more.")


def check_recall(index: Index, candidate: str, rng: random.Random) -> Check:
    """The approximate search finds what looking at every point does, for photos as queries."""
    ids = index.list_ids(candidate, after=None, limit=_PAGE)
    recalls = [
        _recall(index, candidate, image_id) for image_id in rng.sample(ids, min(len(ids), _SAMPLE))
    ]
    if not recalls:
        return Check("recall", passed=True, detail="There is no image to look for.")
    mean = float(np.mean(recalls))
    detail = f"recall@{NEIGHBOURS} {mean:.3f} over {len(recalls)} photos, {LEAST_RECALL} is needed."
    return Check("recall", mean >= LEAST_RECALL, detail)


def _recall(index: Index, collection: str, image_id: str) -> float:
    embedding = index.get_embedding(collection, image_id)
    exact, found = (
        [
            hit.score
            for hit in index.search(
                collection, embedding, limit=NEIGHBOURS, filters=Filters(), exact=is_exact
            )
        ]
        for is_exact in (True, False)
    )
    # By score, so that one of two equal photos does for the other.
    lowest = exact[-1] - _TIE
    return sum(score >= lowest for score in found) / len(exact)
