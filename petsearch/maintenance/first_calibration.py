"""Calibrates a model that nobody calibrated, with photos of the catalogue that it serves (ADR 54).

What is off topic is told by texts, and any photos will do. All else needs photos whose breed people
stated, and a model that was not trained on them: one that comes from a hub.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from petsearch.calibration import (
    CalibrationTexts,
    EmbedTexts,
    Gallery,
    embed_fitted_texts,
    fit,
    fit_guesses,
    fit_without_labels,
    measured_off_topic,
    texts_about_else,
)
from petsearch.domain import Embeddings, Filters, ModelInfo, Point, Priority
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import ConfigurationError
from petsearch.embedding.zero_shot import embed_prompted
from petsearch.models import Catalogue, CatalogueCalibrations, Target, has_its_own
from petsearch.observability import get_logger
from petsearch.ports import Embedder, IndexReader
from petsearch.ports.index import walk_ids

log = get_logger(__name__)

LEAST_PHOTOS = 500
LEAST_LABELLED = 1000
LEAST_OF_A_SPECIES = 200
_MOST_PHOTOS = 4000
_MOST_LOOKED_AT = 20_000
_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class FirstCalibration:
    """Fits the calibration of the current model and keeps it."""

    index: IndexReader
    embedder: Embedder
    catalogue: Catalogue
    kept: CatalogueCalibrations

    def is_due(self) -> bool:
        """Whether more can be calibrated than is by now, as far as counts tell."""
        target = self.catalogue.current()
        if has_its_own(target.model):
            return False
        if (kept := self.kept.find(target.model.model_id)) is not None:
            return kept.guesses is None and self._may_use_labels(target)
        return self.index.count(target.collection, Filters()) >= LEAST_PHOTOS

    def make(self) -> None:
        """Fit on one half of the photos, measure on the other, and have the result served.

        Where there are too few photos, or there is nothing to gain, nothing changes.
        """
        target = self.catalogue.current()
        if not self.is_due():
            return
        found = self._with_labels(target) if self._may_use_labels(target) else None
        if found is None and self.kept.find(target.model.model_id) is None:
            found = self._without_labels(target)
        if found is not None:
            self.kept.keep(target.model.model_id, found)
            self.embedder.calibrate(target.model.model_id, found)

    def _may_use_labels(self, target: Target) -> bool:
        # Of other models nobody knows which photos they were trained on: on those, their guesses
        # are right more often than on new ones.
        if not target.model.spec.startswith("hub:"):
            return False
        every, unlabelled = (
            self.index.count(target.collection, filters)
            for filters in (Filters(), Filters(missing=("breed",)))
        )
        return every - unlabelled >= LEAST_LABELLED

    def _with_labels(self, target: Target) -> Calibration | None:
        """None if the photos of some species are too few, or the model cannot tell them apart."""
        points = list(islice(self._points(target, labelled=True), _MOST_PHOTOS))
        counts = Counter(point.record.metadata.species for point in points)
        if any(counts[one] < LEAST_OF_A_SPECIES for one in target.model.species):
            return None
        gallery = _gallery(points)
        texts = self._texts(target.model)
        try:
            fitted = fit(gallery.half(0), texts, target.model)
            # Nothing measures these here, and every photo counts: few are misread.
            guesses = fit_guesses(gallery, texts, target.model.logit_scale)
        except ConfigurationError as error:
            log.info("labelled photos do not calibrate the model", reason=error.detail)
            return None
        fitted = replace(fitted, guesses=guesses)
        return self._measured(fitted, target.model, gallery.half(1).embeddings)

    def _without_labels(self, target: Target) -> Calibration:
        points = islice(self._points(target, labelled=False), _MOST_PHOTOS)
        photos = np.stack([point.embedding for point in points])
        fitted = fit_without_labels(photos[0::2], self._texts(target.model), target.model)
        return self._measured(fitted, target.model, photos[1::2])

    def _points(self, target: Target, *, labelled: bool) -> Iterator[Point]:
        """Photos in the order of their ids, which are hashes: a sample without a pattern."""
        ids = islice(walk_ids(self.index, target.collection), _MOST_LOOKED_AT)
        while page := list(islice(ids, _PAGE)):
            for point in self.index.read_points(target.collection, page):
                said = point.record.metadata
                if not labelled or (said.breed and said.species):
                    yield point

    def _texts(self, model: ModelInfo) -> CalibrationTexts:
        return embed_fitted_texts(self._embed(model), model, texts_about_else())

    def _measured(self, fitted: Calibration, model: ModelInfo, photos: Embeddings) -> Calibration:
        measured, _ = measured_off_topic(fitted, self._embed(model), model, photos)
        return replace(measured, of_catalogue=True)

    def _embed(self, model: ModelInfo) -> EmbedTexts:
        return partial(embed_prompted, self.embedder, model, priority=Priority.INGEST)


def _gallery(points: Sequence[Point]) -> Gallery:
    said = [point.record.metadata for point in points]
    return Gallery(
        np.stack([point.embedding for point in points]),
        np.array([one.breed for one in said]),
        np.array([one.species for one in said]),
    )
