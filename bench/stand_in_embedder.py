"""An embedder that needs no model: texts have deterministic embeddings near the gallery's."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np

from bench.galleries import DIM, centres, normalised
from petsearch.domain import Embeddings, ModelInfo, Pixels, PixelSpec, Priority
from petsearch.domain.calibration import Calibration, Logistic, OffTopic, Spread
from petsearch.domain.errors import Conflict
from petsearch.domain.prompts import DEFAULT_TEMPLATES, OXFORD_LABELS

MODEL_ID = "stand-in-000000000000"
_RANK = 16
_NOISE = 0.05


class StandInEmbedder:
    """The `Embedder` port. It counts calls, so that a benchmark can check that there were none."""

    def __init__(self) -> None:
        self._centres = centres()
        self._counting = threading.Lock()
        self.calls = 0
        self._info = ModelInfo(
            model_id=MODEL_ID,
            spec="stand-in",
            dim=DIM,
            pixel_spec=PixelSpec(224, 224),
            logit_scale=100.0,
            labels=OXFORD_LABELS,
            prompt_templates=DEFAULT_TEMPLATES,
            label_templates=DEFAULT_TEMPLATES,
            calibration=_calibration(),
        )

    def models(self) -> tuple[ModelInfo, ...]:
        """See `Embedder.models`."""
        return (self._info,)

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,  # noqa: ARG002  # the port's signature
    ) -> Embeddings:
        """See `Embedder.embed_texts`."""
        seeds = [hashlib.sha256(text.encode()).digest() for text in texts]
        return self._near([int.from_bytes(seed[:8]) for seed in seeds], model_id)

    def count_tokens(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,  # noqa: ARG002  # the port's signature
    ) -> list[int]:
        """A token for each word."""
        return [len(text.split()) for text in texts]

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,  # noqa: ARG002  # the port's signature
    ) -> Embeddings:
        """See `Embedder.embed_pixels`."""
        return self._near([int(picture.sum(dtype=np.int64)) for picture in pixels], model_id)

    def is_everywhere(self, model_id: str) -> bool:
        """See `Embedder.is_everywhere`; there is only one model."""
        return any(model.model_id == model_id for model in self.models())

    def load(self, spec: str) -> ModelInfo:
        """See `Embedder.load`; there is only one model."""
        raise Conflict(f"{spec} is not to be had here.")

    def unload(self, model_id: str) -> None:
        """See `Embedder.unload`."""
        raise Conflict(f"{model_id} is the only one.")

    def calibrate(self, model_id: str, calibration: Calibration) -> None:
        """See `Embedder.calibrate`."""
        raise Conflict(f"The embeddings of {model_id} mean nothing: {calibration.weights}.")

    def describe(self, model: ModelInfo) -> None:
        """See `Embedder.describe`."""
        raise Conflict(f"{model.model_id} was never published.")

    def close(self) -> None:
        """See `Embedder.close`."""

    def _near(self, seeds: Sequence[int], model_id: str | None) -> Embeddings:
        if model_id not in (None, MODEL_ID):
            raise Conflict(f"The model {model_id} is not loaded.")
        with self._counting:
            self.calls += 1
        rows = np.zeros((len(seeds), DIM))
        for row, seed in zip(rows, seeds, strict=True):
            random = np.random.default_rng(seed)
            row += self._centres[seed % len(self._centres)]
            row += random.standard_normal(DIM) * _NOISE
        return normalised(rows)


def _calibration() -> Calibration:
    """A calibration of realistic size with arbitrary values."""
    random = np.random.default_rng(4)
    factors = random.standard_normal((_RANK, DIM)) * 0.01
    curve = Logistic(5.0, 1.0, -4.0)
    return Calibration(
        weights="000000000000",
        spread=Spread((0.0,) * DIM, tuple(tuple(map(float, row)) for row in factors), 0.002),
        breed_text=curve,
        species_text=curve,
        photo=curve,
        off_topic=OffTopic(1.0, 0.1, -1.0),
    )
