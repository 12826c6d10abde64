"""What every embedder does, in this process and over HTTP."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
import pytest

from petsearch.adapters import embedder_http
from petsearch.domain import Priority
from petsearch.domain.errors import Conflict, InvalidInput, Overloaded, TooLarge, Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.ports import Embedder
from tests.contract.tiny_clip import DIM, TinyClip, pixels
from tests.embedder_server import served

OPTIONS = BatchingOptions(max_queued_rows=64)


@pytest.fixture
def clip() -> TinyClip:
    return TinyClip()


@pytest.fixture(params=["in this process", "over http"])
def embedder(request: pytest.FixtureRequest, clip: TinyClip) -> Iterator[Embedder]:
    local = BatchingEmbedder(clip, OPTIONS)
    if request.param == "in this process":
        yield local
    else:
        with served(local) as url:
            remote = embedder_http.connect(url)
            yield remote
            remote.close()
    clip.gate.set()
    local.close()


def test_it_says_what_is_loaded(embedder: Embedder, clip: TinyClip) -> None:
    assert embedder.models() == (clip.info,)


def test_texts_come_back_in_order(embedder: Embedder, clip: TinyClip) -> None:
    found = embedder.embed_texts(["a", "", "four", "🐈" * 9])
    assert found.dtype == np.float32
    assert np.allclose(found, [clip.answer(n) for n in (1, 0, 4, 9)])


def test_pixels_come_back_in_order(embedder: Embedder, clip: TinyClip) -> None:
    found = embedder.embed_pixels(pixels(*range(40)), priority=Priority.INGEST)
    assert found.shape == (40, DIM)
    assert np.allclose(found, [clip.answer(n) for n in range(40)])


def test_no_pixels_are_no_embeddings(embedder: Embedder) -> None:
    assert embedder.embed_pixels(pixels(1)[:0]).shape == (0, DIM)


def test_many_callers_get_their_own(embedder: Embedder, clip: TinyClip) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: embedder.embed_texts(["x" * n]), range(50)))
    assert np.allclose(np.concatenate(found), [clip.answer(n) for n in range(50)])


def test_another_model_is_a_conflict(embedder: Embedder, clip: TinyClip) -> None:
    with pytest.raises(Conflict, match="tiny-000000000000"):
        embedder.embed_texts(["a"], model_id="other")
    with pytest.raises(Conflict):
        embedder.embed_pixels(pixels(1), model_id="other")
    assert len(embedder.embed_texts(["a"], model_id=clip.info.model_id)) == 1


@pytest.mark.parametrize(
    "wrong", [pixels(1).astype(np.float32), pixels(1)[0], pixels(1)[:, :2], pixels(1)[..., :3]]
)
def test_pixels_of_another_kind_are_refused(embedder: Embedder, wrong: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match="uint8"):
        embedder.embed_pixels(wrong)


def test_a_failing_batch_answers_its_waiters_and_the_next_one_works(
    embedder: Embedder, clip: TinyClip
) -> None:
    clip.failure = RuntimeError("out of tuna")
    with pytest.raises(Unavailable, match="out of tuna"):
        embedder.embed_texts(["a"])
    clip.failure = None
    assert len(embedder.embed_texts(["a"])) == 1


def test_nan_is_an_error_and_never_an_answer(embedder: Embedder, clip: TinyClip) -> None:
    clip.nan = True
    with pytest.raises(Unavailable, match="NaN"):
        embedder.embed_texts(["a"])


def test_too_much_at_once_is_overloaded_and_what_is_queued_is_served(
    embedder: Embedder, clip: TinyClip
) -> None:
    clip.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(embedder.embed_pixels, pixels(1))
        assert clip.entered.wait(30)
        # The queue holds 64 rows: one of these fits, whichever comes first.
        others = [pool.submit(embedder.embed_pixels, pixels(*range(40))) for _ in range(3)]
        done = as_completed(others, 30)
        for refused in (next(done), next(done)):
            error = refused.exception()
            assert isinstance(error, Overloaded)
            assert error.retry_after_s >= 1
        clip.gate.set()
        assert next(done).result().shape == (40, DIM)
        assert first.result(30).shape == (1, DIM)


def test_more_than_the_queue_ever_holds_is_too_large(embedder: Embedder) -> None:
    with pytest.raises(TooLarge, match="at most 64"):
        embedder.embed_pixels(pixels(*range(65)))


def test_an_embedder_that_is_not_there_is_unavailable() -> None:
    absent = embedder_http.connect("http://127.0.0.1:9")
    for call in (absent.models, lambda: absent.embed_texts(["a"])):
        with pytest.raises(Unavailable, match="does not answer"):
            call()
    absent.close()
