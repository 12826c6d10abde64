"""Evaluates a model on held-out drawings: `petsearch evaluate --model DIR --data drawings`.

Protocol: a gallery of drawings from a seed that no training uses, as JPEG files with the usual
preprocessing; drawings of the same seed are added for attribute queries with too few relevant
ones. Texts are prompt ensembles, as in search. See `DrawingsEvaluation` for the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.calibration.off_topic import auc
from petsearch.domain import Embeddings
from petsearch.domain.errors import ConfigurationError
from petsearch.sample.captions import describes, facts_of
from petsearch.sample.catalogue import attributes_at
from petsearch.sample.queries import ATTRIBUTE_QUERIES
from training.drawings.config import EvaluationConfig
from training.drawings.drawn_photos import drawn_photos
from training.evaluation.embedding import embed_photos, embed_texts
from training.evaluation.metrics import (
    mean_average_precision,
    precision_at_k,
    recall_at_k,
    zero_shot_top1,
)
from training.evaluation.photos import LabelledPhotos

_SEARCH_LIMIT = 100_000


@dataclass(frozen=True)
class QueryResult:
    """One attribute query: its number of relevant drawings, and its P@5."""

    text: str
    relevant: int
    precision_at_5: float


@dataclass(frozen=True)
class DrawingsEvaluation:
    """The figures of one model, all in 0..1 except `gallery`."""

    gallery: int
    kind_top1: float
    """Zero-shot classification of the kind with the ensemble of label templates."""
    mean_precision_at_5: float
    mean_recall_at_1: float
    mean_average_precision: float
    off_topic_auc: float
    """Probability that the best score of an attribute query exceeds that of an off-topic text."""
    queries: tuple[QueryResult, ...]


def evaluate(
    model: OpenClipModel, config: EvaluationConfig, off_topic: Sequence[str]
) -> DrawingsEvaluation:
    """Measure a model on held-out drawings; `off_topic` texts describe no drawing."""
    numbers = held_out_numbers(config)
    photos = drawn_photos(numbers, config.seed)
    images = embed_photos(model, photos).embeddings
    facts = [facts_of(attributes_at(number, config.seed)) for number in numbers]
    templates = model.info.prompt_templates
    scores = embed_texts(model, [query.words for query in ATTRIBUTE_QUERIES], templates) @ images.T
    away = embed_texts(model, off_topic, templates) @ images.T
    relevant = np.array([[describes(q.facts, held) for held in facts] for q in ATTRIBUTE_QUERIES])
    return DrawingsEvaluation(
        gallery=len(numbers),
        kind_top1=_kind_top1(model, images[: config.gallery], photos.subset(range(config.gallery))),
        mean_precision_at_5=precision_at_k(scores, relevant, 5),
        mean_recall_at_1=recall_at_k(scores, relevant, 1),
        mean_average_precision=mean_average_precision(scores, relevant),
        off_topic_auc=auc(scores.max(axis=1), away.max(axis=1)),
        queries=tuple(
            QueryResult(query.words, int(held.sum()), precision_at_k(row[None], held[None], 5))
            for query, row, held in zip(ATTRIBUTE_QUERIES, scores, relevant, strict=True)
        ),
    )


def held_out_numbers(config: EvaluationConfig) -> list[int]:
    """`config.gallery` drawings, then more until every attribute query has enough relevant ones.

    Drawings are added in the seed's own order and only where a query lacks them, so the choice
    depends on attributes and never on a model's scores.
    """
    numbers = list(range(config.gallery))
    shown = [facts_of(attributes_at(number, config.seed)) for number in numbers]
    counts = [sum(describes(q.facts, facts) for facts in shown) for q in ATTRIBUTE_QUERIES]
    for number in range(config.gallery, _SEARCH_LIMIT):
        short = [i for i, count in enumerate(counts) if count < config.min_relevant]
        if not short:
            break
        facts = facts_of(attributes_at(number, config.seed))
        if any(describes(ATTRIBUTE_QUERIES[i].facts, facts) for i in short):
            numbers.append(number)
            held = [describes(query.facts, facts) for query in ATTRIBUTE_QUERIES]
            counts = [count + more for count, more in zip(counts, held, strict=True)]
    return numbers


def _kind_top1(model: OpenClipModel, images: Embeddings, photos: LabelledPhotos) -> float:
    names = [label.breed for label in model.info.labels]
    kinds = [photos.class_names[label] for label in photos.labels]
    if unknown := set(kinds) - set(names):
        raise ConfigurationError(f"The model has no label for: {', '.join(sorted(unknown))}.")
    classes = embed_texts(model, names, model.info.label_templates)
    return zero_shot_top1(images @ classes.T, np.array([names.index(kind) for kind in kinds]))


def report_rows(evaluation: DrawingsEvaluation) -> list[tuple[str, str, str]]:
    """Figure, number of relevant drawings and value, for the terminal."""
    return [
        (f"kind top-1 of {evaluation.gallery} drawings", "", f"{evaluation.kind_top1:.3f}"),
        ("mean P@5", "", f"{evaluation.mean_precision_at_5:.3f}"),
        ("mean R@1", "", f"{evaluation.mean_recall_at_1:.3f}"),
        ("mAP", "", f"{evaluation.mean_average_precision:.3f}"),
        ("off-topic AUC", "", f"{evaluation.off_topic_auc:.3f}"),
        *((q.text, str(q.relevant), f"{q.precision_at_5:.1f}") for q in evaluation.queries),
    ]
