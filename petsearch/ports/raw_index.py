"""The whole index, whose writes reach one collection: that which is named, and no other.

Only those who build, copy, restore or compare single collections import it: reindex, maintenance
and app. Everybody else changes images through `petsearch.ports.IndexWriter`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from petsearch.domain import Embedding, ImageRecord, Point
from petsearch.ports.index import Collections, IndexReader, RecordChange


class RawIndex(IndexReader, Collections, Protocol):
    """What an adapter of a vector index implements."""

    def insert(self, collection: str, points: Sequence[Point]) -> None:
        """Insert points whose ids are absent, leave the others untouched; durable on return."""

    def replace_records(self, collection: str, records: Sequence[ImageRecord]) -> None:
        """Replace the payloads of existing points; their embeddings stay. Durable on return.

        Raises:
            NotFound: one of the points does not exist (any more).
        """

    def replace_unchanged(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        """Replace the payloads of points whose records are still as they were read.

        See `IndexWriter.replace_everywhere`, of which it is the part for one collection.
        """

    def update_payloads(self, collection: str, *, limit: int) -> int:
        """Add to points of earlier versions what filters need since; their records stay.

        Returns:
            How many it tried, at most `limit`. 0: all points are of this version.
        """

    def replace_embeddings(self, collection: str, embeddings: Mapping[str, Embedding]) -> None:
        """Replace the embeddings of existing points, by id; their records stay.

        Raises:
            NotFound: one of the points does not exist (any more).
        """

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """Delete points; absent ones are ignored."""

    def ping(self) -> None:
        """Return if the index answers, raise `Unavailable` otherwise."""

    def close(self) -> None:
        """Flush and release."""
