"""The `Embedder` port over models in this process, behind one batcher for their device."""

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitedTooLong
from dataclasses import dataclass, replace

import numpy as np

from petsearch.domain import Embeddings, ModelInfo, ModelUsage, Pixels, Priority, deadline
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import Conflict, InvalidInput, ModelNotLoaded, Unavailable
from petsearch.embedding.batching import Batcher, BatchingOptions, BatchObserver
from petsearch.observability import get_logger
from petsearch.ports import ClipModel, Embedder

log = get_logger(__name__)

MAX_MODELS = 2
"""The current one and the next: what a reindex needs."""

LoadModel = Callable[[str], ClipModel]


@dataclass(frozen=True)
class _Kind:
    """Rows that can share a batch."""

    model_id: str
    rows: str

    def __str__(self) -> str:
        return self.rows


class BatchingEmbedder(Embedder):
    """Serves one model, or two while one is being replaced.

    Args:
        model: the default model, loaded and warm.
        load: loads another one by its address; None if there is only ever one.
    """

    def __init__(
        self,
        model: ClipModel,
        options: BatchingOptions,
        *,
        load: LoadModel | None = None,
        observer: BatchObserver | None = None,
    ) -> None:
        self._batcher = Batcher(options, observer)
        self._load = load
        self._loading = threading.Lock()
        self._models: dict[str, ClipModel] = {}
        self._add(model)

    @property
    def batcher(self) -> Batcher:
        """The batcher, for metrics and health checks."""
        return self._batcher

    def model(self, model_id: str | None) -> ModelInfo:
        """A loaded model, the default one for None.

        Raises:
            Conflict: it is not loaded.
        """
        return self._model(model_id).info

    def models(self) -> tuple[ModelInfo, ...]:
        return tuple(model.info for model in self._models.values())

    def usage(self) -> ModelUsage:
        """The usage of all models together."""
        used = [model.usage() for model in self._models.values()]
        return ModelUsage(
            sum(one.text_positions_needed for one in used),
            sum(one.text_positions_computed for one in used),
            # The device's own figure, which each model gives alike.
            max(one.device_memory_bytes for one in used),
        )

    def load(self, spec: str) -> ModelInfo:
        """Load one more model; the others serve meanwhile. One that is loaded is left as it is.

        Raises:
            Conflict: there are two models already, or another one is being loaded.
            ConfigurationError: there is no such model; nothing has changed.
        """
        if self._load is None:
            raise Conflict("This embedder serves one model only.")
        if not self._loading.acquire(blocking=False):
            raise Conflict("Another model is being loaded; wait until it is.")
        try:
            for model in self._models.values():
                # Published models are named by their id, from wherever they were loaded.
                if spec in (model.info.spec, f"s3:{model.info.model_id}"):
                    return model.info
            if len(self._models) >= MAX_MODELS:
                raise Conflict(f"Loaded: {self._names()}. Unload one of them first.")
            model = self._load(spec)
            if model.info.model_id not in self._models:
                self._add(model)
            return model.info
        finally:
            self._loading.release()

    def put(self, model: ClipModel) -> None:
        """Serve a model that the caller has loaded, also instead of the same one.

        Raises:
            Conflict: there are two others already.
        """
        with self._loading:
            if len(self._models.keys() - {model.info.model_id}) >= MAX_MODELS:
                raise Conflict(f"Loaded: {self._names()}. Unload one of them first.")
            self._add(model)

    def is_everywhere(self, model_id: str) -> bool:
        return model_id in self._models

    def unload(self, model_id: str) -> None:
        """Unload a model; requests that wait for it fail with `Conflict`.

        Raises:
            Conflict: it is not loaded, or it is the only one.
        """
        with self._loading:
            self._model(model_id)
            if len(self._models) == 1:
                raise Conflict("This is the only model; load another one first.")
            # A new dictionary: others read this one without a lock.
            self._models = {name: m for name, m in self._models.items() if name != model_id}
            for rows in ("pixels", "texts"):
                self._batcher.remove(_Kind(model_id, rows))
            log.info("model unloaded", model_id=model_id)

    def calibrate(self, model_id: str, calibration: Calibration) -> None:
        model = self._model(model_id)
        model.info = replace(model.info, calibration=calibration)

    def describe(self, model: ModelInfo) -> None:
        self._model(model.model_id).info = model
        log.info("described as it is published by now", model_id=model.model_id)

    def submit_texts(
        self, texts: Sequence[str], model_id: str | None, priority: Priority
    ) -> Future[Embeddings]:
        """Tokenise here, queue, and return at once; see `Embedder.embed_texts`."""
        model = self._model(model_id)
        if not texts:
            return _done(np.empty((0, model.info.dim), np.float32))
        kind = _Kind(model.info.model_id, "texts")
        return self._batcher.submit(kind, model.tokenise(texts), priority)

    def submit_pixels(
        self, pixels: Pixels, model_id: str | None, priority: Priority
    ) -> Future[Embeddings]:
        """Queue and return at once; see `Embedder.embed_pixels`."""
        model = self._model(model_id)
        spec = model.info.pixel_spec
        wanted = (3, spec.height, spec.width)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != wanted:
            raise InvalidInput(
                f"Pixels must be uint8 of shape (n, {wanted[0]}, {wanted[1]}, {wanted[2]}); "
                f"these are {pixels.dtype} of shape {pixels.shape}."
            )
        if not len(pixels):
            return _done(np.empty((0, model.info.dim), np.float32))
        return self._batcher.submit(_Kind(model.info.model_id, "pixels"), pixels, priority)

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        return _result_in_time(self.submit_texts(texts, model_id, priority))

    def count_tokens(self, texts: Sequence[str], *, model_id: str | None = None) -> list[int]:
        return self._model(model_id).count_tokens(texts)

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        return _result_in_time(self.submit_pixels(pixels, model_id, priority))

    def close(self) -> None:
        """Finish what is queued and stop."""
        self._batcher.close()

    def _add(self, model: ClipModel) -> None:
        model_id = model.info.model_id
        self._batcher.add(_Kind(model_id, "pixels"), model.encode_pixels)
        self._batcher.add(_Kind(model_id, "texts"), model.encode_tokens)
        self._models = {**self._models, model_id: model}

    def _model(self, model_id: str | None) -> ClipModel:
        models = self._models
        if model_id is None:
            return next(iter(models.values()))
        if model_id not in models:
            raise ModelNotLoaded(f"The model {model_id!r} is not loaded. Loaded: {self._names()}.")
        return models[model_id]

    def _names(self) -> str:
        return ", ".join(self._models)


def _result_in_time(future: Future[Embeddings]) -> Embeddings:
    left_s = deadline.left_s()
    try:
        return future.result(None if left_s == math.inf else left_s)
    except WaitedTooLong as error:
        future.cancel()
        raise Unavailable("The embedder did not answer in time.") from error


def _done(embeddings: Embeddings) -> Future[Embeddings]:
    future: Future[Embeddings] = Future()
    future.set_result(embeddings)
    return future
