"""Fits calibrations: photos are halved, one half to fit on and the other to measure on.

The results of a query are its best 2R photos, where R is the number of relevant ones, so that right
and wrong results balance. Logistic curves: Platt, "Probabilistic outputs for support vector
machines", 1999.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from petsearch.calibration.gallery import Gallery
from petsearch.calibration.held_out_texts import read_held_out_texts
from petsearch.calibration.logistic_regression import fit_weights
from petsearch.calibration.off_topic import (
    BestScores,
    OffTopicRow,
    best_scores,
    fit_off_topic,
    measure_off_topic,
    rounded,
    standard_scores,
)
from petsearch.domain import Embeddings, Label, ModelInfo
from petsearch.domain.calibration import (
    Calibration,
    GuessCurve,
    Guesses,
    Logistic,
    OffTopic,
    QueryKind,
    Spread,
    weights_hash_of,
)
from petsearch.domain.errors import ConfigurationError
from petsearch.domain.prompts import with_singular_names
from petsearch.embedding.zero_shot import BestName, ClassNames, guess

QUERY_KINDS: tuple[QueryKind, ...] = ("breed_text", "species_text", "photo")
_RANK = 16
"""Rank of the covariance; a higher one changes no figure (ADR 14)."""
_OFF_TOPIC_TEXTS = Path(__file__).with_name("off_topic_texts.toml")
_PHRASES = ("{}", "a {}", "my {}", "lost {}", "fluffy {}", "{} on a sofa")

EmbedTexts = Callable[[Sequence[str], Sequence[str]], Embeddings]
"""Embeddings `(n, dim)` of texts: for each the normalised mean over its prompts by these
templates."""


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
    """`(m, dim)`"""

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


def embed_fitted_texts(
    embed: EmbedTexts,
    model: ModelInfo,
    about_else: Sequence[str],
    labels: Sequence[Label] | None = None,
) -> CalibrationTexts:
    """Embed the texts that calibrations are fitted on, as searches do.

    Args:
        embed: encodes them.
        about_else: texts about anything but pets.
        labels: the breeds; by default the model's own labels.
    """
    labels = model.labels if labels is None else labels
    templates = model.prompt_templates
    species = sorted({label.species for label in labels})
    breeds = [label.breed for label in labels]
    return CalibrationTexts(
        labels=labels,
        names=ClassNames(
            embed(breeds, model.label_templates), embed(species, model.species_templates)
        ),
        breeds=embed(breeds, templates),
        species=embed(species, templates),
        about_pets=embed(phrases_about(breeds), templates),
        about_else=embed(about_else, templates),
    )


def phrases_about(breeds: Sequence[str]) -> list[str]:
    """Breeds as users write them."""
    return [phrase.replace("{}", breed) for breed in breeds for phrase in _PHRASES]


def texts_about_else() -> tuple[str, ...]:
    """Listed texts about anything but pets."""
    return tuple(tomllib.loads(_OFF_TOPIC_TEXTS.read_text(encoding="utf-8"))["about_else"])


def fit(gallery: Gallery, texts: CalibrationTexts, model: ModelInfo) -> Calibration:
    """Fit on one half of the photos, for the model that embedded them."""
    spread = _spread(gallery.embeddings)
    curves = {kind: fit_logistic(results_of(kind, gallery, texts, spread)) for kind in QUERY_KINDS}
    return Calibration(
        weights=weights_hash_of(model.model_id),
        spread=spread,
        breed_text=curves["breed_text"],
        species_text=curves["species_text"],
        photo=curves["photo"],
        off_topic=_fit_line(gallery.embeddings, texts, spread),
        guesses=fit_guesses(gallery, texts, model.logit_scale),
    )


def fit_without_labels(
    photos: Embeddings, texts: CalibrationTexts, model: ModelInfo
) -> Calibration:
    """Fit what texts alone tell of a model's scores with `(n, dim)` photos: what is off topic."""
    spread = _spread(photos)
    return Calibration(
        weights=weights_hash_of(model.model_id),
        spread=spread,
        breed_text=None,
        species_text=None,
        photo=None,
        off_topic=_fit_line(photos, texts, spread),
    )


def _fit_line(photos: Embeddings, texts: CalibrationTexts, spread: Spread) -> OffTopic:
    about_pets, about_else = (
        best_scores(rows, photos, spread) for rows in (texts.about_pets, texts.about_else)
    )
    return fit_off_topic(about_pets, about_else)


def measured_off_topic(
    calibration: Calibration, embed: EmbedTexts, model: ModelInfo, photos: Embeddings
) -> tuple[Calibration, list[OffTopicRow]]:
    """The calibration with how well it tells held-out texts apart, and each kind of text.

    Args:
        calibration: what was fitted.
        embed: encodes the texts.
        model: what is measured.
        photos: `(n, dim)` that nothing was fitted on.
    """
    texts = read_held_out_texts()
    about_pets = texts.about({label.breed for label in model.labels})

    def best(words: Sequence[str]) -> BestScores:
        said = [with_singular_names(text, model.labels) for text in words]
        rows = embed(said, model.prompt_templates)
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
