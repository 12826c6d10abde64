"""Chunks, their outcomes and the progress of interrupted runs, as JSON in the object store."""

import re
from collections.abc import Mapping, Sequence

from pydantic import TypeAdapter

from petsearch.domain import Item, ItemStatus, Outcome, object_keys
from petsearch.domain.errors import NotFound
from petsearch.ports import ObjectStore, OpenChunks

_ITEMS = TypeAdapter(tuple[Item, ...])
_OUTCOMES = TypeAdapter(tuple[Outcome, ...])
_RESULT = re.compile(r"jobs/(?P<job>[^/]+)/(?:outcomes|progress)/(?P<chunk>[0-9]+)\.json")
"""The key of outcomes, or of progress."""


def write_chunk(store: ObjectStore, job_id: str, chunk_no: int, items: Sequence[Item]) -> None:
    """Store the items of a chunk."""
    store.put(object_keys.chunk(job_id, chunk_no), _ITEMS.dump_json(tuple(items)))


def read_chunk(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Item, ...]:
    """Read the items of a chunk.

    Raises:
        NotFound: there is no such chunk.
    """
    return _ITEMS.validate_json(store.get(object_keys.chunk(job_id, chunk_no)))


def write_outcomes(
    store: ObjectStore, job_id: str, chunk_no: int, outcomes: Sequence[Outcome]
) -> None:
    """Store the outcomes of a finished chunk; its progress is no longer needed."""
    store.put(object_keys.outcomes(job_id, chunk_no), _OUTCOMES.dump_json(tuple(outcomes)))
    store.delete(_progress_key(job_id, chunk_no))


def find_outcomes(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Outcome, ...] | None:
    """Read the outcomes of a chunk; None if it is not finished."""
    return _find(store, object_keys.outcomes(job_id, chunk_no))


def write_progress(
    store: ObjectStore, job_id: str, chunk_no: int, outcomes: Sequence[Outcome]
) -> None:
    """Store the outcomes so far of a chunk that is handed back unfinished."""
    store.put(_progress_key(job_id, chunk_no), _OUTCOMES.dump_json(tuple(outcomes)))


def read_progress(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Outcome, ...]:
    """Read the outcomes of earlier, unfinished runs of a chunk."""
    return _find(store, _progress_key(job_id, chunk_no)) or ()


def let_run_again(store: ObjectStore, jobs: Mapping[str, OpenChunks]) -> None:
    """Let the chunks be run that a ledger does not count, whatever the store says of them.

    Where a restored index is older than the store, it lacks what their outcomes say is there. May
    be repeated.
    """
    for key in store.list_keys(object_keys.JOBS):
        found = _RESULT.fullmatch(key)
        if found is None or (job := jobs.get(found["job"])) is None:
            continue
        chunk_no = int(found["chunk"])
        if chunk_no >= job.next_chunk or chunk_no in job.not_added:
            store.delete(key)  # the one that will come under this number may have other items
        elif chunk_no in job.waiting:
            _let_run_again(store, found["job"], chunk_no)


def _let_run_again(store: ObjectStore, job_id: str, chunk_no: int) -> None:
    """Items that were refused or failed stay so: the bytes of refused ones are gone."""
    outcomes = find_outcomes(store, job_id, chunk_no)
    if outcomes is None:
        outcomes = read_progress(store, job_id, chunk_no)
    problems = (ItemStatus.REFUSED, ItemStatus.FAILED)
    write_progress(store, job_id, chunk_no, [o for o in outcomes if o.status in problems])
    store.delete(object_keys.outcomes(job_id, chunk_no))


def _find(store: ObjectStore, key: str) -> tuple[Outcome, ...] | None:
    try:
        return _OUTCOMES.validate_json(store.get(key))
    except NotFound:
        return None


def _progress_key(job_id: str, chunk_no: int) -> str:
    # Not under the prefix of the outcomes, which is listed and holds finished chunks only.
    return f"{object_keys.job_prefix(job_id)}progress/{chunk_no:06d}.json"
