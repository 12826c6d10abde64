"""The Celery tasks. Their names are a contract with messages that are queued already."""

import random
from typing import Any

import celery

from petsearch.adapters.celery_queue import INGEST_CHUNK
from petsearch.errors import Conflict, PetsearchError, Unavailable
from petsearch.ingest import Ingestor
from petsearch.observability import bind, get_logger, unbind
from petsearch.ports import JobLedger

log = get_logger(__name__)

_MAX_DELAY_S = 60.0
"""Must stay below the broker's visibility timeout, or a delayed task would run twice."""


def register_tasks(app: celery.Celery, ingestor: Ingestor, ledger: JobLedger) -> None:
    """Register every task on `app`, bound to the services they use."""

    @app.task(name=INGEST_CHUNK, bind=True, max_retries=None, shared=False)  # type: ignore[untyped-decorator]  # Celery has no type information
    def ingest_chunk(task: Any, job_id: str, chunk_no: int) -> None:
        tokens = bind(task_id=task.request.id, job_id=job_id, chunk_no=chunk_no)
        try:
            ingestor.ingest_chunk(job_id, chunk_no)
        except (Unavailable, Conflict) as error:
            # A conflict is a model that the embedder does not hold (now): that passes, too.
            _tell_reason(ledger, job_id, error)
            delay_s = _delay_s(task.request.retries)
            log.warning("chunk waits for a dependency", reason=error.detail, retry_in_s=delay_s)
            raise task.retry(exc=error, countdown=delay_s) from error
        except PetsearchError as error:
            log.error("chunk cannot be ingested", reason=error.detail)
        finally:
            unbind(tokens)


def _delay_s(retries: int) -> float:
    """Exponential back-off with jitter, so that workers do not come back all at once."""
    longest: float = min(_MAX_DELAY_S, 0.5 * 2.0 ** min(retries, 10))
    return round(random.uniform(longest / 2, longest), 2)


def _tell_reason(ledger: JobLedger, job_id: str, error: PetsearchError) -> None:
    try:
        ledger.set_reason(job_id, error.detail)
    except Unavailable:
        log.warning("the job ledger does not answer either")
