"""The work queue: Celery on Redis, tasks by name with JSON arguments."""

import celery
import kombu.exceptions

from petsearch.adapters import redis_transport
from petsearch.errors import Unavailable

INGEST_CHUNK = "petsearch.ingest_chunk.v1"
"""Task (job_id, chunk_no): ingest one chunk. Idempotent, so at-least-once delivery is enough."""
QUEUE = "ingest"


def make_celery(broker_url: str) -> celery.Celery:
    """A Celery application without tasks; services/worker/tasks.py registers them.

    Args:
        broker_url: `redis://…` or `redis+socket://<path>`.
    """
    redis_transport.install()
    app = celery.Celery("petsearch", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # The defaults let an hour pass before a killed worker's task is handed out again.
        broker_transport_options={
            "visibility_timeout": 180,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
        },
    )
    return app


class CeleryQueue:
    """The `TaskQueue` port over a Celery application."""

    def __init__(self, app: celery.Celery) -> None:
        self._app = app

    def enqueue_chunk(self, job_id: str, chunk_no: int) -> None:
        """See `TaskQueue.enqueue_chunk`."""
        try:
            self._app.send_task(
                INGEST_CHUNK,
                args=[job_id, chunk_no],
                retry=True,
                retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
            )
        except kombu.exceptions.OperationalError as error:
            raise Unavailable(f"The work queue (Redis) does not answer: {error}") from error
