"""Duplicates in three tiers that are kept apart: the same file, the same photo, a similar one."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from petsearch.domain import Filters, ImageRecord
from petsearch.domain.errors import NotFound
from petsearch.domain.identity import hash_bands, hash_distance
from petsearch.ports import IndexReader

SAME_PHOTO_BITS = 3
"""Largest distance of two hashes of one photo: what four indexed bands find without a gap.

Measured in docs/adr/0011: resized and recompressed copies are within it, other photos beyond 9.
"""
SIMILAR_SCORE = 0.93
"""Least cosine of two similar photos where the caller names none (docs/adr/0011)."""
MAX_MEMBERS = 20
"""Of one group; what is beyond them is found when these are dealt with."""
_CANDIDATES = 64
_CHUNK = 20
_LOOKS_PER_PAGE = 300

_Neighbours = Callable[[ImageRecord], list[ImageRecord]]


class Tier(StrEnum):
    """How much alike the images of a group are."""

    EXACT = "exact"
    """One image whose very bytes came more than once."""
    SAME_PHOTO = "same_photo"
    """Other bytes, hardly another picture: resized, recompressed, brightened a little."""
    SIMILAR = "similar"
    """Near for the model, and not the same photo: cropped, mirrored, the next one of a series."""


Group = tuple[ImageRecord, ...]
"""Images that are alike, newest first; one image alone in the tier `exact`."""


@dataclass(frozen=True)
class GroupPage:
    """Some groups, maybe none, and the cursor that goes on, None at the end."""

    groups: tuple[Group, ...]
    next_cursor: str | None


def find_groups(
    index: IndexReader,
    collection: str,
    tier: Tier,
    *,
    limit: int,
    cursor: str | None = None,
    min_score: float = SIMILAR_SCORE,
) -> GroupPage:
    """Find at most `limit` groups, from the newest image to the oldest.

    A group is listed where its newest image is met, so each is listed once. Groups are built over
    neighbours of neighbours, up to `MAX_MEMBERS`. Work is bounded: a page may hold fewer groups
    and not be the last.

    Args:
        min_score: least cosine of neighbours in the tier `similar`.

    Raises:
        InvalidInput: the cursor is not one of ours.
    """
    if tier is Tier.EXACT:
        records, following = index.list_newest(
            collection, limit=limit, filters=Filters(min_sources=2), before=cursor
        )
        return GroupPage(tuple((record,) for record in records), following)
    looking = _Looking(index, collection, tier, min_score)
    groups: list[Group] = []
    while True:
        records, cursor = index.list_newest(
            collection, limit=min(_CHUNK, limit - len(groups)), filters=Filters(), before=cursor
        )
        found = [_group_led_by(record, looking.neighbours) for record in records]
        groups += [group for group in found if group is not None]
        # Half a page is enough: the fewer are wanted, the more calls it takes to find them.
        full = 2 * len(groups) >= limit or looking.looks >= _LOOKS_PER_PAGE
        if cursor is None or full:
            return GroupPage(tuple(groups), cursor)


def copies_of(index: IndexReader, collection: str, record: ImageRecord) -> tuple[ImageRecord, ...]:
    """Find other images that show the same photo, nearest first; `MAX_MEMBERS` at most.

    An image that was deleted meanwhile has none.
    """
    looking = _Looking(index, collection, Tier.SAME_PHOTO, SIMILAR_SCORE)
    return tuple(looking.neighbours(record)[:MAX_MEMBERS])


@dataclass
class _Looking:
    """Finds the neighbours of images, and counts how often it was asked."""

    index: IndexReader
    collection: str
    tier: Tier
    min_score: float
    looks: int = 0

    def neighbours(self, record: ImageRecord) -> list[ImageRecord]:
        """Images that are as much like `record` as the tier says."""
        self.looks += 1
        try:
            if self.tier is Tier.SAME_PHOTO:
                return self._same_photo(record)
            return self._similar(record)
        except NotFound:
            return []  # deleted since it was listed

    def _same_photo(self, record: ImageRecord) -> list[ImageRecord]:
        if record.phash is None:
            return []
        # Of all that share a band, the nearest for the model come first: a common band, such as
        # that of a white background, cannot push the copies out.
        shares_a_band = Filters(
            phash_bands=hash_bands(record.phash), exclude_ids=(record.image_id,)
        )
        candidates = self._nearest(record, shares_a_band, min_score=None)
        return [near for near in candidates if _is_same_photo(near, record)]

    def _similar(self, record: ImageRecord) -> list[ImageRecord]:
        others = Filters(exclude_ids=(record.image_id,))
        candidates = self._nearest(record, others, min_score=self.min_score)
        return [near for near in candidates if not _is_same_photo(near, record)]

    def _nearest(
        self, record: ImageRecord, filters: Filters, *, min_score: float | None
    ) -> list[ImageRecord]:
        embedding = self.index.get_embedding(self.collection, record.image_id)
        hits = self.index.search(
            self.collection, embedding, limit=_CANDIDATES, filters=filters, min_score=min_score
        )
        return [hit.record for hit in hits]


def _is_same_photo(one: ImageRecord, other: ImageRecord) -> bool:
    if one.phash is None or other.phash is None:
        return False
    return hash_distance(one.phash, other.phash) <= SAME_PHOTO_BITS


def _group_led_by(record: ImageRecord, neighbours: _Neighbours) -> Group | None:
    """The group whose newest image is `record`; None if it is alone or a newer one leads it."""
    members = {record.image_id: record}
    waiting = [record]
    while waiting and len(members) < MAX_MEMBERS:
        for near in neighbours(waiting.pop()):
            if _age(near) > _age(record):
                return None
            if near.image_id not in members:
                members[near.image_id] = near
                waiting.append(near)
    if len(members) == 1:
        return None
    return tuple(sorted(members.values(), key=_age, reverse=True)[:MAX_MEMBERS])


def _age(record: ImageRecord) -> tuple[datetime, str]:
    return record.created_at, record.image_id
