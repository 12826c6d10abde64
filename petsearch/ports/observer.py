"""The steps of ingest by name, and the observer that is called for each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from time import perf_counter

from petsearch.domain import ItemStatus, JobKind


class Stage(StrEnum):
    """A step that takes time or can fail."""

    FETCH = "fetch"
    DECODE = "decode"
    STORE = "store"
    EMBED = "embed"
    INDEX = "index"
    QUARANTINE = "quarantine"
    """No step: where an item goes that ended its worker three times."""


class IngestObserver:
    """Receives what ingest does and ignores it. Subclasses are called from any thread."""

    def stage_took(self, stage: Stage, seconds: float) -> None:
        """A step of an item (fetch, decode, store) or of a batch (embed, index) ended."""

    def items_ended(self, kind: JobKind, counts: Mapping[ItemStatus, int]) -> None:
        """A chunk of a kind of job was accounted."""

    def paused(self, *, is_paused: bool) -> None:
        """A dependency went down, or all answer again."""


@contextmanager
def timed(observer: IngestObserver, stage: Stage) -> Iterator[None]:
    """Report to `observer` how long the block took, unless it failed."""
    started = perf_counter()
    yield
    observer.stage_took(stage, perf_counter() - started)
