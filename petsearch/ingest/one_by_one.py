"""Processes the items of a chunk alone, to find the one that fails or ends its worker."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from petsearch.domain import Item, Outcome
from petsearch.domain.errors import PetsearchError, shortage_of
from petsearch.ingest.outcomes import failed_outcome, quarantine_outcome
from petsearch.jobs.chunk_runner import MAX_ATTEMPTS, ChunkRun
from petsearch.ports import ChunkLedger, Stage

_T = TypeVar("_T")


def one_by_one(
    run: ChunkRun,
    ledger: ChunkLedger,
    items: Iterable[Item],
    process: Callable[[Item], _T],
    *,
    image_of: Callable[[Item], str | None] = lambda _: None,
) -> Iterator[_T | Outcome]:
    """What `process` makes of each item, which is marked in the ledger meanwhile.

    An unexpected error is the item's failure, an outage is not.

    Args:
        image_of: returns the id of the image that an item is about, to name it where it fails.

    Raises:
        PetsearchError: that of `process`; the same call may succeed later.
    """
    job_id = run.job.job_id
    for item in items:
        if run.should_stop():
            return
        if ledger.mark_item(job_id, item.item_no) > MAX_ATTEMPTS:
            yield replace(quarantine_outcome(item, MAX_ATTEMPTS), image_id=image_of(item))
        else:
            try:
                result: _T | Outcome = process(item)
            except PetsearchError:
                ledger.clear_mark(job_id, item.item_no)
                raise
            except Exception as error:  # the item fails, the others go on
                if (shortage := shortage_of(error)) is not None:
                    ledger.clear_mark(job_id, item.item_no)
                    raise shortage from error
                result = replace(failed_outcome(item, Stage.EMBED, error), image_id=image_of(item))
            yield result
        ledger.clear_mark(job_id, item.item_no)
