"""Whether confidences hold: those of predicted breeds, and those that calibration gives results.

Curves of calibration are fitted on every second photo of each breed and read on the others, by
`training.calibration.calibrate`; the softmax of the predicted breed is fitted on nothing and read
on all.
"""

import numpy as np
from numpy.typing import NDArray

from petsearch.domain import Label
from petsearch.domain.calibration import QueryKind
from petsearch.domain.errors import ConfigurationError
from training.calibration.calibrate import fit, prepare_texts, results_of, shares_of
from training.calibration.gallery import Gallery
from training.calibration.metrics import (
    bins_of_equal_mass,
    brier_score,
    expected_calibration_error,
)
from training.drawings.config import DataConfig
from training.evaluation.figures import Bin, Curve, Reliability
from training.evaluation.measurement import Subject

_KINDS: dict[QueryKind, str] = {
    "breed_text": "results of a text that names a breed",
    "species_text": "results of a text that names a species",
    "photo": "results of a photo",
}


def reliability(
    subject: Subject, class_scores: NDArray[np.float32], texts: DataConfig
) -> Reliability:
    """Of the predicted breed, and of each kind of query if calibration can be fitted.

    Args:
        subject: model and photos.
        class_scores: cosine `(photos, classes)`, single prompt.
        texts: names texts about something else, which fitting wants.
    """
    top1 = predicted_breed_curve(class_scores, subject.labels, subject.model.info.logit_scale)
    try:
        return Reliability((top1, *_calibrated(subject, texts)), None)
    except ConfigurationError as error:
        return Reliability((top1,), error.detail)


def predicted_breed_curve(
    class_scores: NDArray[np.float32], labels: NDArray[np.int64], logit_scale: float
) -> Curve:
    """Softmax of the best class at the model's own temperature, as photos are tagged with."""
    logits = class_scores.astype(np.float64) * logit_scale
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = exponents.max(axis=1) / exponents.sum(axis=1)
    right = class_scores.argmax(axis=1) == labels
    return curve_of("predicted breed (softmax, not calibrated)", shares, right.astype(float))


def curve_of(kind: str, shares: NDArray[np.float64], right: NDArray[np.float64]) -> Curve:
    """Bins of equally many results, and how far confidence and outcome are apart."""
    bins = tuple(
        Bin(float(shares[part].mean()), float(right[part].mean()), len(part))
        for part in bins_of_equal_mass(shares)
    )
    error = expected_calibration_error(shares, right)
    return Curve(kind, bins, error, brier_score(shares, right), len(shares))


def _calibrated(subject: Subject, config: DataConfig) -> list[Curve]:
    photos = subject.embedded.photos
    if None in subject.species:
        raise ConfigurationError("The species of some classes is not known.")
    if np.bincount(photos.labels).min() < 4:
        raise ConfigurationError("A class has fewer than four photos; two halves need two each.")
    species = [str(name) for name in subject.species]
    labels = [Label(*pair) for pair in zip(photos.class_names, species, strict=True)]
    gallery = Gallery(
        subject.embedded.embeddings,
        np.array(photos.class_names)[photos.labels],
        np.array(species)[photos.labels],
    )
    texts = prepare_texts(subject.model, config, labels)
    fitted = fit(gallery.half(0), texts, subject.model.info)
    checked = gallery.half(1)
    curves = []
    for kind, words in _KINDS.items():
        results = results_of(kind, checked, texts, fitted.spread)
        shares = shares_of(getattr(fitted, kind), results)
        curves.append(curve_of(words, shares, results.is_right.astype(float)))
    return curves
