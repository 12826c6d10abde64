"""Images as clients see them: list, read, amend and delete them, find duplicates, open files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Literal

from petsearch.catalogue import duplicates
from petsearch.catalogue.delete import delete_images
from petsearch.catalogue.edit import amended
from petsearch.domain import Filters, ImageRecord, SortBy
from petsearch.domain.errors import NotFound
from petsearch.models import Catalogue
from petsearch.ports import IndexReader, IndexWriter, ObjectStore, RecordChange
from petsearch.ports.optimistic import update_records
from petsearch.search import FilterNames

FacetField = Literal["breed", "species", "status", "tag"]


@dataclass(frozen=True)
class ImageFile:
    """A stored object of an image."""

    key: str
    size_bytes: int
    open: Callable[[int], BinaryIO]
    """Opens it for reading, from an offset on."""


@dataclass(frozen=True)
class Deleted:
    """How many images were deleted, and how many are left to delete."""

    count: int
    remaining: int


@dataclass(frozen=True, kw_only=True)
class Images:
    """The images of the current collection."""

    index: IndexReader
    writer: IndexWriter
    store: ObjectStore
    catalogue: Catalogue
    clock: Callable[[], datetime]

    def newest(
        self, limit: int, filters: Filters, cursor: str | None = None, sort: SortBy = "created_at"
    ) -> tuple[list[ImageRecord], str | None]:
        """Return images without a query, newest first, and the cursor of the next page."""
        return self.index.list_newest(
            self.catalogue.collection(),
            limit=limit,
            filters=self._normalised(filters),
            before=cursor,
            sort=sort,
        )

    def get(self, image_id: str) -> ImageRecord:
        """Return one image.

        Raises:
            NotFound: there is no such image.
        """
        found = self.index.get(self.catalogue.collection(), [image_id])
        if image_id not in found:
            raise NotFound(f"There is no image {image_id}.")
        return found[image_id]

    def find_by_name(self, filename: str) -> ImageRecord:
        """Return the newest image of a file name.

        Raises:
            NotFound: there is none.
        """
        found, _ = self.newest(1, Filters(filename=filename))
        if not found:
            raise NotFound(f"There is no image named {filename!r}.")
        return found[0]

    def file(self, key: str) -> ImageFile:
        """Return a stored object of an image, ready to be opened.

        Raises:
            NotFound: there is no such object.
        """
        size_bytes = self.store.stat(key).size_bytes
        return ImageFile(key, size_bytes, lambda offset: self.store.open(key, offset=offset))

    def count(self) -> int:
        """Return how many images there are."""
        return self.index.count(self.catalogue.collection(), Filters())

    def facets(self, by: FacetField, filters: Filters | None = None) -> dict[str, int]:
        """Return how many images there are per value under `filters`, most frequent first."""
        field = "tags" if by == "tag" else by
        return self.index.facet(
            self.catalogue.collection(), field, self._normalised(filters or Filters())
        )

    def amend(
        self,
        image_id: str,
        changes: Mapping[str, Any],
        check: Callable[[ImageRecord], None] = lambda _: None,
    ) -> ImageRecord:
        """Change the metadata of an image by a JSON merge patch (RFC 7396).

        Args:
            changes: null clears a field.
            check: raises an error if the record, as it was read, must not be changed.

        Raises:
            InvalidInput: a field that does not exist, or a value that it cannot have.
            NotFound: there is no such image.
            Conflict: others change it as fast as it is read.
        """
        target = self.catalogue.current()

        def change(records: Mapping[str, ImageRecord]) -> list[RecordChange]:
            for record in records.values():
                check(record)
            now = self.clock()
            return [(r, amended(r, changes, target.model, now)) for r in records.values()]

        found = self.writer.get(target.collection, [image_id])
        written = update_records(self.writer, target.collection, found, change)
        if image_id not in written:
            raise NotFound(f"There is no image {image_id}.")
        return written[image_id]

    def delete(self, image_id: str) -> None:
        """Delete an image with its files.

        Raises:
            NotFound: there is no such image.
        """
        self.get(image_id)
        delete_images(self.writer, self.store, self.catalogue.collection(), [image_id])

    def delete_of_animal(self, animal_id: str, *, limit: int) -> Deleted:
        """Delete the newest `limit` images of an animal."""
        collection, filters = self.catalogue.collection(), Filters(animal_id=animal_id)
        records, _ = self.index.list_newest(collection, limit=limit, filters=filters)
        image_ids = [record.image_id for record in records]
        delete_images(self.writer, self.store, collection, image_ids)
        return Deleted(len(image_ids), self.index.count(collection, filters))

    def duplicates(
        self, tier: duplicates.Tier, *, limit: int, cursor: str | None, min_score: float
    ) -> duplicates.GroupPage:
        """Return groups of images that are alike; see `duplicates.find_groups`."""
        return duplicates.find_groups(
            self.index,
            self.catalogue.collection(),
            tier,
            limit=limit,
            cursor=cursor,
            min_score=min_score,
        )

    def copies(self, image_id: str) -> tuple[ImageRecord, ...]:
        """Return other images that show the same photo as one; see `duplicates.copies_of`."""
        return duplicates.copies_of(self.index, self.catalogue.collection(), self.get(image_id))

    def _normalised(self, filters: Filters) -> Filters:
        return FilterNames(self.index, self.catalogue).normalised(filters)
