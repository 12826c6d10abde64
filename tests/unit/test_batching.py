"""The batcher: who goes first, what is cut, who is dropped, how it ends."""

from concurrent.futures import Future

import numpy as np
import pytest

from petsearch.domain import Embeddings, Priority
from petsearch.domain.errors import Conflict, DeviceLost, DeviceMemoryFull, Unavailable
from petsearch.embedding import BatchingOptions
from petsearch.embedding.batching import Batcher, Rows
from tests.contract.tiny_clip import TinyClip, pixels


@pytest.fixture
def clip() -> TinyClip:
    return TinyClip()


def _start(clip: TinyClip, options: BatchingOptions = BatchingOptions()) -> Batcher:  # noqa: B008  # frozen
    batcher = Batcher(options)
    batcher.add("pixels", clip.encode_pixels)
    batcher.add("texts", clip.encode_tokens)
    return batcher


def _hold(clip: TinyClip, batcher: Batcher) -> Future[Embeddings]:
    """Keep the device busy with one text until the gate opens."""
    clip.gate.clear()
    future = batcher.submit("texts", clip.tokenise(["held"]), Priority.QUERY)
    assert clip.entered.wait(30)
    return future


def test_a_gpu_gets_larger_batches_and_bulk_work_holds_it_for_less_time() -> None:
    cpu, gpu = BatchingOptions.of_device("cpu"), BatchingOptions.of_device("cuda:0")
    assert gpu.max_batch_size > cpu.max_batch_size
    assert gpu.ingest_batch_s < cpu.ingest_batch_s


def test_what_waits_while_the_device_is_busy_is_one_batch(clip: TinyClip) -> None:
    batcher = _start(clip)
    _hold(clip, batcher)
    futures = [batcher.submit("texts", clip.tokenise(["x" * n]), Priority.QUERY) for n in range(5)]
    clip.gate.set()
    found = [future.result(30)[0] for future in futures]
    assert np.allclose(found, [clip.answer(n) for n in range(5)])
    assert clip.calls == [("texts", 1), ("texts", 5)]
    batcher.close()


def test_queries_go_before_bulk_work(clip: TinyClip) -> None:
    batcher = _start(clip)
    _hold(clip, batcher)
    bulk = batcher.submit("pixels", pixels(1, 2, 3), Priority.INGEST)
    query = batcher.submit("texts", clip.tokenise(["cat"]), Priority.QUERY)
    clip.gate.set()
    bulk.result(30)
    query.result(30)
    assert [kind for kind, _ in clip.calls] == ["texts", "texts", "pixels"]
    batcher.close()


def test_bulk_work_is_not_starved_by_queries(clip: TinyClip) -> None:
    batcher = _start(clip, BatchingOptions(max_batch_size=1, query_batches_per_ingest=3))
    _hold(clip, batcher)
    bulk = batcher.submit("pixels", pixels(1), Priority.INGEST)
    queries = [batcher.submit("texts", clip.tokenise(["q"]), Priority.QUERY) for _ in range(10)]
    clip.gate.set()
    bulk.result(30)
    for query in queries:
        query.result(30)
    assert [kind for kind, _ in clip.calls].index("pixels") == 3
    batcher.close()


def test_a_large_request_is_cut_and_put_together_again(clip: TinyClip) -> None:
    batcher = _start(clip, BatchingOptions(max_batch_size=7))
    found = batcher.submit("pixels", pixels(*range(30)), Priority.QUERY).result(30)
    assert np.allclose(found, [clip.answer(n) for n in range(30)])
    assert max(rows for _, rows in clip.calls) == 7
    batcher.close()


def test_who_left_is_dropped_and_frees_the_queue(clip: TinyClip) -> None:
    batcher = _start(clip, BatchingOptions(max_queued_rows=4))
    _hold(clip, batcher)
    left = batcher.submit("pixels", pixels(1, 2, 3), Priority.QUERY)
    assert left.cancel()
    assert batcher.queued_rows == 0
    stayed = batcher.submit("texts", clip.tokenise(["a"]), Priority.QUERY)
    clip.gate.set()
    stayed.result(30)
    batcher.submit("pixels", pixels(1, 2, 3, 4), Priority.QUERY).result(30)
    assert ("pixels", 3) not in clip.calls
    batcher.close()


def test_a_failing_batch_answers_everyone_in_it(clip: TinyClip) -> None:
    batcher = _start(clip)
    _hold(clip, batcher)
    clip.failure = RuntimeError("out of tuna")
    waiting = [batcher.submit("texts", clip.tokenise(["a"]), Priority.QUERY) for _ in range(3)]
    clip.gate.set()
    for future in waiting:
        with pytest.raises(Unavailable, match="out of tuna"):
            future.result(30)
    batcher.close()


def test_a_caller_whose_rows_fail_a_batch_is_the_only_one_who_sees_it(clip: TinyClip) -> None:
    batcher = _start(clip)
    _hold(clip, batcher)
    clip.poison = pixels(7)[0]
    good = [batcher.submit("pixels", pixels(n, n), Priority.QUERY) for n in (1, 2)]
    bad = batcher.submit("pixels", pixels(3, 7), Priority.QUERY)
    late = batcher.submit("pixels", pixels(4), Priority.QUERY)
    clip.gate.set()
    with pytest.raises(Unavailable, match="choked"):
        bad.result(30)
    assert np.allclose(late.result(30), [clip.answer(4)])
    assert [len(future.result(30)) for future in good] == [2, 2]
    batcher.close()


def test_nan_in_the_result_of_one_caller_is_not_the_failure_of_the_others(clip: TinyClip) -> None:
    def encode(rows: Rows) -> Embeddings:
        means = rows.mean(axis=(1, 2, 3), dtype=np.float32)
        return np.where(means == 7, np.nan, means)[:, None]

    batcher = _start(clip)
    batcher.add("strange", encode)
    _hold(clip, batcher)
    bad = batcher.submit("strange", pixels(7, 8), Priority.INGEST)
    good = batcher.submit("strange", pixels(9), Priority.INGEST)
    clip.gate.set()
    with pytest.raises(Unavailable, match="NaN"):
        bad.result(30)
    assert good.result(30).tolist() == [[9.0]]
    batcher.close()


def test_a_device_that_is_lost_while_callers_are_told_apart_answers_each_once(
    clip: TinyClip,
) -> None:
    fails = iter([RuntimeError("a bad batch"), DeviceLost("the device fell off the bus")])

    def encode(_: Rows) -> Embeddings:
        raise next(fails)

    batcher = _start(clip, BatchingOptions(max_batch_size=4))
    batcher.add("strange", encode)
    _hold(clip, batcher)
    # The second is cut: a part of it is in the batch that fails, the rest still queued.
    waiting = [batcher.submit("strange", pixels(*range(3)), Priority.QUERY) for _ in range(2)]
    clip.gate.set()
    for future in waiting:
        with pytest.raises(DeviceLost):
            future.result(30)
    batcher.close()
    assert batcher.queued_rows == 0


def test_a_failure_takes_the_rest_of_a_cut_request_along(clip: TinyClip) -> None:
    batcher = _start(clip, BatchingOptions(max_batch_size=4, max_queued_rows=20))
    clip.failure = RuntimeError("out of tuna")
    with pytest.raises(Unavailable):
        batcher.submit("pixels", pixels(*range(20)), Priority.QUERY).result(30)
    clip.failure = None
    # All 20 rows left the queue, or this would be refused.
    assert len(batcher.submit("pixels", pixels(*range(20)), Priority.QUERY).result(30)) == 20
    batcher.close()


def test_closing_finishes_what_is_queued_and_takes_no_more(clip: TinyClip) -> None:
    batcher = _start(clip)
    _hold(clip, batcher)
    waiting = [batcher.submit("pixels", pixels(n), Priority.INGEST) for n in range(5)]
    clip.gate.set()
    batcher.close()
    assert all(future.done() and len(future.result()) == 1 for future in waiting)
    with pytest.raises(Unavailable, match="shutting down"):
        batcher.submit("pixels", pixels(1), Priority.QUERY)


def test_a_batch_that_does_not_fit_is_halved_and_stays_so(clip: TinyClip) -> None:
    clip.most_rows = 5
    batcher = _start(clip)
    found = batcher.submit("pixels", pixels(*range(32)), Priority.QUERY).result(30)
    assert np.allclose(found, [clip.answer(n) for n in range(32)])
    clip.calls.clear()
    batcher.submit("pixels", pixels(*range(32)), Priority.QUERY).result(30)
    assert {rows for _, rows in clip.calls} == {4}, "what fits is remembered"
    batcher.close()


def test_a_row_that_does_not_fit_by_itself_is_an_error(clip: TinyClip) -> None:
    clip.most_rows = 0
    batcher = _start(clip)
    with pytest.raises(DeviceMemoryFull):
        batcher.submit("pixels", pixels(1, 2), Priority.QUERY).result(30)
    batcher.close()


def test_a_lost_device_answers_everyone_at_once(clip: TinyClip) -> None:
    batcher = _start(clip)
    batcher.check_device()
    held = _hold(clip, batcher)
    waiting = [batcher.submit("pixels", pixels(n), Priority.INGEST) for n in range(3)]
    clip.failure = DeviceLost("the device fell off the bus")
    clip.gate.set()
    for future in (held, *waiting):
        with pytest.raises(DeviceLost):
            future.result(30)
    with pytest.raises(DeviceLost):
        batcher.check_device()
    with pytest.raises(DeviceLost):
        batcher.submit("pixels", pixels(1), Priority.QUERY)
    batcher.close()


def test_a_kind_that_is_removed_answers_who_waits_for_it(clip: TinyClip) -> None:
    batcher = _start(clip)
    held = _hold(clip, batcher)
    waiting = batcher.submit("pixels", pixels(1), Priority.QUERY)
    batcher.remove("pixels")
    with pytest.raises(Conflict):
        waiting.result(30)
    with pytest.raises(Conflict):
        batcher.submit("pixels", pixels(1), Priority.QUERY)
    clip.gate.set()
    assert len(held.result(30)) == 1
    batcher.close()


def test_the_queue_can_be_watched(clip: TinyClip) -> None:
    batcher = _start(clip)
    assert (batcher.queued_rows, batcher.oldest_wait_s) == (0, 0.0)
    held = _hold(clip, batcher)
    waiting = batcher.submit("pixels", pixels(1, 2, 3), Priority.INGEST)
    assert batcher.queued_rows == 3
    assert batcher.oldest_wait_s > 0
    clip.gate.set()
    held.result(30)
    waiting.result(30)
    assert (batcher.queued_rows, batcher.oldest_wait_s) == (0, 0.0)
    batcher.close()
