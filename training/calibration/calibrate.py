"""Fits calibration.json: `python -m training.calibration.calibrate --model DIR`.

Photos that no training used are halved: `petsearch.calibration` fits on one half, and the curves
are measured on the other, as gallery and as query photos. Off-topic texts are listed ones and
random words; those held out for evaluation are not used.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer

from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.calibration import (
    QUERY_KINDS,
    CalibrationTexts,
    Gallery,
    embed_fitted_texts,
    fit,
    measured_off_topic,
    results_of,
)
from petsearch.calibration.fitting import QueryResults
from petsearch.calibration.off_topic import OffTopicRow
from petsearch.domain import Embeddings, Label
from petsearch.domain.calibration import Calibration, Logistic, QueryKind
from petsearch.domain.errors import PetsearchError
from petsearch.models.folder import CALIBRATION
from petsearch.observability import configure_logging
from training.calibration.gallery import SEED, labelled_gallery
from training.drawings.config import SAMPLE_CONFIG, DataConfig, read_config
from training.drawings.data import background_words
from training.drawings.drawn_photos import drawn_photos
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import brier_score, expected_calibration_error
from training.evaluation.photos import load_split
from training.runs.model_folder import write_json

DRAWINGS = 1200
_RANDOM_TEXTS = 300


@dataclass(frozen=True)
class KindReliability:
    """The reliability of one curve on the other half."""

    results: int
    share_right: float
    expected_calibration_error: float
    brier: float
    brier_of_a_constant: float


def prepare_texts(
    model: OpenClipModel, data: DataConfig, labels: Sequence[Label] | None = None
) -> CalibrationTexts:
    """Embed the texts to fit on.

    Args:
        model: encodes them.
        data: lists off-topic texts.
        labels: the breeds; by default the model's own labels.
    """
    about_else = [*data.off_topic, *random_texts(data)]
    return embed_fitted_texts(partial(embed_texts, model), model.info, about_else, labels)


def random_texts(data: DataConfig) -> list[str]:
    """Random words of the tokenizer's vocabulary, without those of texts that evaluate."""
    rng = random.Random(SEED)
    words = background_words(SimpleTokenizer().encoder, data.off_topic_held_out)
    return [" ".join(rng.choices(words, k=rng.randint(1, 3))) for _ in range(_RANDOM_TEXTS)]


def with_off_topic_measured(
    calibration: Calibration, model: OpenClipModel, photos: Embeddings
) -> tuple[Calibration, list[OffTopicRow]]:
    """See `measured_off_topic`."""
    return measured_off_topic(calibration, partial(embed_texts, model), model.info, photos)


def check(
    calibration: Calibration, gallery: Gallery, texts: CalibrationTexts
) -> dict[QueryKind, KindReliability]:
    """Measure on photos that nothing was fitted on."""
    return {
        kind: _report(
            getattr(calibration, kind), results_of(kind, gallery, texts, calibration.spread)
        )
        for kind in QUERY_KINDS
    }


def shares_of(curve: Logistic, results: QueryResults) -> NDArray[np.float64]:
    """The confidence of each result according to a curve."""
    line = curve.score_weight * results.score + curve.z_weight * results.z + curve.intercept
    return 1 / (1 + np.exp(-np.clip(line, -60, 60)))


def _report(curve: Logistic, results: QueryResults) -> KindReliability:
    shares = shares_of(curve, results)
    right = results.is_right.astype(float)
    return KindReliability(
        results=len(right),
        share_right=float(right.mean()),
        expected_calibration_error=expected_calibration_error(shares, right),
        brier=brier_score(shares, right),
        brier_of_a_constant=brier_score(np.full_like(right, right.mean()), right),
    )


def main(
    model: Annotated[Path, typer.Option(help="Model folder; calibration.json is written into it.")],
    dataset: Annotated[
        str, typer.Option(help="Labelled photos held out of training: a hub name or folder.")
    ] = "",
    split: Annotated[str, typer.Option()] = "test",
    label_column: Annotated[str, typer.Option()] = "label",
    config: Annotated[Path, typer.Option(help="Lists off-topic texts.")] = SAMPLE_CONFIG,
    out: Annotated[Path | None, typer.Option(help="Write to this folder instead.")] = None,
) -> None:
    """Fit on one half of the photos, measure on the other, and write calibration.json."""
    configure_logging(level="WARNING")
    try:
        data = read_config(config).data
        loaded = load_model(f"dir:{model}")
        photos = (
            load_split(dataset, split, label_column=label_column)
            if dataset
            else drawn_photos(range(DRAWINGS), SEED)
        )
        gallery = labelled_gallery(loaded, photos)
        texts = prepare_texts(loaded, data)
        other_half = gallery.half(1)
        calibration, off_topic = with_off_topic_measured(
            fit(gallery.half(0), texts, loaded.info), loaded, other_half.embeddings
        )
        report = check(calibration, other_half, texts)
        write_json((out or model) / CALIBRATION, asdict(calibration))
    except PetsearchError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    figures = {kind: asdict(held) for kind, held in report.items()}
    typer.echo(json.dumps({**figures, "off_topic": [asdict(row) for row in off_topic]}, indent=1))


if __name__ == "__main__":
    typer.run(main)
