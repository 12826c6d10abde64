"""One run of a chunk by a worker: what it works on, and how."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from petsearch.catalogue import Target
from petsearch.model import Item, ItemRef, Job


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
