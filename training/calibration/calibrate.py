"""Fits calibration.json: `python -m training.calibration.calibrate --model DIR`.

Protocol: photos that no training used are halved. Mean and covariance of embeddings and the curves
are fitted on one half and measured on the other, as gallery and as query photos. The results of a
query are its best 2R photos, where R is the number of relevant ones, so that right and wrong
results balance. Off-topic texts are listed ones and random words; those held out for evaluation
are not used. Logistic curves: Platt, "Probabilistic outputs for support vector machines", 1999.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from open_clip.tokenizer import SimpleTokenizer

from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.domain import Embeddings, Label, ModelInfo
from petsearch.domain.calibration import (
    Calibration,
    Logistic,
    OffTopic,
    QueryKind,
    Spread,
    weights_hash_of,
)
from petsearch.domain.errors import ConfigurationError, InvalidInput
from petsearch.models.folder import CALIBRATION
from petsearch.observability import configure_logging
from training.calibration.gallery import SEED, Gallery, labelled_gallery
from training.calibration.logistic_regression import fit_weights
from training.drawings.config import SAMPLE_CONFIG, DataConfig, read_config
from training.drawings.data import background_words
from training.drawings.drawn_photos import drawn_photos
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import brier_score, expected_calibration_error
from training.evaluation.photos import load_split
from training.runs.model_folder import write_json

FLAGGED_SHARE = 0.05
"""At most this share of texts about pets may be flagged as off topic."""
DRAWINGS = 1200
_RANDOM_TEXTS = 300
_RANK = 16
"""Rank of the covariance; a higher one changes no figure (ADR 14)."""
_DIGITS = 5
_KINDS: tuple[QueryKind, ...] = ("breed_text", "species_text", "photo")
_PHRASES = ("{}", "a {}", "my {}", "lost {}", "fluffy {}", "{} on a sofa")


@dataclass(frozen=True)
class CalibrationTexts:
    """Embeddings of the texts that curves are fitted on."""

    labels: Sequence[Label]
    breeds: Embeddings
    """`(labels, dim)`"""
    species: Embeddings
    """`(species, dim)`, in the order of `species_names`."""
    about_pets: Embeddings
    """`(n, dim)`: breeds as users write them."""
    about_else: Embeddings
    """`(m, dim)`: listed texts and random words of the tokenizer's vocabulary."""

    @property
    def species_names(self) -> list[str]:
        """The species of the labels, sorted."""
        return sorted({label.species for label in self.labels})


@dataclass(frozen=True)
class QueryResults:
    """The results of all queries of one kind, `(n,)`."""

    score: NDArray[np.float64]
    z: NDArray[np.float64]
    is_right: NDArray[np.bool_]


@dataclass(frozen=True)
class KindReliability:
    """The reliability of one curve on the other half."""

    results: int
    share_right: float
    expected_calibration_error: float
    brier: float
    brier_of_a_constant: float


@dataclass(frozen=True)
class BestScores:
    """Score and z-score of the best photo of each text, `(n,)`."""

    score: NDArray[np.float64]
    z: NDArray[np.float64]

    @property
    def features(self) -> NDArray[np.float64]:
        """Both as `(n, 2)`."""
        return np.stack([self.score, self.z], axis=1)

    def on_topic(self, line: OffTopic) -> NDArray[np.float64]:
        """A score of each text that rises the more it is about pets; below `line.below` is off."""
        return line.score_weight * self.score + line.z_weight * self.z


def prepare_texts(
    model: OpenClipModel, data: DataConfig, labels: Sequence[Label] | None = None
) -> CalibrationTexts:
    """Embed texts as searches do.

    Args:
        model: encodes them.
        data: lists off-topic texts.
        labels: the breeds; by default the model's own labels.
    """
    labels = model.info.labels if labels is None else labels
    templates = model.info.prompt_templates
    species = sorted({label.species for label in labels})
    phrases = [phrase.replace("{}", label.breed) for label in labels for phrase in _PHRASES]
    return CalibrationTexts(
        labels=labels,
        breeds=embed_texts(model, [label.breed for label in labels], templates),
        species=embed_texts(model, species, templates),
        about_pets=embed_texts(model, phrases, templates),
        about_else=embed_texts(model, _texts_about_else(data), templates),
    )


def _texts_about_else(data: DataConfig) -> list[str]:
    rng = random.Random(SEED)
    words = background_words(SimpleTokenizer().encoder, data.off_topic_held_out)
    some = [" ".join(rng.choices(words, k=rng.randint(1, 3))) for _ in range(_RANDOM_TEXTS)]
    return [*data.off_topic, *some]


def fit(gallery: Gallery, texts: CalibrationTexts, model: ModelInfo) -> Calibration:
    """Fit on one half of the photos, for the model that embedded them."""
    spread = _spread(gallery.embeddings)
    curves = {kind: fit_logistic(results_of(kind, gallery, texts, spread)) for kind in _KINDS}
    about_pets, about_else = (
        best_scores(rows, gallery.embeddings, spread)
        for rows in (texts.about_pets, texts.about_else)
    )
    return Calibration(
        weights=weights_hash_of(model.model_id),
        spread=spread,
        breed_text=curves["breed_text"],
        species_text=curves["species_text"],
        photo=curves["photo"],
        off_topic=fit_off_topic(about_pets, about_else),
    )


def check(
    calibration: Calibration, gallery: Gallery, texts: CalibrationTexts
) -> dict[QueryKind, KindReliability]:
    """Measure on photos that nothing was fitted on."""
    return {
        kind: _report(
            getattr(calibration, kind), results_of(kind, gallery, texts, calibration.spread)
        )
        for kind in _KINDS
    }


def results_of(
    kind: QueryKind, gallery: Gallery, texts: CalibrationTexts, spread: Spread
) -> QueryResults:
    """The best 2R results of every query of one kind."""
    breeds = np.array([label.breed for label in texts.labels])
    if kind == "breed_text":
        queries, right = texts.breeds, breeds[:, None] == gallery.breeds
    elif kind == "species_text":
        queries, right = texts.species, np.array(texts.species_names)[:, None] == gallery.species
    else:
        queries, right = gallery.embeddings, gallery.breeds[:, None] == gallery.breeds
    z = standard_scores(queries, gallery.embeddings, spread)
    if kind == "photo":
        np.fill_diagonal(z, -np.inf)  # a photo is not a result of itself
        np.fill_diagonal(right, val=False)
    return _best_2r(queries @ gallery.embeddings.T, z, right)


def standard_scores(
    queries: Embeddings, gallery: Embeddings, spread: Spread
) -> NDArray[np.float64]:
    """z-score of every photo for every query, `(queries, gallery)`."""
    moments = np.array([spread.of_scores(query) for query in queries])
    return np.asarray((queries @ gallery.T - moments[:, :1]) / moments[:, 1:], np.float64)


def best_scores(queries: Embeddings, gallery: Embeddings, spread: Spread) -> BestScores:
    """The best photo of each query."""
    best = (queries @ gallery.T).max(axis=1).astype(np.float64)
    return BestScores(best, standard_scores(queries, gallery, spread).max(axis=1))


def _best_2r(score: Embeddings, z: NDArray[np.float64], right: NDArray[np.bool_]) -> QueryResults:
    rows = []
    for row, row_right in enumerate(right):
        best = np.argsort(-z[row], kind="stable")[: 2 * int(row_right.sum())]
        best = best[np.isfinite(z[row, best])]
        rows.append((score[row, best], z[row, best], row_right[best]))
    scores, standard, is_right = (np.concatenate(column) for column in zip(*rows, strict=True))
    return QueryResults(scores.astype(np.float64), standard, is_right)


def _spread(embeddings: Embeddings) -> Spread:
    """Mean, main directions of the covariance, and the mean variance of the other directions."""
    values, vectors = np.linalg.eigh(np.cov(embeddings.astype(np.float64), rowvar=False))
    rank = min(_RANK, len(values) - 1)
    rest = max(float(values[:-rank].mean()), 1e-12)
    factors = (vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:] - rest, 0.0))).T
    return Spread(
        mean=tuple(_rounded(float(value)) for value in embeddings.mean(axis=0)),
        factors=tuple(tuple(_rounded(float(value)) for value in row) for row in factors),
        rest=_rounded(rest),
    )


def fit_logistic(results: QueryResults) -> Logistic:
    """Fit the share of right results on score and z-score, or on one if the other has no gain."""
    both = np.stack([results.score, results.z], axis=1)
    for used in ([True, True], [False, True], [True, False]):
        features = both * used
        scale = np.maximum(features.std(axis=0), 1e-9)
        mean = features.mean(axis=0)
        *weights, intercept = fit_weights((features - mean) / scale, results.is_right)
        raw = np.array(weights) / scale
        if (raw >= 0).all() and (raw > 0).any():
            break
    else:
        raise ConfigurationError("Right results do not score higher: nothing to calibrate.")
    score_weight, z_weight = (_rounded(float(weight)) for weight in raw)
    return Logistic(score_weight, z_weight, _rounded(intercept - float(raw @ mean)))


def fit_off_topic(about_pets: BestScores, about_else: BestScores) -> OffTopic:
    """Fit the line by logistic regression with both sides weighted equally.

    It lies halfway between them, or lower if it would flag more than `FLAGGED_SHARE` of the texts
    about pets.
    """
    features = np.concatenate([about_pets.features, about_else.features])
    scale = features.std(axis=0)
    is_pet = np.repeat([True, False], [len(about_pets.score), len(about_else.score)])
    shares = np.where(is_pet, 0.5 / is_pet.mean(), 0.5 / (1 - is_pet.mean()))
    mean = features.mean(axis=0)
    *weights, intercept = fit_weights((features - mean) / scale, is_pet, shares=shares, ridge=1.0)
    score_weight, z_weight = (_rounded(float(w / s)) for w, s in zip(weights, scale, strict=True))
    direction = np.array([score_weight, z_weight])
    halfway = float(mean @ direction) - intercept
    lowest = float(np.quantile(about_pets.features @ direction, FLAGGED_SHARE))
    return OffTopic(score_weight, z_weight, _rounded(min(halfway, lowest)))


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


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


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
    except (ConfigurationError, InvalidInput) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    texts = prepare_texts(loaded, data)
    calibration = fit(gallery.half(0), texts, loaded.info)
    report = check(calibration, gallery.half(1), texts)
    write_json((out or model) / CALIBRATION, asdict(calibration))
    typer.echo(json.dumps({kind: asdict(figures) for kind, figures in report.items()}, indent=1))


if __name__ == "__main__":
    typer.run(main)
