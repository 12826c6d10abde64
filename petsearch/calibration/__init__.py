"""Fits and measures what a model's scores are worth, from embeddings of photos and texts.

`training.calibration` does so before a model is published, `petsearch.maintenance` with the photos
of a catalogue whose model nobody calibrated.
"""

from petsearch.calibration.fitting import (
    QUERY_KINDS,
    CalibrationTexts,
    EmbedTexts,
    embed_fitted_texts,
    fit,
    fit_guesses,
    fit_without_labels,
    measured_off_topic,
    results_of,
    texts_about_else,
)
from petsearch.calibration.gallery import Gallery

__all__ = [
    "QUERY_KINDS",
    "CalibrationTexts",
    "EmbedTexts",
    "Gallery",
    "embed_fitted_texts",
    "fit",
    "fit_guesses",
    "fit_without_labels",
    "measured_off_topic",
    "results_of",
    "texts_about_else",
]
