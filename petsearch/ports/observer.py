"""The steps of ingest by name, and who is told how they go."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from time import perf_counter
from typing import Protocol

from petsearch.domain import ItemStatus


class Stage(StrEnum):
    """A step that takes time or can fail."""

    FETCH = "fetch"
    DECODE = "decode"
    STORE = "store"
    EMBED = "embed"
    INDEX = "index"
    QUARANTINE = "quarantine"
    """No step: where an item goes that ended its worker three times."""


class IngestObserver(Protocol):
    """Is told what ingest does. Called from several threads."""

    def stage_took(self, stage: Stage, seconds: float) -> None:
        """A step of an item (fetch, decode, store) or of a batch (embed, index) ended."""

    def items_ended(self, counts: Mapping[ItemStatus, int]) -> None:
        """A chunk was accounted."""

    def paused(self, *, is_paused: bool) -> None:
        """A dependency went down, or all answer again."""


class NobodyWatches:
    """An observer that ignores what it is told."""

    def stage_took(self, stage: Stage, seconds: float) -> None:
        """See `IngestObserver.stage_took`."""

    def items_ended(self, counts: Mapping[ItemStatus, int]) -> None:
        """See `IngestObserver.items_ended`."""

    def paused(self, *, is_paused: bool) -> None:
        """See `IngestObserver.paused`."""


@contextmanager
def timed(observer: IngestObserver, stage: Stage) -> Iterator[None]:
    """Tell `observer` how long the block took, if it did not fail."""
    started = perf_counter()
    yield
    observer.stage_took(stage, perf_counter() - started)
