"""The cache of query embeddings over the real sample model, with an embedder that can be away."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
import pytest

from petsearch.adapters.clip.model import load_model
from petsearch.domain import Embeddings, ModelInfo, Pixels, Priority
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions, CachingEmbedder
from tests.contract.tiny_clip import OtherClip, TinyClip


class Interruptible:
    """An embedder that can be switched off, and that remembers what it was asked."""

    def __init__(self, inner: BatchingEmbedder) -> None:
        self.inner = inner
        self.away = False
        self.asked: list[str] = []
        self.models_asked = 0

    def models(self) -> tuple[ModelInfo, ...]:
        self.models_asked += 1
        self._check()
        return self.inner.models()

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        self._check()
        self.asked += texts
        return self.inner.embed_texts(texts, model_id=model_id, priority=priority)

    def count_tokens(self, texts: Sequence[str], *, model_id: str | None = None) -> list[int]:
        self._check()
        return self.inner.count_tokens(texts, model_id=model_id)

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        self._check()
        return self.inner.embed_pixels(pixels, model_id=model_id, priority=priority)

    def is_everywhere(self, model_id: str) -> bool:
        return self.inner.is_everywhere(model_id)

    def load(self, spec: str) -> ModelInfo:
        return self.inner.load(spec)

    def unload(self, model_id: str) -> None:
        self.inner.unload(model_id)

    def calibrate(self, model_id: str, calibration: Calibration) -> None:
        self.inner.calibrate(model_id, calibration)

    def describe(self, model: ModelInfo) -> None:
        self.inner.describe(model)

    def close(self) -> None:
        self.inner.close()

    def _check(self) -> None:
        if self.away:
            raise Unavailable("The embedder is switched off.")


@pytest.fixture(scope="module")
def model() -> Iterator[BatchingEmbedder]:
    embedder = BatchingEmbedder(load_model("sample", device="cpu"), BatchingOptions())
    yield embedder
    embedder.close()


@pytest.fixture
def embedder(model: BatchingEmbedder) -> Interruptible:
    return Interruptible(model)


def test_a_text_is_embedded_once(embedder: Interruptible) -> None:
    cache = CachingEmbedder(embedder, most_texts=10)
    first = cache.embed_texts(["cat", "dog", "cat"])
    again = cache.embed_texts(["dog", "cat", "dog"])
    assert embedder.asked == ["cat", "dog"]
    assert np.array_equal(first[[1, 0, 1]], again)


def test_texts_are_kept_by_model() -> None:
    other = OtherClip()
    with closing(BatchingEmbedder(TinyClip(), BatchingOptions(), load=lambda _: other)) as two:
        two.load(other.info.spec)
        cache = CachingEmbedder(two, most_texts=10)
        for _ in range(2):
            assert cache.embed_texts(["a cat"])[0, 0] > 0.9
            assert cache.embed_texts(["a cat"], model_id=other.info.model_id)[0, 2] > 0.9


def test_what_was_used_longest_ago_is_forgotten(embedder: Interruptible) -> None:
    cache = CachingEmbedder(embedder, most_texts=2)
    for text in ("cat", "dog", "cat", "pug", "cat", "dog"):
        cache.embed_texts([text])
    assert embedder.asked == ["cat", "dog", "pug", "dog"]


def test_tokens_are_counted_of_more_texts_than_are_kept(embedder: Interruptible) -> None:
    cache = CachingEmbedder(embedder, most_texts=3)
    texts = ["cat", "a dog", "a small pug"]
    alone = [cache.count_tokens([text])[0] for text in texts]
    # There is no room for a fourth, so the others are forgotten.
    assert cache.count_tokens([*texts, "a very small pug", "cat"]) == [*alone, 6, alone[0]]


def test_known_texts_need_no_embedder(embedder: Interruptible) -> None:
    cache = CachingEmbedder(embedder, most_texts=10)
    model_id = cache.models()[0].model_id
    before = cache.embed_texts(["cat"], model_id=model_id)
    embedder.away = True
    assert cache.models()[0].model_id == model_id
    assert np.array_equal(cache.embed_texts(["cat"], model_id=model_id), before)
    with pytest.raises(Unavailable):
        cache.embed_texts(["never asked"], model_id=model_id)


def test_an_embedder_that_is_away_is_not_asked_by_every_query(embedder: Interruptible) -> None:
    now = 0.0
    cache = CachingEmbedder(embedder, most_texts=10, clock=lambda: now)
    cache.models()
    embedder.away = True
    for _ in range(5):
        cache.models()
    assert embedder.models_asked == 2
    embedder.away = False
    now = 60.0
    cache.models()
    assert embedder.models_asked == 3


def test_an_embedder_that_never_answered_is_unavailable(embedder: Interruptible) -> None:
    embedder.away = True
    with pytest.raises(Unavailable):
        CachingEmbedder(embedder, most_texts=10).models()
