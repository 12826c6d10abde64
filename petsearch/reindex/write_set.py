"""The write set: every collection that a change must reach, while a model is being replaced.

A writer begins, writes to all collections of the set, and ends; if the set grew meanwhile it goes
on with what is new. Whoever changes the set waits until the writers of before have ended, so that
from then on nobody writes to fewer collections.
"""

import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from petsearch.domain.errors import Conflict, NotFound, Unavailable
from petsearch.observability import get_logger
from petsearch.ports import WriteSetState, WriteSetStore

log = get_logger(__name__)

WRITE_LEASE_S = 60.0
"""A writer that says nothing for so long is dead."""
HOLD_S = 5.0
"""For so long at most writers wait for somebody who moves the alias."""
_LOOK_AGAIN_S = 0.02


class WritersGoOn(Conflict):
    """Writers did not end in time; the same call may succeed later."""


@dataclass(frozen=True)
class WriteSet:
    """Runs writes over all collections of the set. Safe to call from several threads."""

    store: WriteSetStore
    current: Callable[[], str | None] = lambda: None
    """Returns the collection that is searched."""

    def each(
        self, collection: str, *, current_last: bool
    ) -> Generator[AbstractContextManager[str], None, None]:
        """Iterate over `collection` and all others of the set, each as a context to write in.

        Close the iterator also when a write fails: it counts this writer in and out.

        Args:
            current_last: so that whatever is in the current one is in all; else `collection` is
                written first.

        Raises:
            Conflict: in a context, if `collection` was dropped; ask again which one is current.
        """
        written: set[str] = set()
        while True:
            token = uuid.uuid4().hex
            state = self._begin(token)
            try:
                for name in self._in_order(collection, state, current_last=current_last):
                    if name not in written:
                        yield _skip_dropped(name, collection, state)
                        written.add(name)
            finally:
                epoch = self.store.end_write(token)
            if epoch == state.epoch:
                return

    def _in_order(self, collection: str, state: WriteSetState, *, current_last: bool) -> list[str]:
        others = [name for name in state.collections if name != collection]
        if not others or not current_last:
            return [collection, *others]
        # It may have moved since the caller asked for it.
        last = self.current() or collection
        return sorted([collection, *others], key=lambda name: name == last)

    def wait_for_writers(self, *, before_epoch: int, for_s: float) -> bool:
        """Whether all writers of earlier epochs ended within `for_s` seconds."""
        deadline = time.monotonic() + for_s
        while self.store.count_writers(before_epoch):
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_AGAIN_S)
        return True

    @contextmanager
    def nobody_writes(self) -> Iterator[Callable[[], bool]]:
        """A moment without writers; the block gets a function that says whether it lasts.

        Raises:
            Conflict: somebody else has such a moment.
            WritersGoOn: writers do not end.
        """
        holder = uuid.uuid4().hex
        if not self.store.hold_writers(holder, HOLD_S):
            raise Conflict("The alias is being moved by another call; ask again.")
        try:
            everybody = self.store.read().epoch + 1
            if not self.wait_for_writers(before_epoch=everybody, for_s=HOLD_S / 2):
                raise WritersGoOn(
                    "Somebody has been writing for seconds; ask again. A worker that was killed "
                    f"counts for {WRITE_LEASE_S:.0f} s."
                )
            yield lambda: self.store.holds_writers(holder)
        finally:
            self.store.release_writers(holder)

    def _begin(self, token: str) -> WriteSetState:
        deadline = time.monotonic() + 2 * HOLD_S
        while True:
            if (state := self.store.begin_write(token, WRITE_LEASE_S)) is not None:
                return state
            if time.monotonic() > deadline:
                raise Unavailable("Writing is held up by a change of the model; try again.")
            time.sleep(_LOOK_AGAIN_S)


@contextmanager
def _skip_dropped(name: str, main: str, state: WriteSetState) -> Iterator[str]:
    try:
        yield name
    except NotFound as error:
        if name != main:
            # Dropped since: nobody will miss it there.
            log.warning("a collection of the write set is gone", collection=name)
        elif name not in state.collections and state.epoch:
            raise Conflict(f"The collection {name!r} was dropped meanwhile.") from error
        else:
            raise
