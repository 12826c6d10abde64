"""Prompted text embeddings, and zero-shot classification with them (Radford et al. 2021, §3.1)."""

import threading
from collections.abc import Sequence
from typing import cast

import numpy as np

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


class BreedTagger:
    """Predicts breed and species: softmax over the model's labels at its own temperature."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._label_embeddings: dict[str, Embeddings] = {}
        self._embedding = threading.Lock()

    def predict(self, model: ModelInfo, embeddings: Embeddings) -> list[Prediction]:
        """One prediction per row of `(n, dim)`. The confidence is not calibrated."""
        if not len(embeddings):
            return []
        logits = model.logit_scale * embeddings @ self._labels(model).T
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        return [
            Prediction(
                breed=model.labels[label].breed,
                species=model.labels[label].species,
                confidence=round(float(shares[row, label]), 4),
            )
            for row, label in enumerate(shares.argmax(axis=1))
        ]

    def _labels(self, model: ModelInfo) -> Embeddings:
        with self._embedding:
            if model.model_id not in self._label_embeddings:
                self._label_embeddings[model.model_id] = embed_prompted(
                    self._embedder,
                    model,
                    [label.breed for label in model.labels],
                    model.label_templates,
                    priority=Priority.INGEST,
                )
            return self._label_embeddings[model.model_id]
