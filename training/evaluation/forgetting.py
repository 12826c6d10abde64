"""Forgetting: zero-shot accuracy on labels that the model was not fine-tuned on.

Measured on a data set chosen for it; else on photos of classes that the model has no label for;
else by words for cat and dog that are not breeds. The report states which.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.calibration.resampling import Resampling, mean_of
from training.evaluation.embedding import embed_photos, embed_texts
from training.evaluation.figures import Forgetting, Measured, Protocol, figure_of
from training.evaluation.measurement import EvaluatedModel, right_at_top1
from training.evaluation.photos import LabelledPhotos

TEMPLATE = "a photo of a {}."
"""These labels need not be pets."""
_SPECIES_WORDS: Mapping[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten", "feline"),
    "dog": ("dog", "puppy", "canine"),
}
_KEY = "forgetting.top1"


@dataclass(frozen=True)
class OtherPhotos:
    """Photos to measure forgetting on, the public name of their data set, and a description."""

    photos: LabelledPhotos
    data: str
    what: str


def forgetting_on(
    other: OtherPhotos,
    model: OpenClipModel,
    baseline: OpenClipModel | None,
    resampling: Resampling,
) -> Forgetting:
    """Measure top-1 over the classes of other photos.

    Raises:
        InvalidInput: no photo can be decoded.
    """
    against = _top1(baseline, other) if baseline is not None else None
    return Forgetting(other.what, figure_of(_KEY, _top1(model, other), against, resampling))


def forgetting_by_species(
    subject: EvaluatedModel, baseline: EvaluatedModel | None, data: str, resampling: Resampling
) -> Forgetting:
    """Measure whether the nearest of six words names the right species.

    Args:
        subject: the model with its embedded photos.
        baseline: another model with the same photos.
        data: public name of the data set.
        resampling: of the photos.
    """
    if set(subject.species) != set(_SPECIES_WORDS):
        return Forgetting(
            "Not measured: no data set was given (--forgetting), and the species of these photos "
            "is not known to be cat or dog.",
            None,
        )
    truth = np.array([str(name) for name in subject.species])[subject.labels]
    against = _species_words(baseline, data, truth) if baseline else None
    what = (
        "No data set was given (--forgetting), so this is a weak test: whether the nearest of six "
        "words (cat, kitten, feline; dog, puppy, canine) names the species of a photo."
    )
    return Forgetting(
        what, figure_of(_KEY, _species_words(subject, data, truth), against, resampling)
    )


def _top1(model: OpenClipModel, other: OtherPhotos) -> Measured:
    embedded = embed_photos(model, other.photos)
    words = embed_texts(model, embedded.photos.class_names, (TEMPLATE,))
    right = right_at_top1(embedded.embeddings @ words.T, embedded.photos.labels)
    return _measured("top-1", right, embedded.photos, other.data, embedded.photos.class_names)


def _species_words(subject: EvaluatedModel, data: str, truth: NDArray[np.str_]) -> Measured:
    words = tuple(word for several in _SPECIES_WORDS.values() for word in several)
    meaning = np.array([name for name, several in _SPECIES_WORDS.items() for _ in several])
    scores = subject.embedded.embeddings @ embed_texts(subject.model, words, (TEMPLATE,)).T
    right = meaning[scores.argmax(axis=1)] == truth
    return _measured("species top-1 by six words", right, subject.embedded.photos, data, words)


def _measured(
    metric: str,
    right: NDArray[np.bool_],
    photos: LabelledPhotos,
    data: str,
    words: tuple[str, ...],
) -> Measured:
    protocol = Protocol(
        task="classification",
        data=data,
        split=photos.source.split,
        photos=len(photos),
        templates=(TEMPLATE,),
        class_names=words,
    )
    return Measured(metric, "photos", mean_of(right), protocol)
