"""Evaluates a model on held-out drawings: `petsearch evaluate --model DIR --data drawings`.

Protocol: a gallery of drawings from a seed that no training uses, as JPEG files through the one
preprocessing; further drawings of the same seed are added for attribute queries that have too few
relevant ones. Texts are prompt ensembles as at search time. See `Evaluation` for the figures.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.domain import Embeddings
from petsearch.domain.errors import ConfigurationError
from petsearch.photos import to_pixels
from petsearch.sample.captions import Text, describes, facts_of
from petsearch.sample.catalogue import Drawing, attributes_at, drawing_at
from petsearch.sample.queries import ATTRIBUTE_QUERIES
from training.drawings.config import EvaluationConfig
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import (
    auc,
    mean_average_precision,
    precision_at_k,
    recall_at_k,
    zero_shot_top1,
)

_BATCH_SIZE = 32
_SEARCH_LIMIT = 100_000


@dataclass(frozen=True)
class QueryResult:
    """One attribute query: how many drawings are relevant, and P@5."""

    text: str
    relevant: int
    precision_at_5: float


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model, all 0..1 but `gallery`."""

    gallery: int
    kind_top1: float
    """Zero-shot classification of the kind, label template ensemble."""
    mean_precision_at_5: float
    mean_recall_at_1: float
    mean_average_precision: float
    off_topic_auc: float
    """Chance that an attribute query's best score beats a held-out off-topic text's best score."""
    queries: tuple[QueryResult, ...]


def evaluate(
    model: OpenClipModel, config: EvaluationConfig, off_topic: Sequence[str]
) -> Evaluation:
    """Measure a model on held-out drawings; `off_topic` are texts that describe no drawing."""
    drawings = held_out_drawings(config)
    images = embed_drawings(model, drawings)
    queries = ATTRIBUTE_QUERIES
    templates = model.info.prompt_templates
    scores = embed_texts(model, [query.words for query in queries], templates) @ images.T
    away = embed_texts(model, off_topic, templates) @ images.T
    relevant = np.array([[describes(q.facts, d.facts) for d in drawings] for q in queries])
    return Evaluation(
        gallery=len(drawings),
        kind_top1=_kind_top1(model, images[: config.gallery], drawings[: config.gallery]),
        mean_precision_at_5=precision_at_k(scores, relevant, 5),
        mean_recall_at_1=recall_at_k(scores, relevant, 1),
        mean_average_precision=mean_average_precision(scores, relevant),
        off_topic_auc=auc(scores.max(axis=1), away.max(axis=1)),
        queries=_per_query(queries, scores, relevant),
    )


def held_out_drawings(config: EvaluationConfig) -> list[Drawing]:
    """`config.gallery` drawings, then more until every attribute query has enough relevant ones.

    Drawings are added in the seed's own order and only where a query lacks them, so the choice
    knows attributes and never a model's scores.
    """
    numbers = list(range(config.gallery))
    counts = [_count(query, numbers, config.seed) for query in ATTRIBUTE_QUERIES]
    for number in range(config.gallery, _SEARCH_LIMIT):
        short = [i for i, count in enumerate(counts) if count < config.min_relevant]
        if not short:
            break
        facts = facts_of(attributes_at(number, config.seed))
        if any(describes(ATTRIBUTE_QUERIES[i].facts, facts) for i in short):
            numbers.append(number)
            held = [describes(query.facts, facts) for query in ATTRIBUTE_QUERIES]
            counts = [count + more for count, more in zip(counts, held, strict=True)]
    return [drawing_at(number, config.seed) for number in numbers]


def embed_drawings(model: OpenClipModel, drawings: Sequence[Drawing]) -> Embeddings:
    """Embeddings `(n, dim)` of drawings, each through its JPEG file."""
    rows = [
        model.encode_pixels(_pixels(model, drawings[start : start + _BATCH_SIZE]))
        for start in range(0, len(drawings), _BATCH_SIZE)
    ]
    return np.concatenate(rows)


def _count(query: Text, numbers: Sequence[int], seed: int) -> int:
    return sum(describes(query.facts, facts_of(attributes_at(n, seed))) for n in numbers)


def _pixels(model: OpenClipModel, drawings: Sequence[Drawing]) -> NDArray[np.uint8]:
    pictures = (Image.open(io.BytesIO(drawing.to_jpeg())).convert("RGB") for drawing in drawings)
    return np.stack([to_pixels(picture, model.info.pixel_spec) for picture in pictures])


def _kind_top1(model: OpenClipModel, images: Embeddings, drawings: Sequence[Drawing]) -> float:
    names = [label.breed for label in model.info.labels]
    unknown = {drawing.kind for drawing in drawings} - set(names)
    if unknown:
        raise ConfigurationError(f"The model has no label for: {', '.join(sorted(unknown))}.")
    classes = embed_texts(model, names, model.info.label_templates)
    labels = np.array([names.index(drawing.kind) for drawing in drawings])
    return zero_shot_top1(images @ classes.T, labels)


def _per_query(
    queries: Sequence[Text], scores: NDArray[np.float32], relevant: NDArray[np.bool_]
) -> tuple[QueryResult, ...]:
    rows = zip(queries, scores, relevant, strict=True)
    return tuple(
        QueryResult(query.words, int(held.sum()), precision_at_k(row[None], held[None], 5))
        for query, row, held in rows
    )


def report_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """Figure, number of relevant drawings and value, for the terminal."""
    return [
        (f"kind top-1 of {evaluation.gallery} drawings", "", f"{evaluation.kind_top1:.3f}"),
        ("mean P@5", "", f"{evaluation.mean_precision_at_5:.3f}"),
        ("mean R@1", "", f"{evaluation.mean_recall_at_1:.3f}"),
        ("mAP", "", f"{evaluation.mean_average_precision:.3f}"),
        ("off-topic AUC", "", f"{evaluation.off_topic_auc:.3f}"),
        *((q.text, str(q.relevant), f"{q.precision_at_5:.1f}") for q in evaluation.queries),
    ]
