"""What a reindex job reads: the ids of the current collection, to copy and then to compare.

Its items have no bytes, only an origin that says what is to be done: `copy:<image_id>`, then
`compare:<items before>:<after>:<until>`, a range of ids in both collections.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from petsearch.domain import Filters, ImageMetadata
from petsearch.domain.errors import Unavailable
from petsearch.ports import IndexReader
from petsearch.ports.index import walk_ids
from petsearch.reindex.write_set import WriteSet
from petsearch.sources import Source, SourceItem

COPY = "copy"
COMPARE = "compare"
_RANGE_IDS = 1000
_WRITERS_S = 10.0


class ReindexSpec(BaseModel):
    """What is kept of a reindex job with the job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["reindex"] = "reindex"
    collection: str
    """The new one."""
    epoch: int
    """Of the write set since the new one is in it."""


def read_reindex_spec(text: str) -> ReindexSpec | None:
    """The specification of a reindex job; None for one of another kind."""
    try:
        return ReindexSpec.model_validate_json(text)
    except ValidationError:
        return None


@dataclass(frozen=True)
class Range:
    """Ids greater than `after` up to `until`; empty words are no bound."""

    after: str
    until: str
    items_before: int
    """Items of the job that must be accounted before this range is compared."""

    @classmethod
    def of(cls, origin: str) -> Self:
        """From the origin of an item."""
        _, items_before, after, until = origin.split(":")
        return cls(after, until, int(items_before))

    @property
    def origin(self) -> str:
        """Of the item that compares this range."""
        return f"{COMPARE}:{self.items_before}:{self.after}:{self.until}"


@dataclass(frozen=True)
class ReindexSource:
    """Reads on from any cursor: `c:<id>:<count>` while copying, `v:<id>:<count>` after that."""

    spec: ReindexSpec
    index: IndexReader
    write_set: WriteSet
    current: Callable[[], str]

    def count(self) -> int | None:
        """See `Source.count`."""
        images = self.index.count(self.current(), Filters())
        return images + images // _RANGE_IDS + 1

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`. Begins when everybody writes to the new collection, too.

        Raises:
            Unavailable: somebody still writes to the old one alone.
        """
        if not self.write_set.wait_for_writers(before_epoch=self.spec.epoch, for_s=_WRITERS_S):
            raise Unavailable("A write that began before the reindex has not ended yet.")
        phase, after, count = _read_cursor(cursor)
        source, items = self.current(), count
        if phase == "c":
            for image_id in walk_ids(self.index, source, after or None):
                items += 1
                yield _item(f"{COPY}:{image_id}", f"c:{image_id}:{items}")
            after = ""
        yield from self._ranges(source, after, items)

    def _ranges(self, collection: str, after: str, items: int) -> Iterator[SourceItem]:
        """The ranges after an id; the last one has no end."""
        if after == _END:
            return
        while True:
            page = self.index.list_ids(collection, after=after or None, limit=_RANGE_IDS)
            is_last = len(page) < _RANGE_IDS
            until = "" if is_last else page[-1]
            yield _item(Range(after, until, items).origin, f"v:{until or _END}:{items}")
            if is_last:
                return
            after = until


_END = "end"


def open_reindex(
    spec: str, *, index: IndexReader, write_set: WriteSet, current: Callable[[], str]
) -> Source | None:
    """The source of a reindex job; None for a job of another kind."""
    if (found := read_reindex_spec(spec)) is None:
        return None
    return ReindexSource(found, index, write_set, current)


def _item(origin: str, cursor: str) -> SourceItem:
    return SourceItem(ImageMetadata(), cursor, origin=origin)


def _read_cursor(cursor: str | None) -> tuple[str, str, int]:
    if cursor is None:
        return "c", "", 0
    phase, after, count = cursor.split(":")
    return phase, after, int(count)
