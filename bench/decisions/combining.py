"""Rules for combining texts and photos in one query (ADR 12), compared on real photos.

`python -m bench.decisions.combining` prints P@5 and mAP of four rules on the test split; query
photos come from the train split. A "wrong hit" is the highest-scored photo of another breed: the
one a user would mark as "less like this". A "light" photo has a centre brighter than two thirds of
its breed, a "dark" one a centre darker than two thirds: a proxy for coat colour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.real_photos import RealPhotos, breeds_of, load_photos
from bench.shared_data import DATASET, MODEL, load_clip
from petsearch.domain import Embedding, Embeddings
from petsearch.search.combination import combine
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import mean_average_precision, precision_at_k

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

_RRF_K = 60
"""Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009."""
_PHOTOS_PER_BREED = 5
_LESS = 0.3
"""Weight of a negative example, of 0.1 to 0.8 that were tried."""

Scores = NDArray[np.floating]
Rule = Callable[[Embeddings, Embeddings, Embeddings], Scores]
"""Positive `(p, dim)`, negative `(n, dim)` and gallery `(g, dim)` embeddings to scores `(g,)`."""


@dataclass(frozen=True)
class Case:
    """One query and what it should find."""

    positive: Embeddings
    negative: Embeddings
    relevant: NDArray[np.bool_]


def weighted_sum(positive: Embeddings, negative: Embeddings, gallery: Embeddings) -> Scores:
    """What petsearch does: `petsearch.search.combination`, with its weights by default."""
    return gallery @ combine([(row, 1.0) for row in positive], [(row, _LESS) for row in negative])


def balanced_sum(positive: Embeddings, negative: Embeddings, gallery: Embeddings) -> Scores:
    """The same over standardised scores, because those of texts spread less than of photos."""
    total = np.zeros(len(gallery))
    for rows, sign in ((positive, 1.0), (negative, -_LESS)):
        scores = gallery @ rows.T
        total += sign * ((scores - scores.mean(axis=0)) / scores.std(axis=0)).sum(axis=1)
    return total


def best_score(positive: Embeddings, negative: Embeddings, gallery: Embeddings) -> Scores:
    """Qdrant's recommend strategy of that name: the nearest example decides."""
    liked: Scores = (gallery @ positive.T).max(axis=1)
    if not len(negative):
        return liked
    disliked: Scores = (gallery @ negative.T).max(axis=1)
    worse: Scores = -disliked
    return np.where(liked > disliked, liked, worse)


def rank_fusion(positive: Embeddings, negative: Embeddings, gallery: Embeddings) -> Scores:
    """Reciprocal ranks added up; those of negative examples taken off."""
    total = np.zeros(len(gallery))
    for rows, sign in ((positive, 1.0), (negative, -_LESS)):
        for scores in rows @ gallery.T:
            ranks = np.empty(len(gallery))
            ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(gallery) + 1)
            total += sign / (_RRF_K + ranks)
    return total


RULES: dict[str, Rule] = {
    "weighted sum": weighted_sum,
    "sum of standardised scores": balanced_sum,
    "best score": best_score,
    "rank fusion": rank_fusion,
}


def tasks(clip: "OpenClipModel", gallery: RealPhotos, queries: RealPhotos) -> dict[str, list[Case]]:
    """Cases by task, over every breed that the model can name."""
    breeds = [breed for breed in breeds_of(clip.info) if (gallery.breeds == breed).any()]
    texts = dict(zip(breeds, embed_texts(clip, breeds, clip.info.prompt_templates), strict=True))
    found: dict[str, list[Case]] = {
        "text": [],
        "photo": [],
        "text + photo": [],
        "two photos": [],
        "text - wrong hit": [],
        "photo - wrong hit": [],
        "breed, not light: text alone": [],
        "breed - light photo": [],
        "breed + dark photo - light photo": [],
    }
    nothing = gallery.embeddings[:0]
    for breed, text in texts.items():
        same = gallery.breeds == breed
        own = queries.part(queries.breeds == breed)
        others = queries.part(queries.breeds != breed)
        photos = own.embeddings[:_PHOTOS_PER_BREED]
        found["text"].append(Case(text[None], nothing, same))
        for number, photo in enumerate(photos):
            found["photo"].append(Case(photo[None], nothing, same))
            found["text + photo"].append(Case(np.stack([text, photo]), nothing, same))
            pair = np.stack([photo, photos[number - 1]])
            found["two photos"].append(Case(pair, nothing, same))
            found["photo - wrong hit"].append(Case(photo[None], _nearest(others, photo), same))
        found["text - wrong hit"].append(Case(text[None], _nearest(others, text), same))
        _add_coat_cases(found, text, own, same, gallery)
    return found


def _nearest(photos: RealPhotos, embedding: Embedding) -> Embeddings:
    best: Embeddings = photos.embeddings[(photos.embeddings @ embedding).argmax()][None]
    return best


def _add_coat_cases(
    found: dict[str, list[Case]],
    text: Embedding,
    own: RealPhotos,
    same: NDArray[np.bool_],
    gallery: RealPhotos,
) -> None:
    light = gallery.coats.mean(axis=1)
    dark_ones = same & (light < np.quantile(light[same], 1 / 3))
    order = np.argsort(own.coats.mean(axis=1))
    nothing = gallery.embeddings[:0]
    found["breed, not light: text alone"].append(Case(text[None], nothing, dark_ones))
    for darkest, lightest in zip(order[:3], order[::-1][:3], strict=True):
        unwanted = own.embeddings[lightest][None]
        wanted = np.stack([text, own.embeddings[darkest]])
        found["breed - light photo"].append(Case(text[None], unwanted, dark_ones))
        found["breed + dark photo - light photo"].append(Case(wanted, unwanted, dark_ones))


def main(
    *,
    model: Annotated[str, typer.Option()] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """Print P@5 and mAP of each rule for each kind of query."""
    clip = load_clip(model, dataset)
    gallery = load_photos(clip, dataset=dataset, split="test", cache=cache)
    queries = load_photos(clip, dataset=dataset, split="train", cache=cache)
    table = Table("task", "queries", *RULES, title=f"P@5 / mAP, {len(gallery.breeds)} photos")
    for task, cases in tasks(clip, gallery, queries).items():
        relevant = np.stack([case.relevant for case in cases])
        cells = [_figures(rule, cases, gallery.embeddings, relevant) for rule in RULES.values()]
        table.add_row(task, str(len(cases)), *cells)
    Console().print(table)


def _figures(
    rule: Rule, cases: list[Case], gallery: Embeddings, relevant: NDArray[np.bool_]
) -> str:
    scores = np.stack([rule(case.positive, case.negative, gallery) for case in cases])
    precision = precision_at_k(scores, relevant, 5)
    return f"{precision:.3f} / {mean_average_precision(scores, relevant):.3f}"


if __name__ == "__main__":
    typer.run(main)
