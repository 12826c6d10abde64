"""The work queue: Celery on Redis, tasks by name with JSON arguments."""

from typing import Any

import celery
import kombu.exceptions
from kombu.entity import Queue

from petsearch.adapters.redis import celery_transport
from petsearch.adapters.redis.client import unavailable
from petsearch.domain import QueueName
from petsearch.ports import TaskQueue

INGEST_CHUNK = "petsearch.ingest_chunk.v1"
"""Task (job_id, chunk_no): ingest one chunk."""
READ_SOURCE = "petsearch.read_source.v1"
"""Task (job_id): read the source of a job on."""
DISCARD_JOB = "petsearch.discard_job.v1"
"""Task (job_id): delete what a cancelled or deleted job left in the store."""


def make_celery(broker_url: str) -> celery.Celery:
    """A Celery application without tasks; services/worker/tasks.py registers them.

    Args:
        broker_url: `redis://…` or `redis+socket://<path>`.
    """
    celery_transport.install()
    app = celery.Celery("petsearch", broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_queues=[Queue(name.value) for name in QueueName],  # type: ignore[no-untyped-call]  # kombu has no types
        task_default_queue=QueueName.BULK.value,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=20,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # The ledger's leases find lost work sooner; this is the net below them.
        broker_transport_options={
            "visibility_timeout": 180,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "queue_order_strategy": "priority",
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
        },
    )
    return app


class CeleryQueue(TaskQueue):
    """Tasks by name over a Celery application."""

    def __init__(self, app: celery.Celery) -> None:
        self._app = app

    def enqueue_chunk(self, job_id: str, chunk_no: int, queue: QueueName) -> None:
        self._send(INGEST_CHUNK, [job_id, chunk_no], queue)

    def enqueue_enumeration(self, job_id: str) -> None:
        self._send(READ_SOURCE, [job_id], QueueName.BULK)

    def enqueue_discard(self, job_id: str) -> None:
        self._send(DISCARD_JOB, [job_id], QueueName.BULK)

    def depth(self, queue: QueueName) -> int:
        try:
            with self._app.connection_for_read() as connection:
                declared = connection.default_channel.queue_declare(queue.value, passive=True)
        # Kombu passes the errors of redis-py on as they are once it is connected.
        except (kombu.exceptions.OperationalError, *connection.connection_errors) as error:
            raise unavailable("work queue", error) from error
        except connection.channel_errors:  # nothing was ever queued there
            return 0
        return int(declared.message_count)

    def _send(self, task: str, arguments: list[Any], queue: QueueName) -> None:
        try:
            self._app.send_task(
                task,
                args=arguments,
                queue=queue.value,
                retry=True,
                retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
            )
        except kombu.exceptions.OperationalError as error:
            raise unavailable("work queue", error) from error
