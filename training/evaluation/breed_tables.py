"""Per-class results: a row per breed, the worst confusions, and photos behind them."""

import numpy as np
from numpy.typing import NDArray

from petsearch.photos.copies import shrunk, thumbnail
from training.evaluation.figures import BreedRow, Confusion
from training.evaluation.measurement import EvaluatedModel, text_values
from training.evaluation.metrics import confusion_matrix

_CONFUSIONS = 12
_EXAMPLES = 4
_EXAMPLE_SIDE = 132


def worst_confusions(
    counts: NDArray[np.int64], class_names: tuple[str, ...], at_most: int = _CONFUSIONS
) -> tuple[Confusion, ...]:
    """The largest off-diagonal cells of a confusion matrix."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    cells = np.argsort(-wrong, axis=None, kind="stable")[:at_most]
    pairs = [divmod(int(cell), len(class_names)) for cell in cells]
    totals = counts.sum(axis=1)
    return tuple(
        Confusion(class_names[row], class_names[column], int(wrong[row, column]), int(totals[row]))
        for row, column in pairs
        if wrong[row, column]
    )


def breed_rows(
    subject: EvaluatedModel,
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
    base_recall: NDArray[np.float64] | None,
) -> tuple[BreedRow, ...]:
    """One row per class.

    Args:
        subject: model and photos.
        scores: cosine `(photos, classes)`.
        counts: their confusion matrix.
        base_recall: recall of the baseline, `(classes,)`.
    """
    values = text_values(scores, subject.labels)
    taken = counts.sum(axis=0)
    at_5 = values.precision_at.get(5)
    species = subject.species
    return tuple(
        BreedRow(
            breed=name,
            species=species[place],
            photos=int(counts[place].sum()),
            recall=float(counts[place, place] / counts[place].sum()),
            precision=float(counts[place, place] / taken[place]) if taken[place] else None,
            precision_at_5=float(at_5[place]) if at_5 is not None else None,
            average_precision=float(values.average_precision[place]),
            baseline_recall=float(base_recall[place]) if base_recall is not None else None,
        )
        for place, name in enumerate(subject.class_names)
    )


def recalls(subject: EvaluatedModel, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Recall of each class, `(classes,)`; `scores` are `(photos, classes)`."""
    counts = confusion_matrix(subject.labels, scores.argmax(axis=1), len(subject.class_names))
    return np.asarray(counts.diagonal() / counts.sum(axis=1))


def examples_of(
    subject: EvaluatedModel, scores: NDArray[np.float32], confusions: tuple[Confusion, ...]
) -> tuple[tuple[bytes, ...], ...]:
    """For each confusion, the photos with the highest score for the predicted class."""
    names = subject.class_names
    predicted, best = scores.argmax(axis=1), scores.max(axis=1)
    found = []
    for confusion in confusions:
        truth, taken_for = names.index(confusion.truth), names.index(confusion.taken_for)
        places = np.flatnonzero((subject.labels == truth) & (predicted == taken_for))
        surest = places[np.argsort(-best[places], kind="stable")][:_EXAMPLES]
        pictures = (subject.embedded.photos.picture(int(index)) for index in surest)
        found.append(tuple(thumbnail(shrunk(picture, _EXAMPLE_SIDE)) for picture in pictures))
    return tuple(found)
