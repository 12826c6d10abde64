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
from dataclasses import asdict, dataclass, replace
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
    GuessCurve,
    Guesses,
    Logistic,
    QueryKind,
    Spread,
    weights_hash_of,
)
from petsearch.domain.errors import ConfigurationError, InvalidInput
from petsearch.domain.prompts import with_singular_names
from petsearch.embedding.zero_shot import BestName, ClassNames, guess
from petsearch.models.folder import CALIBRATION
from petsearch.observability import configure_logging
from training.calibration.gallery import SEED, Gallery, labelled_gallery
from training.calibration.held_out_texts import read_held_out_texts
from training.calibration.logistic_regression import fit_weights
from training.calibration.off_topic import (
    BestScores,
    OffTopicRow,
    best_scores,
    fit_off_topic,
    measure_off_topic,
    rounded,
    standard_scores,
)
from training.drawings.config import SAMPLE_CONFIG, DataConfig, read_config
from training.drawings.data import background_words
from training.drawings.drawn_photos import drawn_photos
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import brier_score, expected_calibration_error
from training.evaluation.photos import load_split
from training.runs.model_folder import write_json

DRAWINGS = 1200
_RANDOM_TEXTS = 300
_RANK = 16
"""Rank of the covariance; a higher one changes no figure (ADR 14)."""
_KINDS: tuple[QueryKind, ...] = ("breed_text", "species_text", "photo")
_PHRASES = ("{}", "a {}", "my {}", "lost {}", "fluffy {}", "{} on a sofa")


@dataclass(frozen=True)
class CalibrationTexts:
    """Embeddings of the texts that curves are fitted on."""

    labels: Sequence[Label]
    names: ClassNames
    """The names that photos are compared with to guess their breed and species."""
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
    breeds = [label.breed for label in labels]
    about_pets, about_else = fitted_texts(data, breeds)
    return CalibrationTexts(
        labels=labels,
        names=ClassNames(
            embed_texts(model, breeds, model.info.label_templates),
            embed_texts(model, species, model.info.species_templates),
        ),
        breeds=embed_texts(model, breeds, templates),
        species=embed_texts(model, species, templates),
        about_pets=embed_texts(model, about_pets, templates),
        about_else=embed_texts(model, about_else, templates),
    )


def fitted_texts(data: DataConfig, breeds: Sequence[str]) -> tuple[list[str], list[str]]:
    """The texts about pets and about something else that the off-topic line is fitted on."""
    about_pets = [phrase.replace("{}", breed) for breed in breeds for phrase in _PHRASES]
    return about_pets, _texts_about_else(data)


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
        guesses=fit_guesses(gallery, texts, model.logit_scale),
    )


def with_off_topic_measured(
    calibration: Calibration, model: OpenClipModel, photos: Embeddings
) -> tuple[Calibration, list[OffTopicRow]]:
    """The calibration with how well it tells held-out texts apart, and each kind of text.

    Args:
        calibration: what was fitted.
        model: encodes the texts.
        photos: `(n, dim)` that nothing was fitted on.
    """
    texts = read_held_out_texts()
    about_pets = texts.about({label.breed for label in model.info.labels})

    def best(words: Sequence[str]) -> BestScores:
        said = [with_singular_names(text, model.info.labels) for text in words]
        rows = embed_texts(model, said, model.info.prompt_templates)
        return best_scores(rows, photos, calibration.spread)

    rows = measure_off_topic(
        calibration.off_topic,
        {kind: best(words) for kind, words in about_pets.items() if words},
        {kind: best(words) for kind, words in texts.about_else.items()},
    )
    line = replace(calibration.off_topic, measured=rows[0].figures)
    return replace(calibration, off_topic=line), rows


def fit_guesses(gallery: Gallery, texts: CalibrationTexts, logit_scale: float) -> Guesses | None:
    """Fit how often guesses of breed and species are right; None for a single species."""
    if len(texts.species_names) < 2:
        return None
    species, breed = (
        _fit_guess(guessed, is_right)
        for guessed, is_right in guesses_of(gallery, texts, logit_scale)
    )
    return Guesses(species=species, breed=breed)


def guesses_of(
    gallery: Gallery, texts: CalibrationTexts, logit_scale: float
) -> list[tuple[BestName, NDArray[np.bool_]]]:
    """What each photo is taken for and whether that is right, by species and by breed."""
    names = [
        (texts.names.species, np.array(texts.species_names), gallery.species),
        (texts.names.breeds, np.array([label.breed for label in texts.labels]), gallery.breeds),
    ]
    found = []
    for embeddings, called, right in names:
        guessed = guess(gallery.embeddings, embeddings, logit_scale)
        found.append((guessed, called[guessed.best] == right))
    return found


def _fit_guess(guessed: BestName, is_right: NDArray[np.bool_]) -> GuessCurve:
    weight, intercept = fit_weights(guessed.log_odds[:, None], is_right)
    if weight <= 0:
        raise ConfigurationError("Likelier guesses are not right more often: nothing to calibrate.")
    return GuessCurve(rounded(weight), rounded(intercept))


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
        mean=tuple(rounded(float(value)) for value in embeddings.mean(axis=0)),
        factors=tuple(tuple(rounded(float(value)) for value in row) for row in factors),
        rest=rounded(rest),
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
    score_weight, z_weight = (rounded(float(weight)) for weight in raw)
    return Logistic(score_weight, z_weight, rounded(intercept - float(raw @ mean)))


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
    except (ConfigurationError, InvalidInput) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    texts = prepare_texts(loaded, data)
    other_half = gallery.half(1)
    calibration, off_topic = with_off_topic_measured(
        fit(gallery.half(0), texts, loaded.info), loaded, other_half.embeddings
    )
    report = check(calibration, other_half, texts)
    write_json((out or model) / CALIBRATION, asdict(calibration))
    figures = {kind: asdict(held) for kind, held in report.items()}
    typer.echo(json.dumps({**figures, "off_topic": [asdict(row) for row in off_topic]}, indent=1))


if __name__ == "__main__":
    typer.run(main)
