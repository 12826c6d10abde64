"""What Prometheus reads from a worker."""

import socket

import httpx
import pytest

from petsearch.domain import ItemStatus, JobKind, QueueName
from petsearch.domain.errors import Unavailable
from petsearch.ports import Stage
from services.worker.metrics import WorkerMetrics
from tests.services.house import RecordingQueue


class QueueThatIsDown(RecordingQueue):
    """Redis does not answer."""

    def depth(self, queue: QueueName) -> int:
        """See `TaskQueue.depth`."""
        raise Unavailable(f"{queue} is down")


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_items_stages_pauses_and_queues_are_told(port: int) -> None:
    metrics, queue = WorkerMetrics(), RecordingQueue()
    queue.enqueue_chunk("job", 0, QueueName.INTERACTIVE)
    metrics.watch(queue)
    metrics.items_ended(JobKind.INGEST, {ItemStatus.INGESTED: 5, ItemStatus.REFUSED: 1})
    metrics.stage_took(Stage.DECODE, 0.02)
    metrics.paused(is_paused=True)
    metrics.serve(port)
    text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    metrics.close()
    for line in (
        'petsearch_ingest_items_total{kind="ingest",status="ingested"} 5.0',
        'petsearch_ingest_items_total{kind="reindex",status="failed"} 0.0',
        'petsearch_ingest_stage_seconds_count{stage="decode"} 1.0',
        "petsearch_ingest_paused 1.0",
        'petsearch_queue_messages{queue="ingest.interactive"} 0.0',
    ):
        assert line in text.splitlines()


def test_a_queue_that_is_down_does_not_hide_the_rest(port: int) -> None:
    metrics = WorkerMetrics()
    metrics.watch(QueueThatIsDown())
    metrics.serve(port)
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
    metrics.close()
    assert answer.status_code == 200
    assert "petsearch_ingest_paused 0.0" in answer.text
    assert "petsearch_queue_messages{" not in answer.text
