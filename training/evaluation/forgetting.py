"""What fine-tuning cost elsewhere: zero-shot accuracy on labels that were not trained on.

Measured on a data set that is named for it; else on the photos whose classes the model was not
given; else on words for cat and dog that are no breed. The report says which.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.adapters.clip.model import OpenClipModel
from training.evaluation.embedding import embed_photos, embed_texts
from training.evaluation.figures import Forgetting, Measured, Protocol, figure_of
from training.evaluation.measurement import Subject, right_at_top1
from training.evaluation.photos import LabelledPhotos
from training.evaluation.resampling import Resampling, mean_of

TEMPLATE = "a photo of a {}."
"""Not all of these labels are pets."""
_SPECIES_WORDS: Mapping[str, tuple[str, ...]] = {
    "cat": ("cat", "kitten", "feline"),
    "dog": ("dog", "puppy", "canine"),
}
_KEY = "forgetting.top1"


@dataclass(frozen=True)
class OtherPhotos:
    """Photos to measure it on, what protocols call their data set, and what they are."""

    photos: LabelledPhotos
    data: str
    what: str


def forgetting_on(
    other: OtherPhotos,
    model: OpenClipModel,
    baseline: OpenClipModel | None,
    resampling: Resampling,
) -> Forgetting:
    """Top-1 over the classes of other photos.

    Raises:
        InvalidInput: none of them can be decoded.
    """
    measured = _top1(model, other)
    against = _top1(baseline, other) if baseline is not None else None
    return Forgetting(other.what, figure_of(_KEY, measured, against, resampling))


def forgetting_by_species(
    subject: Subject, baseline: Subject | None, data: str, resampling: Resampling
) -> Forgetting:
    """Cat or dog by six words, of photos that are embedded already.

    Args:
        subject: the model and the photos that were measured.
        baseline: another model with the same photos.
        data: what protocols call their data set.
        resampling: of the photos.
    """
    if set(subject.species) != set(_SPECIES_WORDS):
        return Forgetting(
            "Not measured: no data set was named for it (--forgetting), and these photos are not "
            "of cats and dogs whose species is known.",
            None,
        )
    truth = np.array([str(name) for name in subject.species])[subject.labels]
    measured = _species_words(subject, data, truth)
    against = _species_words(baseline, data, truth) if baseline else None
    what = (
        "No data set was named for it (--forgetting), so this says little: whether a photo is "
        "nearest to one of its species' words (cat, kitten, feline; dog, puppy, canine), none of "
        "which is a breed."
    )
    return Forgetting(what, figure_of(_KEY, measured, against, resampling))


def _top1(model: OpenClipModel, other: OtherPhotos) -> Measured:
    embedded = embed_photos(model, other.photos)
    words = embed_texts(model, embedded.photos.class_names, (TEMPLATE,))
    right = right_at_top1(embedded.embeddings @ words.T, embedded.photos.labels)
    return _measured("top-1", right, embedded.photos, other.data, embedded.photos.class_names)


def _species_words(subject: Subject, data: str, truth: NDArray[np.str_]) -> Measured:
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
