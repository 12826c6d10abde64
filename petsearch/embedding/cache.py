"""A bounded cache of text embeddings, which also serves while the embedder is down."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from petsearch.domain import Embedding, Embeddings, ModelInfo, Pixels, Priority
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import Unavailable
from petsearch.observability import get_logger
from petsearch.ports import Embedder

log = get_logger(__name__)

_ASK_AGAIN_S = 5.0
"""After an embedder that did not answer: asking may take seconds, and every query would."""
_Key = tuple[str, str]
"""The model and the final text, after its prompt template."""


class CachingEmbedder(Embedder):
    """The `Embedder` port over another one; caches the most recent texts.

    While the other one does not answer, the models it had last are still named, so that what is
    kept can be used. Photos always need the embedder.

    Args:
        embedder: is asked for what is not kept; not closed with this.
        most_texts: of 512 float32 each, 10,000 take 20 MB.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        most_texts: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embedder = embedder
        self._most_texts = most_texts
        self._kept: OrderedDict[_Key, Embedding] = OrderedDict()
        self._counts: dict[_Key, int] = {}
        self._last_models: tuple[ModelInfo, ...] = ()
        self._changing = threading.Lock()
        self._clock = clock
        self._ask_at = clock()
        self.hits = 0
        """Texts that were kept."""
        self.misses = 0
        """Texts that the embedder was asked for."""

    def models(self) -> tuple[ModelInfo, ...]:
        if self._last_models and self._clock() < self._ask_at:
            return self._last_models
        try:
            self._last_models = self._embedder.models()
        except Unavailable as error:
            if not self._last_models:
                raise
            self._ask_at = self._clock() + _ASK_AGAIN_S
            log.warning("embedder unavailable; serving cached queries", reason=str(error))
        return self._last_models

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        name = model_id or self.models()[0].model_id
        found = self._find(name, texts)
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            rows = self._embedder.embed_texts(missing, model_id=name, priority=priority)
            fresh = dict(zip(missing, rows, strict=True))
            self._keep(name, fresh)
            found |= fresh
        if not texts:
            return self._embedder.embed_texts([], model_id=name)
        return np.stack([found[text] for text in texts])

    def count_tokens(self, texts: Sequence[str], *, model_id: str | None = None) -> list[int]:
        name = model_id or self.models()[0].model_id
        kept = self._counts
        found = {text: kept[name, text] for text in texts if (name, text) in kept}
        if missing := [text for text in dict.fromkeys(texts) if text not in found]:
            counted = self._embedder.count_tokens(missing, model_id=name)
            fresh = dict(zip(missing, counted, strict=True))
            with self._changing:
                if len(self._counts) + len(fresh) > self._most_texts:
                    self._counts = {}
                self._counts |= {(name, text): count for text, count in fresh.items()}
            found |= fresh
        return [found[text] for text in texts]

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        return self._embedder.embed_pixels(pixels, model_id=model_id, priority=priority)

    def is_everywhere(self, model_id: str) -> bool:
        return self._embedder.is_everywhere(model_id)

    def load(self, spec: str) -> ModelInfo:
        return self._embedder.load(spec)

    def unload(self, model_id: str) -> None:
        self._embedder.unload(model_id)

    def calibrate(self, model_id: str, calibration: Calibration) -> None:
        self._embedder.calibrate(model_id, calibration)

    def describe(self, model: ModelInfo) -> None:
        self._embedder.describe(model)

    def close(self) -> None:
        """Forget everything."""
        with self._changing:
            self._kept.clear()

    def _find(self, model_id: str, texts: Sequence[str]) -> dict[str, Embedding]:
        found = {}
        with self._changing:
            for text in texts:
                if (row := self._kept.get((model_id, text))) is not None:
                    self._kept.move_to_end((model_id, text))
                    found[text] = row
            self.hits += len(found)
            self.misses += len(set(texts)) - len(found)
        return found

    def _keep(self, model_id: str, rows: dict[str, Embedding]) -> None:
        with self._changing:
            for text, row in rows.items():
                self._kept[model_id, text] = row
            while len(self._kept) > self._most_texts:
                self._kept.popitem(last=False)
