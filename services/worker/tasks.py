"""The Celery tasks. Messages in the queue refer to them by name, so the names must not change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import celery

from petsearch.adapters.redis.celery_queue import DISCARD_JOB, INGEST_CHUNK, READ_SOURCE
from petsearch.domain.errors import PetsearchError
from petsearch.observability import bind, get_logger, unbind
from services.worker.runtime import WorkerRuntime

log = get_logger(__name__)


def register_tasks(app: celery.Celery, runtime: WorkerRuntime) -> None:
    """Register the tasks on `app`."""

    def register(name: str, run: Callable[..., None], fields: tuple[str, ...]) -> None:
        @app.task(name=name, bind=True, shared=False)  # type: ignore[untyped-decorator]  # Celery has no type information
        def task(task: Any, *arguments: Any) -> None:
            with _logged(task_id=task.request.id, **dict(zip(fields, arguments, strict=True))):
                run(*arguments)

    register(INGEST_CHUNK, runtime.chunks.work, ("job_id", "chunk_no"))
    register(READ_SOURCE, runtime.enumerator.work, ("job_id",))
    register(DISCARD_JOB, runtime.cleanup.work, ("job_id",))


@contextmanager
def _logged(**fields: Any) -> Iterator[None]:
    """Log with these fields; a `PetsearchError` ends the task, and the sweep requeues its work."""
    tokens = bind(**fields)
    try:
        yield
    except PetsearchError as error:
        log.error("task failed; the sweep requeues its work", reason=error.detail)
    finally:
        unbind(tokens)
