"""Images as clients see them: list, read, amend and delete them, find duplicates, open files."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Annotated, Any, BinaryIO, Literal
from uuid import UUID

from pydantic import StringConstraints

from petsearch.catalogue import duplicates
from petsearch.catalogue.delete import delete_images
from petsearch.catalogue.edit import amended
from petsearch.catalogue.word_counts import attribute_counts, tag_counts
from petsearch.domain import Filters, Guessed, ImageRecord, SortBy, SureFrom, UnknownName
from petsearch.domain.errors import MOST_SHOWN, NotFound
from petsearch.domain.images import NAMED_FROM
from petsearch.domain.metadata import LONGEST_PATH, safe_filename
from petsearch.models import Catalogue
from petsearch.ports import IndexReader, IndexWriter, ObjectStore, RecordChange, tombstones
from petsearch.ports.optimistic import update_records
from petsearch.search import FilterNames

FacetField = Literal["breed", "species", "status", "tag", "attributes"]
AttributeFacet = Annotated[str, StringConstraints(pattern=r"^attributes\.[^=]+$", max_length=211)]
"""`attributes.<name>`: the values of one attribute."""

_ID_DIGITS = 32


@dataclass(frozen=True)
class ImageFile:
    """A stored object of an image."""

    key: str
    size_bytes: int
    modified_at: datetime
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
    sure_from: SureFrom
    clock: Callable[[], datetime]
    zone: tzinfo
    """Of dates that name none."""

    def newest(
        self, limit: int, filters: Filters, cursor: str | None = None, sort: SortBy = "created_at"
    ) -> tuple[list[ImageRecord], str | None]:
        """Return images without a query, newest first, and the cursor of the next page."""
        if (collection := self.catalogue.any_collection()) is None:
            return [], None
        return self.index.list_newest(
            collection,
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
        collection = self.catalogue.any_collection()
        found = self.index.get(collection, [image_id]) if collection else {}
        if image_id not in found:
            raise NotFound(f"There is no image {image_id}.")
        return found[image_id]

    def ids_that_begin(self, prefix: str, *, limit: int) -> list[str]:
        """Return the first `limit` ids that begin with `prefix`, hexadecimal digits and hyphens."""
        digits = prefix.replace("-", "").lower()
        collection = self.catalogue.any_collection()
        if collection is None or not 0 < len(digits) <= _ID_DIGITS:
            return []
        first = int(digits.ljust(_ID_DIGITS, "0"), 16)
        before = str(UUID(int=first - 1)) if first else None
        found = self.index.list_ids(collection, after=before, limit=limit)
        return [one for one in found if one.replace("-", "").startswith(digits)]

    def find_by_name(self, filename: str) -> ImageRecord:
        """Return the newest image of a file name, as it was sent or as it is shown.

        Raises:
            NotFound: there is none.
        """
        # Version 0.1.0 stored names as they came. No name is that of all images without one.
        names = (safe_filename(filename), filename) if len(filename) <= LONGEST_PATH else ()
        for name in filter(None, dict.fromkeys(names)):
            found, _ = self.newest(1, Filters(filename=name))
            if found:
                return found[0]
        raise NotFound(f"There is no image named {filename[:MOST_SHOWN]!r}.")

    def file(self, key: str) -> ImageFile:
        """Return a stored object of an image, ready to be opened.

        Raises:
            NotFound: there is no such object.
        """
        found = self.store.stat(key)
        return ImageFile(
            key,
            found.size_bytes,
            found.modified_at,
            lambda offset: self.store.open(key, offset=offset),
        )

    def count(self, filters: Filters | None = None) -> int:
        """Return how many images there are under `filters`."""
        if (collection := self.catalogue.any_collection()) is None:
            return 0
        return self.index.count(collection, self._normalised(filters or Filters()))

    def is_calibrated(self, filters: Filters) -> bool | None:
        """Return whether guesses of species and breeds are; None if no filter asks for one."""
        if not filters.asks_for_guesses or self.catalogue.any_collection() is None:
            return None
        return self.catalogue.current().model.guesses is not None

    def facets(
        self, by: FacetField | AttributeFacet, filters: Filters | None = None
    ) -> dict[str, int]:
        """Return how many images there are per value under `filters`, most frequent first.

        Attributes are counted as `name=value`, the 10,000 most frequent of them. Spellings of one
        tag or attribute count together, under the most frequent of them.
        Species and breeds are counted where `ImageRecord.species_source` and `breed_source` are not
        unsure.
        """
        if (collection := self.catalogue.any_collection()) is None:
            return {}
        wanted = self._normalised(filters or Filters())
        if by not in ("species", "breed"):
            kind, _, name = by.partition(".")
            if kind == "tag":
                return tag_counts(self.index, collection, wanted)
            if kind == "attributes":
                return attribute_counts(self.index, collection, wanted, name)
            return self.index.facet(collection, kind, wanted)
        counts = Counter(self.index.facet(collection, f"label.{by}", wanted))
        guessed = Guessed(by, self.sure_from.species if by == "species" else NAMED_FROM)
        counts.update(
            self.index.facet(collection, f"prediction.{by}", replace(wanted, guessed=guessed))
        )
        return dict(counts.most_common())

    def amend(
        self,
        image_id: str,
        changes: Mapping[str, Any],
        check: Callable[[ImageRecord], None] = lambda _: None,
        *,
        sees_places: bool = True,
    ) -> ImageRecord:
        """Change the metadata of an image by a JSON merge patch (RFC 7396).

        Args:
            changes: null clears a field.
            check: raises an error if the record, as it was read, must not be changed.
            sees_places: see `amended`.

        Raises:
            InvalidInput: a field that does not exist, or a value that it cannot have.
            NotFound: there is no such image.
            Conflict: others change it as fast as it is read.
        """
        target = self.catalogue.current()
        found = self.writer.get(target.collection, [image_id])

        def changed(record: ImageRecord, now: datetime) -> RecordChange:
            is_read_again = record != found[image_id]
            if not is_read_again:
                check(record)
            after = amended(record, changes, target.model, now, self.zone, sees_places=sees_places)
            # Read again, it may hold this change already: somebody else's has followed it.
            if is_read_again and after != record:
                check(record)
            return record, after

        def change(records: Mapping[str, ImageRecord]) -> list[RecordChange]:
            now = self.clock()
            return [changed(record, now) for record in records.values()]

        written = update_records(self.writer, target.collection, found, change)
        if image_id not in written:
            raise NotFound(f"There is no image {image_id}.")
        return written[image_id]

    def delete(self, image_id: str, check: Callable[[ImageRecord], None] = lambda _: None) -> None:
        """Delete an image with its files; what a delete that was cut off has left, too.

        Args:
            check: raises if it may not be deleted as it is; see `amend`.

        Raises:
            NotFound: there is no such image.
        """
        try:
            record = self.get(image_id)
        except NotFound:
            if tombstones.version(self.store, image_id) is None:
                raise
        else:
            check(record)
        delete_images(self.writer, self.store, self.catalogue.collection(), [image_id])

    def delete_of_animal(self, animal_id: str, *, limit: int) -> Deleted:
        """Delete the newest `limit` images of an animal."""
        if (collection := self.catalogue.any_collection()) is None:
            return Deleted(0, 0)
        filters = Filters(animal_id=(animal_id,))
        records, _ = self.index.list_newest(collection, limit=limit, filters=filters)
        image_ids = [record.image_id for record in records]
        delete_images(self.writer, self.store, collection, image_ids)
        return Deleted(len(image_ids), self.index.count(collection, filters))

    def duplicates(
        self, tier: duplicates.Tier, *, limit: int, cursor: str | None, min_score: float
    ) -> duplicates.GroupPage:
        """Return groups of images that are alike; see `duplicates.find_groups`."""
        if (collection := self.catalogue.any_collection()) is None:
            return duplicates.GroupPage((), None)
        return duplicates.find_groups(
            self.index,
            collection,
            tier,
            limit=limit,
            cursor=cursor,
            min_score=min_score,
        )

    def copies(self, image_id: str) -> tuple[ImageRecord, ...]:
        """Return other images that show the same photo as one; see `duplicates.copies_of`."""
        return duplicates.copies_of(self.index, self.catalogue.collection(), self.get(image_id))

    def unknown_names(self, filters: Filters) -> tuple[UnknownName, ...]:
        """Return species and breeds of `filters` that neither the model nor any photo has."""
        has_photos = self.catalogue.any_collection() is not None
        return self._normalised(filters).unknown if has_photos else ()

    def _normalised(self, filters: Filters) -> Filters:
        names = FilterNames(self.index, self.catalogue, self.sure_from, self.zone)
        return names.normalised(filters)
