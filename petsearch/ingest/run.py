"""One run of a chunk by a worker: what it works on, how, and what it leaves to the next run."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from petsearch.domain import Item, ItemRef, Job, Outcome, object_keys
from petsearch.domain.errors import NotFound
from petsearch.models import Target
from petsearch.ports import ObjectStore

_OUTCOMES = TypeAdapter(tuple[Outcome, ...])


@dataclass(frozen=True)
class ChunkRun:
    """One run of a chunk: what it works on, and how."""

    job: Job
    chunk_no: int
    target: Target
    should_stop: Callable[[], bool]
    """Asked between batches: whether to leave the rest to a later run."""
    one_by_one: bool = False
    """Carefully, each item marked before it starts: an earlier run ended its worker."""
    tries: Counter[int] = field(default_factory=Counter)
    """Item numbers the embedder failed on while they were alone; kept from run to run."""

    def ref(self, item: Item) -> ItemRef:
        """The item as images remember it."""
        return ItemRef(self.job.job_id, item.item_no)


def write_progress(
    store: ObjectStore, job_id: str, chunk_no: int, outcomes: Sequence[Outcome]
) -> None:
    """Store what became of some items of a chunk that is handed back."""
    store.put(_progress_key(job_id, chunk_no), _OUTCOMES.dump_json(tuple(outcomes)))


def read_progress(store: ObjectStore, job_id: str, chunk_no: int) -> tuple[Outcome, ...]:
    """What became of a chunk's items in the runs that handed it back."""
    try:
        return _OUTCOMES.validate_json(store.get(_progress_key(job_id, chunk_no)))
    except NotFound:
        return ()


def delete_progress(store: ObjectStore, job_id: str, chunk_no: int) -> None:
    """Drop it: all outcomes of the chunk are written."""
    store.delete(_progress_key(job_id, chunk_no))


def _progress_key(job_id: str, chunk_no: int) -> str:
    # Not with the outcomes: those are of chunks that are whole, and are listed.
    return f"{object_keys.job_prefix(job_id)}progress/{chunk_no:06d}.json"
