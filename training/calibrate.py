"""Fits what scores are worth: `python -m training.calibrate --model DIR` writes calibration.json.

Protocol: photos that no training saw are halved. One half gives mean and covariance of embeddings
and the curves; the other half measures them, as gallery and as query photos. A query's results are
its best 2R photos, R being how many are right, so that rights and wrongs are about as many. Texts
about something else set no curve: the bound is where a share of texts about pets falls below it.
Logistic curves: Platt, "Probabilistic outputs for support vector machines", 1999.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from petsearch.adapters.open_clip_model import OpenClipModel, load_model
from petsearch.calibration import Calibration, Logistic, QueryKind, Spread
from petsearch.errors import ConfigurationError, InvalidInput
from petsearch.model import Embeddings, Label
from petsearch.observability import configure_logging
from petsearch.photo_sources import DatasetOptions, from_dataset
from training.calibration_metrics import brier_score, expected_calibration_error
from training.evaluate import embed_texts
from training.gallery import Gallery, drawn_gallery, photo_gallery
from training.model_folder import write_json

CALIBRATION = "calibration.json"
FLAGGED_SHARE = 0.05
"""Of texts about pets that are called off topic, in exchange for those that are."""
DRAWINGS = 1200
_RANK = 16
"""Of the covariance: more changes no figure (ADR 0014)."""
_DIGITS = 5
_KINDS: tuple[QueryKind, ...] = ("breed_text", "species_text", "photo")
_PHRASES = ("{}", "a {}", "my {}", "lost {}", "fluffy {}", "{} on a sofa", "two {}s")


@dataclass(frozen=True)
class Texts:
    """Embeddings of the texts that the curves are fitted on."""

    labels: Sequence[Label]
    breeds: Embeddings
    """`(labels, dim)`"""
    species: Embeddings
    """`(species, dim)`, in the order of `species_names`."""
    about_pets: Embeddings
    """`(n, dim)`: breeds as people write them; they set the bound of what is off topic."""

    @property
    def species_names(self) -> list[str]:
        """Sorted."""
        return sorted({label.species for label in self.labels})


@dataclass(frozen=True)
class Results:
    """Results of all queries of one kind."""

    z: NDArray[np.float64]
    is_right: NDArray[np.bool_]


@dataclass(frozen=True)
class KindReport:
    """How well one curve holds on the other half."""

    results: int
    share_right: float
    expected_calibration_error: float
    brier: float
    brier_of_a_constant: float


def prepare_texts(model: OpenClipModel) -> Texts:
    """Embed the texts as searches do."""
    labels = model.info.labels
    templates = model.info.prompt_templates
    species = sorted({label.species for label in labels})
    phrases = [phrase.replace("{}", label.breed) for label in labels for phrase in _PHRASES]
    return Texts(
        labels=labels,
        breeds=embed_texts(model, [label.breed for label in labels], templates),
        species=embed_texts(model, species, templates),
        about_pets=embed_texts(model, phrases, templates),
    )


def fit(gallery: Gallery, texts: Texts) -> Calibration:
    """From one half of the photos."""
    spread = _spread(gallery.embeddings)
    curves = {kind: _logistic(results_of(kind, gallery, texts, spread)) for kind in _KINDS}
    best = best_z(texts.about_pets, gallery.embeddings, spread)
    return Calibration(
        spread=spread,
        off_topic_below=_rounded(float(np.quantile(best, FLAGGED_SHARE))),
        **curves,
    )


def check(calibration: Calibration, gallery: Gallery, texts: Texts) -> dict[QueryKind, KindReport]:
    """On photos that nothing was fitted on."""
    return {
        kind: _report(
            getattr(calibration, kind), results_of(kind, gallery, texts, calibration.spread)
        )
        for kind in _KINDS
    }


def results_of(kind: QueryKind, gallery: Gallery, texts: Texts, spread: Spread) -> Results:
    """The best 2R results of every query of a kind."""
    breeds = np.array([label.breed for label in texts.labels])
    if kind == "breed_text":
        queries, right = texts.breeds, breeds[:, None] == gallery.breeds
    elif kind == "species_text":
        names = np.array(texts.species_names)
        queries, right = texts.species, names[:, None] == gallery.species
    else:
        queries, right = gallery.embeddings, gallery.breeds[:, None] == gallery.breeds
    z = standard_scores(queries, gallery.embeddings, spread)
    if kind == "photo":
        np.fill_diagonal(z, -np.inf)  # a photo is no result of its own
        np.fill_diagonal(right, val=False)
    return _best_2r(z, right)


def standard_scores(
    queries: Embeddings, gallery: Embeddings, spread: Spread
) -> NDArray[np.float64]:
    """z of every photo for every query, `(queries, gallery)`."""
    moments = np.array([spread.of_scores(query) for query in queries])
    scores: NDArray[np.float64] = (queries @ gallery.T - moments[:, :1]) / moments[:, 1:]
    return scores


def best_z(queries: Embeddings, gallery: Embeddings, spread: Spread) -> NDArray[np.float64]:
    """z of each query's best photo, `(queries,)`: low for texts about something else."""
    best: NDArray[np.float64] = standard_scores(queries, gallery, spread).max(axis=1)
    return best


def _best_2r(z: NDArray[np.float64], right: NDArray[np.bool_]) -> Results:
    all_z, all_right = [], []
    for row, row_right in zip(z, right, strict=True):
        best = np.argsort(-row, kind="stable")[: 2 * int(row_right.sum())]
        best = best[np.isfinite(row[best])]
        all_z.append(row[best])
        all_right.append(row_right[best])
    return Results(np.concatenate(all_z), np.concatenate(all_right))


def _spread(embeddings: Embeddings) -> Spread:
    """Mean, the strongest directions of the covariance, and the mean variance of the others."""
    values, vectors = np.linalg.eigh(np.cov(embeddings.astype(np.float64), rowvar=False))
    rank = min(_RANK, len(values) - 1)
    rest = max(float(values[:-rank].mean()), 1e-12)
    factors = (vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:] - rest, 0.0))).T
    return Spread(
        mean=tuple(_rounded(float(value)) for value in embeddings.mean(axis=0)),
        factors=tuple(tuple(_rounded(float(value)) for value in row) for row in factors),
        rest=_rounded(rest),
    )


def _logistic(results: Results, steps: int = 50) -> Logistic:
    """By Newton's method; a small ridge keeps it finite where z parts right from wrong."""
    x = np.stack([results.z, np.ones_like(results.z)], axis=1)
    weights = np.zeros(2)
    ridge = np.array([1e-2, 1e-6])
    for _ in range(steps):
        shares = 1 / (1 + np.exp(-np.clip(x @ weights, -60, 60)))
        slope = x.T @ (results.is_right - shares) - ridge * weights
        curvature = (x * (shares * (1 - shares))[:, None]).T @ x + np.diag(ridge)
        weights += np.linalg.solve(curvature, slope)
    return Logistic(_rounded(float(weights[0])), _rounded(float(weights[1])))


def _report(curve: Logistic, results: Results) -> KindReport:
    shares = np.array([curve.at(float(z)) for z in results.z])
    right = results.is_right.astype(float)
    return KindReport(
        results=len(right),
        share_right=float(right.mean()),
        expected_calibration_error=expected_calibration_error(shares, right),
        brier=brier_score(shares, right),
        brier_of_a_constant=brier_score(np.full_like(right, right.mean()), right),
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def main(
    model: Annotated[Path, typer.Option(help="A model folder; calibration.json is written here.")],
    dataset: Annotated[
        str, typer.Option(help="Labelled photos held out of training: hub name or folder.")
    ] = "",
    split: Annotated[str, typer.Option()] = "test",
    label_column: Annotated[str, typer.Option()] = "label",
    out: Annotated[Path | None, typer.Option(help="Write into this folder instead.")] = None,
) -> None:
    """Fit on one half of the photos, check on the other, and write what fits."""
    configure_logging(level="WARNING")
    try:
        loaded = load_model(f"dir:{model}")
        if dataset:
            options = DatasetOptions(split, label_column, limit=None)
            gallery = photo_gallery(loaded, from_dataset(dataset, options).photos)
        else:
            gallery = drawn_gallery(loaded, DRAWINGS)
    except (ConfigurationError, InvalidInput) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    texts = prepare_texts(loaded)
    calibration = fit(gallery.half(0), texts)
    report = check(calibration, gallery.half(1), texts)
    write_json((out or model) / CALIBRATION, asdict(calibration))
    typer.echo(json.dumps({kind: asdict(figures) for kind, figures in report.items()}, indent=1))


if __name__ == "__main__":
    typer.run(main)
