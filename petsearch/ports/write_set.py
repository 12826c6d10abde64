"""Which collections a change must reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class WriteSetState:
    """Which collections are written, beside the current one."""

    epoch: int = 0
    """Grows with every change of `collections`."""
    collections: tuple[str, ...] = ()
    previous: str | None = None
    """The collection that was current before the current one was promoted."""
    moved_at: datetime | None = None
    """When the alias was last moved."""


class WriteSetStore(Protocol):
    """Keeps the write set and its writers. All processes share it; every change is atomic."""

    def read(self) -> WriteSetState:
        """The state; an empty one where nothing was ever kept."""

    def change(self, add: Sequence[str], remove: Sequence[str]) -> WriteSetState:
        """Add and remove collections; the epoch grows if that changes anything."""

    def note_move(self, previous: str | None, now: datetime) -> None:
        """Remember what the alias pointed to before it was moved, if one may go back to it."""

    def begin_write(self, token: str, lease_s: float) -> WriteSetState | None:
        """Count a writer in for `lease_s` seconds at most; None while writers are held."""

    def end_write(self, token: str) -> int:
        """Count a writer out; the epoch by now."""

    def count_writers(self, before_epoch: int) -> int:
        """How many writers that began in an earlier epoch have neither ended nor lapsed."""

    def hold_writers(self, holder: str, for_s: float) -> bool:
        """Block new writers for `for_s` seconds; False if another process blocks them."""

    def holds_writers(self, holder: str) -> bool:
        """Whether `holder` still blocks them."""

    def release_writers(self, holder: str) -> None:
        """Unblock new writers."""
