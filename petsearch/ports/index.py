"""The index of embeddings and records by what is needed of it, and its snapshots.

`IndexReader` reads, `IndexWriter` changes images in every collection of the write set, and
`Collections` manages collections and the alias. What writes to one collection alone is apart, in
`petsearch.ports.raw_index`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import BinaryIO, Protocol

from petsearch.domain import Embedding, Filters, Hit, ImageRecord, Point, SortBy

_IDS_AT_A_TIME = 1000
RecordChange = tuple[ImageRecord, ImageRecord]
"""A record as it was read, and as it shall be."""


class Collections(Protocol):
    """The collections, and one pointer (alias) that says which of them is current."""

    def create_collection(self, collection: str, dim: int) -> None:
        """Create `collection` with its payload indexes; one that exists is left as it is."""

    def current(self) -> str | None:
        """The collection the alias points to, or None before the first one."""

    def recent(self) -> str | None:
        """As `current`, or as it was within the last second, if that saves a call of the server."""

    def point_alias_to(self, collection: str) -> None:
        """Make `collection` the current one, atomically."""

    def delete_collection(self, collection: str) -> None:
        """Delete a collection with all its points; an absent one is ignored.

        Raises:
            Conflict: it is the current one.
        """


class IndexWriter(Protocol):
    """Changes images in every collection of the write set; `collection` is the current one."""

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """The records of those of `image_ids` that exist in `collection`.

        Raises:
            Conflict: it was dropped.
        """

    def insert_everywhere(
        self, collection: str, points: Sequence[Point], *, needs_all: bool = True
    ) -> None:
        """Insert points whose ids are absent, leave the others untouched; durable on return.

        Args:
            points: with embeddings of the model of `collection`.
            needs_all: whether it fails where the embedder fails with the model of another
                collection; if not, that collection lacks them until a reindex compares it.
        """

    def replace_everywhere(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        """Replace the records of points that are still as they were read from `collection`.

        Each is looked at and replaced in one step; two such calls for the same point cannot both
        succeed. Every change sets a new `updated_at`, by which the step tells.

        Returns:
            The ids of those that were changed or deleted meanwhile, and left alone. One that was
            replaced and changed again at once may be among them.
        """

    def delete_everywhere(self, collection: str, image_ids: Sequence[str]) -> None:
        """Delete points; absent ones are ignored."""


class IndexReader(Protocol):
    """Reads points of the collection that is named.

    Every method raises `NotFound` if there is no such collection.
    """

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """The records of those of `image_ids` that exist."""

    def known_ids(self, collection: str, image_ids: Sequence[str]) -> set[str]:
        """Those of `image_ids` that exist, as one replica of the index knows: a quick look, on
        which nothing rests that cannot be done again.
        """

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """The embedding of a point.

        Raises:
            NotFound: there is no such point.
        """

    def read_points(self, collection: str, image_ids: Sequence[str]) -> list[Point]:
        """Records with embeddings of those of `image_ids` that exist."""

    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """The `limit` nearest points by cosine, best first.

        Args:
            exact: look at every point, whatever that takes.

        Raises:
            NotFound: there is no such collection.
        """

    def list_newest(
        self,
        collection: str,
        *,
        limit: int,
        filters: Filters,
        before: str | None = None,
        sort: SortBy = "created_at",
    ) -> tuple[list[ImageRecord], str | None]:
        """Records by a time, newest first, and the cursor of the next page.

        By `taken_at`, records that do not say it are left out.
        """

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        """At most `limit` ids in order, those greater than `after`: a walk over everything.

        Fewer than `limit` are the end. A point inserted or deleted meanwhile may be missed.
        """

    def list_versions(
        self, collection: str, *, after: str | None, limit: int
    ) -> list[tuple[str, datetime]]:
        """As `list_ids`, each with when its record was last changed."""

    def count(self, collection: str, filters: Filters) -> int:
        """How many points satisfy `filters`."""

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """Points per value of a keyword field (`status`, `phash_bands`), most frequent first.

        `tags` and `attributes_list` are counted as they are written, `folded.tags` and
        `folded.attributes` as they are compared.
        """


def walk_ids(index: IndexReader, collection: str, after: str | None = None) -> Iterator[str]:
    """All ids of a collection in order, from the one after `after` on, read page by page."""
    for page in id_pages(index, collection, _IDS_AT_A_TIME, after):
        yield from page


def id_pages(
    index: IndexReader, collection: str, size: int, after: str | None = None
) -> Iterator[list[str]]:
    """As `walk_ids`, in pages of at most `size`."""
    while page := index.list_ids(collection, after=after, limit=size):
        yield page
        after = page[-1]


class Snapshots(Protocol):
    """Copies of whole collections that an index server makes and takes by itself."""

    def is_complete(self, collection: str) -> bool:
        """Whether the server that is asked holds all of it; a snapshot has only what it holds."""

    def create(self, collection: str) -> AbstractContextManager[Iterator[bytes]]:
        """A new snapshot, streamed; the server's own copy is deleted at the end."""

    def recover(self, collection: str, file: BinaryIO, sha256: str) -> None:
        """Replace `collection`, or make it, from a snapshot.

        Raises:
            InvalidInput: the server takes it for damaged, or for another version's.
        """
