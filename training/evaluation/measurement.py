"""Measures a model's embeddings of labelled photos: classification, text and photo queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.calibration.resampling import Statistic, mean_of
from petsearch.domain import Embeddings
from petsearch.domain.prompts import species_of
from training.evaluation.embedding import EmbeddedPhotos, embed_texts
from training.evaluation.figures import Measured, Protocol
from training.evaluation.metrics import RetrievalValues, mean_per_class_recall, retrieval_values

DEPTHS = (1, 5, 10)
_QUERIES_AT_A_TIME = 256
ENSEMBLE = (
    "a photo of a {}, a type of pet.",
    "a photo of a {}.",
    "a photo of the {}.",
    "a close-up photo of a {}.",
    "a good photo of a {}.",
    "a photo of my {}.",
    "{}",
)
"""The templates of the ensemble for models with only one label template."""


@dataclass(frozen=True)
class PromptSet:
    """One template, or several whose embeddings are averaged."""

    name: str
    templates: tuple[str, ...]


@dataclass(frozen=True)
class EvaluatedModel:
    """A model with the photos it embedded."""

    model: OpenClipModel
    embedded: EmbeddedPhotos

    @property
    def labels(self) -> NDArray[np.int64]:
        """Of the photos, `(n,)`."""
        return self.embedded.photos.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """Indexed by labels."""
        return self.embedded.photos.class_names

    @property
    def species(self) -> tuple[str | None, ...]:
        """Of each class: from the model's labels, else from Oxford-IIIT Pet."""
        known = {label.breed: label.species for label in self.model.info.labels}
        return tuple(known.get(name) or species_of(name) for name in self.class_names)

    def class_scores(self, prompts: PromptSet) -> NDArray[np.float32]:
        """Cosine of every photo with every class, `(photos, classes)`."""
        classes = embed_texts(self.model, self.class_names, prompts.templates)
        return self.embedded.embeddings @ classes.T


def prompt_sets(templates: Sequence[str]) -> tuple[PromptSet, PromptSet]:
    """The first template alone, and all templates; `ENSEMBLE` if there is only one."""
    several = tuple(templates) if len(templates) > 1 else ENSEMBLE
    return PromptSet("single", (templates[0],)), PromptSet("ensemble", several)


def measure(
    subject: EvaluatedModel, prompts: Sequence[PromptSet], data: str
) -> dict[str, Measured]:
    """Measure every figure, by key; `data` is the public name of the data set."""
    classified: dict[str, Measured] = {}
    found: dict[str, Measured] = {}
    for prompt_set in prompts:
        scores = subject.class_scores(prompt_set)
        base = _protocol(subject, data, prompt_set)
        classified |= _classification(subject.labels, scores, prompt_set.name, base)
        found |= _text_queries(subject.labels, scores, prompt_set.name, base)
    classified |= _species(subject, prompts[0], data)
    return classified | found | _photo_queries(subject, data)


def right_at_top1(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Whether the best class of each photo `(n, classes)` equals its label `(n,)`."""
    return np.asarray(scores.argmax(axis=1) == labels)


def text_values(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> RetrievalValues:
    """Use every class as a text query for its photos; `scores` are `(photos, classes)`."""
    relevant = labels == np.arange(scores.shape[1])[:, None]
    return retrieval_values(scores.T, relevant, _depths(len(scores)))


def photo_values(embeddings: Embeddings, labels: NDArray[np.integer]) -> RetrievalValues:
    """Use every photo as a query for the other photos of its class; it is not in its own ranking.

    A photo that is the only one of its class is not used as a query.
    """
    queries = np.flatnonzero(np.bincount(labels)[labels] > 1)
    depths = _depths(len(labels) - 1)
    blocks = [
        _photo_block(embeddings, labels, queries[start : start + _QUERIES_AT_A_TIME], depths)
        for start in range(0, len(queries), _QUERIES_AT_A_TIME)
    ]
    return RetrievalValues(
        {k: np.concatenate([block.precision_at[k] for block in blocks]) for k in depths},
        {k: np.concatenate([block.recall_at[k] for block in blocks]) for k in depths},
        np.concatenate([block.average_precision for block in blocks]),
    )


def _photo_block(
    embeddings: Embeddings,
    labels: NDArray[np.integer],
    queries: NDArray[np.int64],
    depths: Sequence[int],
) -> RetrievalValues:
    others = np.arange(len(labels)) != queries[:, None]
    shape = (len(queries), len(labels) - 1)
    scores = (embeddings[queries] @ embeddings.T)[others].reshape(shape)
    relevant = (labels == labels[queries, None])[others].reshape(shape)
    return retrieval_values(scores, relevant, depths)


def _depths(gallery: int) -> tuple[int, ...]:
    return tuple(k for k in DEPTHS if k <= gallery)


def _protocol(subject: EvaluatedModel, data: str, prompts: PromptSet) -> Protocol:
    photos = subject.embedded.photos
    return Protocol(
        task="classification",
        data=data,
        split=photos.source.split,
        photos=len(photos),
        templates=prompts.templates,
        class_names=subject.class_names,
    )


def _classification(
    labels: NDArray[np.int64], scores: NDArray[np.float32], name: str, protocol: Protocol
) -> dict[str, Measured]:
    right = right_at_top1(scores, labels)
    per_class = Statistic(len(labels), lambda at: mean_per_class_recall(right[at], labels[at]))
    return {
        f"classification.{name}.top1": Measured("top-1", "photos", mean_of(right), protocol),
        f"classification.{name}.per_class": Measured(
            "mean per-class recall", "photos", per_class, protocol
        ),
    }


def _text_queries(
    labels: NDArray[np.int64], scores: NDArray[np.float32], name: str, base: Protocol
) -> dict[str, Measured]:
    values = text_values(scores, labels)
    protocol = replace(base, task="text_to_image")
    recalls = {
        f"text_to_image.{name}.r{k}": Measured(f"R@{k}", "queries", mean_of(held), protocol)
        for k, held in values.recall_at.items()
    }
    return _retrieval(f"text_to_image.{name}", values, protocol) | recalls


def _photo_queries(subject: EvaluatedModel, data: str) -> dict[str, Measured]:
    if np.bincount(subject.labels).max() < 2:
        return {}
    values = photo_values(subject.embedded.embeddings, subject.labels)
    base = _protocol(subject, data, PromptSet("", ()))
    return _retrieval("image_to_image", values, replace(base, task="image_to_image"))


def _retrieval(key: str, values: RetrievalValues, protocol: Protocol) -> dict[str, Measured]:
    precisions = {
        f"{key}.p{k}": Measured(f"P@{k}", "queries", mean_of(held), protocol)
        for k, held in values.precision_at.items()
    }
    mean = mean_of(values.average_precision)
    return precisions | {f"{key}.map": Measured("mAP", "queries", mean, protocol)}


def _species(subject: EvaluatedModel, prompts: PromptSet, data: str) -> dict[str, Measured]:
    """Classify the species, if that of every class is known and there are at least two."""
    of_class = subject.species
    names = tuple(sorted({species for species in of_class if species}))
    if None in of_class or len(names) < 2:
        return {}
    places = np.array([names.index(str(species)) for species in of_class])
    words = embed_texts(subject.model, names, prompts.templates)
    right = right_at_top1(subject.embedded.embeddings @ words.T, places[subject.labels])
    protocol = replace(_protocol(subject, data, prompts), class_names=names)
    measured = Measured("species top-1", "photos", mean_of(right), protocol)
    return {"classification.single.species": measured}
