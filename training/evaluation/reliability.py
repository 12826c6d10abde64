"""Reliability of confidences: those of predicted breeds, and those of calibrated search results.

`training.calibration.calibrate` fits curves on every second photo of each breed; they are measured
on the others. The softmax of the predicted breed is not fitted and is measured on all photos.
"""

import numpy as np
from numpy.typing import NDArray

from petsearch.calibration import fit, results_of
from petsearch.domain import Label
from petsearch.domain.calibration import QueryKind
from petsearch.domain.errors import ConfigurationError
from training.calibration.calibrate import prepare_texts, shares_of
from training.calibration.gallery import gallery_of
from training.drawings.config import DataConfig
from training.evaluation.figures import Bin, Curve, Reliability
from training.evaluation.measurement import EvaluatedModel
from training.evaluation.metrics import (
    bins_of_equal_mass,
    brier_score,
    expected_calibration_error,
)

_KINDS: dict[QueryKind, str] = {
    "breed_text": "results of a text that names a breed",
    "species_text": "results of a text that names a species",
    "photo": "results of a photo",
}


def reliability(
    subject: EvaluatedModel, class_scores: NDArray[np.float32], texts: DataConfig
) -> Reliability:
    """Measure the predicted breed, and each kind of query if calibration can be fitted.

    Args:
        subject: the model with its embedded photos.
        class_scores: cosine `(photos, classes)`, single prompt.
        texts: lists off-topic texts, which fitting needs.
    """
    top1 = predicted_breed_curve(class_scores, subject.labels, subject.model.info.logit_scale)
    try:
        return Reliability((top1, *_calibrated(subject, texts)), None)
    except ConfigurationError as error:
        return Reliability((top1,), error.detail)


def predicted_breed_curve(
    class_scores: NDArray[np.float32], labels: NDArray[np.int64], logit_scale: float
) -> Curve:
    """Softmax of the best class at the model's temperature: the confidence of predicted breeds."""
    logits = class_scores.astype(np.float64) * logit_scale
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = exponents.max(axis=1) / exponents.sum(axis=1)
    right = class_scores.argmax(axis=1) == labels
    return curve_of("predicted breed (softmax, not calibrated)", shares, right.astype(float))


def curve_of(kind: str, shares: NDArray[np.float64], right: NDArray[np.float64]) -> Curve:
    """Bins of equal size, and the distance of confidence and outcome."""
    bins = tuple(
        Bin(float(shares[part].mean()), float(right[part].mean()), len(part))
        for part in bins_of_equal_mass(shares)
    )
    error = expected_calibration_error(shares, right)
    return Curve(kind, bins, error, brier_score(shares, right), len(shares))


def _calibrated(subject: EvaluatedModel, config: DataConfig) -> list[Curve]:
    species_of = dict(zip(subject.class_names, subject.species, strict=True))
    labels = [Label(name, species) for name, species in species_of.items() if species]
    if len(labels) < len(species_of):
        raise ConfigurationError("The species of some classes is not known.")
    if np.bincount(subject.labels).min() < 4:
        raise ConfigurationError("A class has fewer than four photos; two halves need two each.")
    gallery = gallery_of(subject.embedded, {label.breed: label.species for label in labels})
    texts = prepare_texts(subject.model, config, labels)
    fitted = fit(gallery.half(0), texts, subject.model.info)
    checked = gallery.half(1)
    curves = []
    for kind, words in _KINDS.items():
        results = results_of(kind, checked, texts, fitted.spread)
        shares = shares_of(getattr(fitted, kind), results)
        curves.append(curve_of(words, shares, results.is_right.astype(float)))
    return curves
