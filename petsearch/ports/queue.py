"""The queue that carries work to workers."""

from typing import Protocol

from petsearch.domain import QueueName


class TaskQueue(Protocol):
    """Hands work to workers, at least once each."""

    def enqueue_chunk(self, job_id: str, chunk_no: int, queue: QueueName) -> None:
        """Queue a chunk for ingest."""

    def enqueue_enumeration(self, job_id: str) -> None:
        """Queue the reading of a job's source."""

    def enqueue_discard(self, job_id: str) -> None:
        """Queue the deletion of what a job left in the store."""

    def depth(self, queue: QueueName) -> int:
        """How many messages wait there."""
