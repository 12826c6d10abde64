"""Models on a device, and the service that embeds with them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from petsearch.domain import Embeddings, ModelInfo, ModelUsage, Pixels, Priority
from petsearch.domain.calibration import Calibration

Tokens = NDArray[np.int64]
"""Token ids `(n, context_length)`."""


class ClipModel(Protocol):
    """A CLIP on a device. Only `tokenise` and `count_tokens` may be called from any thread.

    Encoding raises `DeviceMemoryFull` or `DeviceLost` where that is what is wrong.
    """

    info: ModelInfo

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Token ids, cut to the model's context length and padded."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has before it is cut, with the marks of start and end."""

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """uint8 `(n, 3, height, width)` to float32 `(n, dim)`."""

    def encode_tokens(self, tokens: Tokens) -> Embeddings:
        """int64 `(n, context_length)` to float32 `(n, dim)`."""

    def usage(self) -> ModelUsage:
        """What it has done since it was loaded."""


class Embedder(Protocol):
    """Turns texts and pixels into embeddings of one space."""

    def models(self) -> tuple[ModelInfo, ...]:
        """The models that some embedder has loaded, the default one first."""

    def is_everywhere(self, model_id: str) -> bool:
        """Whether every embedder that is ready has loaded a model, as they say now."""

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        """Embed `texts` as they are, without a prompt template: float32 `(n, dim)`.

        Raises:
            Conflict: `model_id` is not loaded.
            Overloaded: too much is queued already.
        """

    def count_tokens(self, texts: Sequence[str], *, model_id: str | None = None) -> list[int]:
        """How many tokens each text has; the model reads its `context_length` of them.

        Raises:
            Conflict: `model_id` is not loaded.
        """

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        """Embed uint8 pixels `(n, 3, height, width)` of the model's `PixelSpec`: `(n, dim)`.

        Raises:
            InvalidInput: dtype or shape does not fit the model.
            Conflict: `model_id` is not loaded.
            Overloaded: too much is queued already.
        """

    def load(self, spec: str) -> ModelInfo:
        """Load one more model; the others serve meanwhile. One that is loaded is left as it is.

        Services load what `petsearch.models.Serving` names by themselves, so that for them this
        only tells whether one has done so.

        Raises:
            Conflict: as many models as can be are loaded, another one is being loaded, or no
                service can load it.
            Unavailable: no service has loaded it yet.
            ConfigurationError, InvalidInput: there is no such model.
        """

    def unload(self, model_id: str) -> None:
        """Unload a model; services do by themselves.

        Raises:
            Conflict: it is not loaded, or it is the only one.
        """

    def calibrate(self, model_id: str, calibration: Calibration) -> None:
        """Serve a model with this calibration; services read by themselves what is kept of it.

        Raises:
            Conflict: it is not loaded.
        """

    def describe(self, model: ModelInfo) -> None:  # noqa: ARG002  # for models in this process
        """Serve a model with this description; services read by themselves what is published.

        Raises:
            Conflict: it is not loaded.
        """
        return

    def close(self) -> None:
        """Finish what is queued and release the device."""
