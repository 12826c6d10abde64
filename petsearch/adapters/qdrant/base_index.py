"""What both Qdrant indexes do alike, over the few calls in which their engines differ."""

import time
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np

from petsearch.adapters.qdrant.conditions import Conditions, conditions_of
from petsearch.adapters.qdrant.earlier_points import EarlierPoints
from petsearch.adapters.qdrant.payload import (
    TAGS,
    VERSION_FIELD,
    WORDS,
    derived_fields,
    from_payload,
)
from petsearch.adapters.qdrant.time_pages import newest_page
from petsearch.domain import Embedding, Filters, ImageRecord, JsonDict, Point, SortBy
from petsearch.domain.errors import Conflict, NotFound
from petsearch.ports import RecordChange
from petsearch.ports.raw_index import RawIndex

FACET_VALUES = 10_000
"""The most values of a field that are counted."""
ALL = Filters()


class Row(Protocol):
    """A point as both engines return it."""

    @property
    def id(self) -> object:
        """A UUID."""

    @property
    def payload(self) -> JsonDict | None:
        """What `to_payload` wrote, or those of its fields that were asked for."""

    @property
    def vector(self) -> Any:
        """The embedding, if it was asked for."""


class BaseIndex(RawIndex):
    """The index over an engine, whose calls are the abstract methods below.

    `clock` returns seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._earlier = EarlierPoints(self._earlier_tags, clock)

    @abstractmethod
    def _insert(self, collection: str, points: Sequence[Point]) -> None:
        """Insert points whose ids are absent."""

    @abstractmethod
    def _overwrite(
        self, collection: str, changes: Sequence[tuple[ImageRecord | None, ImageRecord]]
    ) -> None:
        """Replace payloads; where a first record is given, only if it is still stored."""

    @abstractmethod
    def _add_fields(self, collection: str, changes: Sequence[tuple[ImageRecord, JsonDict]]) -> None:
        """Set fields of the payloads of records that are still stored as given."""

    @abstractmethod
    def _retrieve(
        self, collection: str, image_ids: list[str], *, payload: bool, vectors: bool
    ) -> Sequence[Row]:
        """The points of those ids that exist."""

    @abstractmethod
    def _scroll(
        self,
        collection: str,
        limit: int,
        *,
        filters: Filters = ALL,
        newest_by: SortBy | None = None,
        after: str | None = None,
        payload: bool | list[str] = True,
    ) -> Sequence[Row]:
        """Points, newest first by a time, or in the order of their ids from `after` on."""

    @abstractmethod
    def _facet(self, collection: str, field: str, wanted: Conditions) -> dict[str, int]:
        """Points per value of a payload field, most frequent first."""

    @abstractmethod
    def _drop(self, collection: str) -> None:
        """Delete a collection if it exists."""

    def recent(self) -> str | None:
        return self.current()

    def insert(self, collection: str, points: Sequence[Point]) -> None:
        if points:
            self._insert(collection, points)

    def replace_records(self, collection: str, records: Sequence[ImageRecord]) -> None:
        if records:
            self._overwrite(collection, [(None, record) for record in records])

    def replace_unchanged(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        if not changes:
            return set()
        self._overwrite(collection, changes)
        now = self.get(collection, [after.image_id for _, after in changes])
        return {
            after.image_id
            for _, after in changes
            if after.image_id not in now or _rounded(now[after.image_id]) != _rounded(after)
        }

    def update_payloads(self, collection: str, *, limit: int) -> int:
        records = _records(self._scroll(collection, limit, filters=Filters(is_outdated=True)))
        if records:
            self._add_fields(collection, [(record, derived_fields(record)) for record in records])
        return len(records)

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        rows = self._retrieve(collection, list(image_ids), payload=True, vectors=False)
        return {str(row.id): record_of(row) for row in rows}

    def known_ids(self, collection: str, image_ids: Sequence[str]) -> set[str]:
        rows = self._retrieve(collection, list(image_ids), payload=False, vectors=False)
        return {str(row.id) for row in rows}

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        rows = self._retrieve(collection, [image_id], payload=False, vectors=True)
        if not rows:
            raise NotFound(f"There is no image {image_id}.")
        return _embedding(rows[0])

    def read_points(self, collection: str, image_ids: Sequence[str]) -> list[Point]:
        rows = self._retrieve(collection, list(image_ids), payload=True, vectors=True)
        return [Point(record_of(row), _embedding(row)) for row in rows]

    def list_newest(
        self,
        collection: str,
        *,
        limit: int,
        filters: Filters,
        before: str | None = None,
        sort: SortBy = "created_at",
    ) -> tuple[list[ImageRecord], str | None]:
        def latest(wanted: Filters, most: int) -> list[ImageRecord]:
            return _records(self._scroll(collection, most, filters=wanted, newest_by=sort))

        def by_id(wanted: Filters, after: str | None, most: int) -> list[ImageRecord]:
            # One more than asked for, because the scroll begins with `after` itself.
            rows = self._scroll(collection, most + 1, filters=wanted, after=after)
            return _records(_beyond(after, rows)[:most])

        return newest_page(filters, sort, limit=limit, cursor=before, latest=latest, by_id=by_id)

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        words = next((words for words in WORDS if words.folded == field), None)
        is_mixed = words is not None and self._earlier.tags(collection) is not None
        counts = self._facet(collection, field, self._conditions(collection, filters))
        if words is None or not is_mixed:
            return counts
        # With points that have none yet; one with two spellings counts twice meanwhile.
        total = Counter(counts)
        outdated = self._conditions(collection, replace(filters, is_outdated=True))
        for word, count in self._facet(collection, words.written, outdated).items():
            total[words.fold(word)] += count
        return dict(total.most_common())

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        rows = self._scroll(collection, limit + 1, after=after, payload=False)
        return [str(row.id) for row in _beyond(after, rows)[:limit]]

    def list_versions(
        self, collection: str, *, after: str | None, limit: int
    ) -> list[tuple[str, datetime]]:
        rows = self._scroll(collection, limit + 1, after=after, payload=[VERSION_FIELD])
        return [
            (str(row.id), datetime.fromisoformat((row.payload or {})[VERSION_FIELD]))
            for row in _beyond(after, rows)[:limit]
        ]

    def _add_indexes_of_words(self, collection: str) -> None:
        """Create the indexes by which words are found, where an earlier version made the others."""

    def _conditions(self, collection: str, filters: Filters) -> Conditions:
        """What `filters` ask of the points of a collection."""
        compares = filters.tags or filters.not_tags or filters.attributes
        return conditions_of(filters, self._earlier.tags(collection) if compares else None)

    def _earlier_tags(self, collection: str) -> Iterable[str] | None:
        self._add_indexes_of_words(collection)
        outdated = Filters(is_outdated=True)
        if not self.count(collection, outdated):
            return None
        return self._facet(collection, TAGS.written, self._conditions(collection, outdated))

    def delete_collection(self, collection: str) -> None:
        if collection == self.current():
            raise Conflict(f"The collection {collection!r} is the current one.")
        self._drop(collection)


def _rounded(record: ImageRecord) -> ImageRecord:
    """Rounds the location: Edge returns doubles with an error in their 17th digit."""
    if record.metadata.location is None:
        return record
    lat, lon = (round(degrees, 7) for degrees in record.metadata.location)
    return replace(record, metadata=replace(record.metadata, location=(lat, lon)))


def _beyond(after: str | None, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if str(row.id) != after]


def record_of(row: Row) -> ImageRecord:
    return from_payload(str(row.id), row.payload or {})


def _records(rows: Iterable[Row]) -> list[ImageRecord]:
    return [record_of(row) for row in rows]


def _embedding(row: Row) -> Embedding:
    return np.asarray(row.vector, dtype=np.float32)
