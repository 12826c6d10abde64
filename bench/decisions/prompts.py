"""Prompt templates for bare queries (ADR 13): P@5 and mAP of each choice on real photos.

`python -m bench.decisions.prompts` queries every breed name, alone and as people write it, against
the Oxford test split; photos of the breed are relevant.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.real_photos import WAYS_TO_ASK, breeds_of, load_photos
from bench.shared_data import DATASET, MODEL, load_clip
from petsearch.domain.prompts import DEFAULT_TEMPLATES
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import mean_average_precision, precision_at_k

CHOICES: dict[str, tuple[str, ...]] = {
    "raw": ("{}",),
    "a photo of a {}.": ("a photo of a {}.",),
    "the default": DEFAULT_TEMPLATES,
    "raw + the default": ("{}", *DEFAULT_TEMPLATES),
    "five": (
        *DEFAULT_TEMPLATES,
        "a photo of a {}.",
        "a close-up photo of a {}.",
        "a photo of my {}.",
        "{}",
    ),
}


def main(
    *,
    model: Annotated[str, typer.Option()] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """Print P@5 and mAP of each set of templates."""
    clip = load_clip(model, dataset)
    gallery = load_photos(clip, dataset=dataset, cache=cache)
    labels = [label for label in clip.info.labels if (gallery.breeds == label.breed).any()]
    relevant = np.array([label.breed for label in labels])[:, None] == gallery.breeds
    table = Table("asked as", *CHOICES, title=f"P@5 / mAP, {len(breeds_of(clip.info))} breeds")
    figures = np.zeros((len(WAYS_TO_ASK), len(CHOICES), 2))
    for row, way in enumerate(WAYS_TO_ASK):
        texts = [way.replace("{}", x.breed).replace("{species}", x.species) for x in labels]
        for column, templates in enumerate(CHOICES.values()):
            scores = embed_texts(clip, texts, templates) @ gallery.embeddings.T
            figures[row, column, 0] = precision_at_k(scores, relevant, 5)
            figures[row, column, 1] = mean_average_precision(scores, relevant)
        table.add_row(way, *(_pair(pair) for pair in figures[row]))
    table.add_section()
    table.add_row("mean", *(_pair(pair) for pair in figures.mean(axis=0)))
    Console().print(table)


def _pair(figures: NDArray[np.float64]) -> str:
    return f"{figures[0]:.3f} / {figures[1]:.3f}"


if __name__ == "__main__":
    typer.run(main)
