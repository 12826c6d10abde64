"""Optimistic updates: records are read, changed and written back, and those that another process
changed meanwhile are read and changed again.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from typing import TypeVar

from petsearch.domain import ImageRecord
from petsearch.domain.errors import Conflict
from petsearch.ports.index import IndexWriter, RecordChange

_MAX_ATTEMPTS = 20

Rest = TypeVar("Rest", bound=Sized)


def repeat_until_done(rest: Rest, attempt: Callable[[Rest], Rest]) -> bool:
    """Call `attempt` with what is to do, then with what it returns as still to do.

    Returns:
        False if something is left after 20 attempts.
    """
    for _ in range(_MAX_ATTEMPTS):
        if not rest:
            return True
        rest = attempt(rest)
    return not rest


def update_records(
    writer: IndexWriter,
    collection: str,
    records: Mapping[str, ImageRecord],
    change: Callable[[Mapping[str, ImageRecord]], Sequence[RecordChange]],
) -> dict[str, ImageRecord]:
    """Replace records, as they were read, by what `change` makes of them.

    Args:
        records: by id.
        change: is called again with the fresh records of those that were changed meanwhile; one
            that was deleted is not among them. A record that it leaves as it is is not written.

    Returns:
        The records as they are now, by id.

    Raises:
        Conflict: records change as fast as they are read; the same call may succeed later.
    """
    written: dict[str, ImageRecord] = {}

    def attempt(found: Mapping[str, ImageRecord]) -> Mapping[str, ImageRecord]:
        wanted = change(found)
        changes = [(before, after) for before, after in wanted if after != before]
        changed = writer.replace_everywhere(collection, changes) if changes else set[str]()
        written.update((a.image_id, a) for _, a in wanted if a.image_id not in changed)
        return writer.get(collection, list(changed)) if changed else {}

    if not repeat_until_done(records, attempt):
        raise Conflict("Images change as fast as they are read; try again.")
    return written
