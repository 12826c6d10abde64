"""The Celery tasks. Messages in the queue refer to them by name, so the names must not change."""

from collections.abc import Callable
from typing import Any

import celery

from petsearch.adapters.redis.celery_queue import DISCARD_JOB, INGEST_CHUNK, READ_SOURCE
from petsearch.domain.errors import PetsearchError
from petsearch.observability import get_logger, log_context
from services.worker.runtime import WorkerRuntime

log = get_logger(__name__)


def register_tasks(app: celery.Celery, runtime: WorkerRuntime) -> None:
    """Register the tasks on `app`."""

    def register(name: str, run: Callable[..., None], fields: tuple[str, ...]) -> None:
        @app.task(name=name, bind=True, shared=False)  # type: ignore[untyped-decorator]  # Celery has no type information
        def task(task: Any, *arguments: Any) -> None:
            with log_context(task_id=task.request.id, **dict(zip(fields, arguments, strict=True))):
                try:
                    run(*arguments)
                except PetsearchError as error:
                    log.error("task failed; the sweep requeues its work", reason=error.detail)

    register(INGEST_CHUNK, runtime.chunks.work, ("job_id", "chunk_no"))
    register(READ_SOURCE, runtime.enumerator.work, ("job_id",))
    register(DISCARD_JOB, runtime.cleanup.work, ("job_id",))
