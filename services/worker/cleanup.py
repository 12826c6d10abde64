"""What a worker does to delete what a job left: it waits while something is down."""

import threading

from petsearch.domain.errors import Unavailable
from petsearch.jobs import DependencyGate, JobControl
from petsearch.ports import TaskQueue


class Discarder:
    """Runs the deletions that the queue delivers. Safe to call from several threads at once."""

    def __init__(
        self,
        *,
        control: JobControl,
        queue: TaskQueue,
        gate: DependencyGate,
        stopping: threading.Event,
    ) -> None:
        self._control = control
        self._queue = queue
        self._gate = gate
        self._stopping = stopping

    def work(self, job_id: str) -> None:
        """Delete what a job left in the store; where the process is to stop, another one will."""
        while not self._stopping.is_set():
            try:
                self._control.discard(job_id)
            except Unavailable as error:
                self._gate.wait(error, give_up=self._stopping.is_set)
            else:
                self._gate.succeeded()
                return
        self._queue.enqueue_discard(job_id)
