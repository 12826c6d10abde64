"""What must hold before a model goes into service."""

import random
from dataclasses import dataclass

import numpy as np

from petsearch.domain import Embedding, Filters, ModelInfo
from petsearch.ports import IndexReader

NEIGHBOURS = 10
LEAST_RECALL = 0.95
"""Of the exact nearest neighbours, how many the approximate search must find on average."""
LARGEST_DROP = 0.03
"""By how much the share of photos of the same breed among the nearest may fall."""
BREEDS = "breeds"
_SAMPLE = 50
_LABELLED = 100
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
    if model.calibration is not None and not model.calibration.of_catalogue:
        return Check("measured", passed=True, detail="It is calibrated on held-out photos.")
    detail = (
        "Its metrics on a reference set were published."
        if has_metrics
        else "It has neither calibration nor metrics. Calibrate it on labelled photos: petsearch "
        "publish DIR --dataset …, or add the metrics.json of petsearch finetune."
    )
    return Check("measured", passed=has_metrics, detail=detail)


def check_counts(index: IndexReader, current: str, candidate: str) -> Check:
    """Both collections hold the same number of images. Nobody writes meanwhile."""
    counts = [index.count(collection, Filters()) for collection in (current, candidate)]
    same = counts[0] == counts[1]
    detail = f"{counts[1]} images, {counts[0]} in the current collection."
    return Check("count", same, detail if same else f"{detail} Run petsearch reindex once more.")


def check_recall(index: IndexReader, candidate: str, rng: random.Random) -> Check:
    """The approximate search finds what looking at every point does, for photos as queries."""
    ids = index.list_ids(candidate, after=None, limit=_PAGE)
    sample = index.read_points(candidate, rng.sample(ids, min(len(ids), _SAMPLE)))
    recalls = [_recall(index, candidate, point.embedding) for point in sample]
    if not recalls:
        return Check("recall", passed=True, detail="There is no image to look for.")
    mean = float(np.mean(recalls))
    detail = f"recall@{NEIGHBOURS} {mean:.3f} over {len(recalls)} photos, {LEAST_RECALL} is needed."
    return Check("recall", mean >= LEAST_RECALL, detail)


def check_breeds(index: IndexReader, current: str, candidate: str, rng: random.Random) -> Check:
    """Photos find those of their own breed about as well as in the current collection.

    The reference set are the catalogue's own photos: both models are asked after the same ones.
    Fails where the mean share of the same breed falls by more than `LARGEST_DROP`, and by more than
    twice its standard error.
    """
    ids = _labelled(index, candidate, rng)
    before, after = (_same_breed(index, collection, ids) for collection in (current, candidate))
    both = sorted(before.keys() & after.keys())
    if len(both) < 2:
        return Check(BREEDS, passed=True, detail="Too few photos say their breed to compare by it.")
    changes = np.array([after[image_id] - before[image_id] for image_id in both])
    error = float(changes.std(ddof=1)) / len(changes) ** 0.5
    is_worse = float(changes.mean()) < -max(LARGEST_DROP, 2 * error)
    shares = [float(np.mean([found[image_id] for image_id in both])) for found in (before, after)]
    detail = (
        f"same-breed precision@{NEIGHBOURS} {shares[1]:.3f} over {len(both)} photos, "
        f"{shares[0]:.3f} in the current collection."
    )
    hint = " If that is what you want: petsearch promote --accept-worse."
    return Check(BREEDS, not is_worse, detail + hint if is_worse else detail)


def _labelled(index: IndexReader, collection: str, rng: random.Random) -> list[str]:
    """Ids of some photos that say their breed."""
    records = index.get(collection, index.list_ids(collection, after=None, limit=_PAGE))
    ids = sorted(image_id for image_id, record in records.items() if record.metadata.breed)
    return rng.sample(ids, min(len(ids), _LABELLED))


def _same_breed(index: IndexReader, collection: str, image_ids: list[str]) -> dict[str, float]:
    """For each photo that there is, the share of its breed among the nearest, without itself."""
    shares = {}
    for point in index.read_points(collection, image_ids):
        found = index.search(collection, point.embedding, limit=NEIGHBOURS + 1, filters=Filters())
        own = point.record.image_id
        others = [hit.record for hit in found if hit.record.image_id != own][:NEIGHBOURS]
        same = sum(other.metadata.breed == point.record.metadata.breed for other in others)
        shares[own] = same / max(len(others), 1)
    return shares


def _recall(index: IndexReader, collection: str, embedding: Embedding) -> float:
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
