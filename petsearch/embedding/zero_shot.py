"""Prompted text embeddings, and zero-shot classification with them (Radford et al. 2021, §3.1)."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from petsearch.domain import Embeddings, ModelInfo, Prediction, Priority
from petsearch.domain.prompts import apply_templates
from petsearch.ports import Embedder


def embed_prompted(
    embedder: Embedder,
    model: ModelInfo,
    texts: Sequence[str],
    templates: Sequence[str],
    *,
    priority: Priority = Priority.QUERY,
) -> Embeddings:
    """Embed each text as the normalised mean over its prompts: float32 `(len(texts), dim)`."""
    prompts = [prompt for text in texts for prompt in apply_templates(text, templates)]
    rows = embedder.embed_texts(prompts, model_id=model.model_id, priority=priority)
    means = rows.reshape(len(texts), len(templates), -1).mean(axis=1)
    return cast(Embeddings, means / np.linalg.norm(means, axis=1, keepdims=True))


@dataclass(frozen=True)
class ClassNames:
    """Embeddings of the names that a model gives: `(breeds, dim)` and `(species, dim)`."""

    breeds: Embeddings
    species: Embeddings


@dataclass(frozen=True)
class BestName:
    """The most likely of some names for each photo, `(n,)`."""

    best: NDArray[np.intp]
    log_odds: NDArray[np.float64]
    """Of the best name against all others, by the softmax at the model's own temperature."""

    @property
    def softmax(self) -> NDArray[np.float64]:
        """The share of the best name."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.log_odds, -60, 60))), np.float64)


def guess(embeddings: Embeddings, names: Embeddings, logit_scale: float) -> BestName:
    """Compare `(n, dim)` photos with `(names, dim)`; of a single name the odds are unbounded."""
    logits = logit_scale * (embeddings @ names.T).astype(np.float64)
    best = logits.argmax(axis=1)
    top = np.take_along_axis(logits, best[:, None], axis=1)
    others = np.exp(logits - top)
    np.put_along_axis(others, best[:, None], 0.0, axis=1)
    with np.errstate(divide="ignore"):
        return BestName(best, -np.log(others.sum(axis=1)))


class BreedTagger:
    """Predicts breed and species from the embeddings of photos and of names."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._names: dict[str, tuple[Sequence[object], ClassNames]] = {}
        """By model: what was embedded, and its embeddings."""
        self._embedding = threading.Lock()

    def predict(self, model: ModelInfo, embeddings: Embeddings) -> list[Prediction]:
        """One prediction per row of `(n, dim)`, calibrated if the model is."""
        if not len(embeddings):
            return []
        names = self._names_of(model)
        breeds = guess(embeddings, names.breeds, model.logit_scale)
        species = guess(embeddings, names.species, model.logit_scale)
        breed_shares, species_shares = breeds.softmax, None
        if curves := model.guesses:
            breed_shares = curves.breed.probability(breeds.log_odds)
            species_shares = curves.species.probability(species.log_odds)
        return [
            Prediction(
                breed=model.labels[breed].breed,
                species=model.species[species.best[row]],
                confidence=round(float(breed_shares[row]), 4),
                species_confidence=(
                    None if species_shares is None else round(float(species_shares[row]), 4)
                ),
                made_by=model.predictions_id,
            )
            for row, breed in enumerate(breeds.best)
        ]

    def _names_of(self, model: ModelInfo) -> ClassNames:
        asked = (model.labels, model.label_templates, model.species_templates)
        with self._embedding:
            known, names = self._names.get(model.model_id, (None, None))
            if names is None or known != asked:
                names = ClassNames(
                    self._embed(model, [one.breed for one in model.labels], model.label_templates),
                    self._embed(model, model.species, model.species_templates),
                )
                self._names[model.model_id] = (asked, names)
            return names

    def _embed(
        self, model: ModelInfo, names: Sequence[str], templates: Sequence[str]
    ) -> Embeddings:
        return embed_prompted(self._embedder, model, names, templates, priority=Priority.INGEST)
