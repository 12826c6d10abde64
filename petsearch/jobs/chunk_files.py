"""Chunks of items and their outcomes as JSON in the object store."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from petsearch.domain import Item, Outcome, object_keys
from petsearch.domain.errors import NotFound
from petsearch.ports import ObjectStore

_ITEMS = TypeAdapter(tuple[Item, ...])
_OUTCOMES = TypeAdapter(tuple[Outcome, ...])


def write_chunk(store: ObjectStore, job_id: str, chunk_no: int, items: Sequence[Item]) -> None:
    """Store the items of a chunk."""
    store.put(object_keys.chunk(job_id, chunk_no), _ITEMS.dump_json(tuple(items)))


def read_chunk(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Item, ...]:
    """The items of a chunk.

    Raises:
        NotFound: it was never written.
    """
    return _ITEMS.validate_json(store.get(object_keys.chunk(job_id, chunk_no)))


def write_outcomes(
    store: ObjectStore, job_id: str, chunk_no: int, outcomes: Sequence[Outcome]
) -> None:
    """Store what became of a chunk's items."""
    store.put(object_keys.outcomes(job_id, chunk_no), _OUTCOMES.dump_json(tuple(outcomes)))


def find_outcomes(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Outcome, ...] | None:
    """What became of a chunk's items, or None if that is not written yet."""
    try:
        return read_outcomes(store, job_id, chunk_no)
    except NotFound:
        return None


def read_outcomes(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Outcome, ...]:
    """What became of a chunk's items.

    Raises:
        NotFound: it was never written.
    """
    return _OUTCOMES.validate_json(store.get(object_keys.outcomes(job_id, chunk_no)))
