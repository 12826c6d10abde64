"""The Celery tasks. Their names are a contract with messages that are queued already."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import celery

from petsearch.adapters.redis.celery_queue import DISCARD_JOB, INGEST_CHUNK, READ_SOURCE
from petsearch.domain.errors import PetsearchError
from petsearch.observability import bind, get_logger, unbind
from services.worker.runtime import Work

log = get_logger(__name__)


def register_tasks(app: celery.Celery, work: Work) -> None:
    """Register every task on `app`, bound to what does the work."""

    def register(name: str, run: Callable[..., None], fields: tuple[str, ...]) -> None:
        @app.task(name=name, bind=True, shared=False)  # type: ignore[untyped-decorator]  # Celery has no type information
        def task(task: Any, *arguments: Any) -> None:
            with _logged(task_id=task.request.id, **dict(zip(fields, arguments, strict=True))):
                run(*arguments)

    register(INGEST_CHUNK, work.chunks.work, ("job_id", "chunk_no"))
    register(READ_SOURCE, work.enumerator.work, ("job_id",))
    register(DISCARD_JOB, work.discarder.work, ("job_id",))


@contextmanager
def _logged(**fields: Any) -> Iterator[None]:
    """Put the task's fields into every line; an error of ours ends the task, the sweep finds it."""
    tokens = bind(**fields)
    try:
        yield
    except PetsearchError as error:
        log.error("task ended early; its work will be queued again", reason=error.detail)
    finally:
        unbind(tokens)
