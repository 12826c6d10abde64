"""An embedder that simulates a GPU: it takes time but no CPU."""

import threading
import time
from collections.abc import Sequence

import numpy as np

from petsearch.domain import Embeddings, Label, ModelInfo, Pixels, PixelSpec, Priority
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import Conflict

_DIM = 512


class PacedEmbedder:
    """The `Embedder` port at a steady pace, one batch at a time, as a device works.

    Args:
        images_per_s: None answers at once.
    """

    def __init__(self, images_per_s: float | None) -> None:
        self._pace = images_per_s
        self._device = threading.Lock()
        self._drawing = threading.Lock()
        self._free_at = 0.0
        self._random = np.random.default_rng(0)
        self._info = ModelInfo(
            model_id="paced-000000000000",
            spec="sample",
            dim=_DIM,
            pixel_spec=PixelSpec(224, 224),
            logit_scale=100.0,
            labels=(Label("siamese", "cat"), Label("pug", "dog")),
            prompt_templates=("{}",),
            label_templates=("{}",),
        )

    def models(self) -> tuple[ModelInfo, ...]:
        """See `Embedder.models`."""
        return (self._info,)

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,  # noqa: ARG002  # the port's signature
        priority: Priority = Priority.QUERY,  # noqa: ARG002  # the port's signature
    ) -> Embeddings:
        """Random embeddings, immediately."""
        return self._any(len(texts))

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
        model_id: str | None = None,  # noqa: ARG002  # the port's signature
        priority: Priority = Priority.QUERY,  # noqa: ARG002  # the port's signature
    ) -> Embeddings:
        """Random embeddings, after the time that the device would take."""
        if self._pace is not None:
            with self._device:
                self._free_at = max(self._free_at, time.monotonic()) + len(pixels) / self._pace
                time.sleep(max(0.0, self._free_at - time.monotonic()))
        return self._any(len(pixels))

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

    def _any(self, count: int) -> Embeddings:
        # Not the device's lock: who has its answer must not wait for the batch of another.
        with self._drawing:
            rows = self._random.standard_normal((count, _DIM), dtype=np.float32)
        embeddings: Embeddings = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return embeddings
