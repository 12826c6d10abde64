"""Tombstones: each says that an image is being deleted, from before the first change to the last.

A tombstone holds when the record of its image was last changed, to tell the image from the same one
brought again later. One that is older than any delete takes was left by a delete that was cut off.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from petsearch.domain import ImageRecord, object_keys
from petsearch.domain.errors import NotFound, SourceUnavailable
from petsearch.ports.store import ObjectStore, StoredObject

_LONGEST = timedelta(minutes=2)
"""Of the delete of as many images as a request deletes."""
_MOST_AHEAD = timedelta(minutes=15)
"""Of a store's clock: S3 refuses requests where clocks differ more."""
_LOOKS_AGAIN_S = 1.0


def put(store: ObjectStore, image_id: str, record: ImageRecord | None) -> None:
    """Note that an image is being deleted.

    Args:
        record: the image's; None if it is not indexed.
    """
    version = record.updated_at.isoformat() if record else ""
    store.put(object_keys.tombstone(image_id), version.encode())


def version(store: ObjectStore, image_id: str) -> str | None:
    """What the tombstone of an image holds; None where no delete of it has begun."""
    try:
        return store.get(object_keys.tombstone(image_id)).decode()
    except NotFound:
        return None


def is_fresh(store: ObjectStore, image_id: str, now: datetime) -> bool:
    """Whether a delete of the image may be going on."""
    found = store.find(object_keys.tombstone(image_id))
    return found is not None and _is_fresh(found, now)


def is_deleted(store: ObjectStore, record: ImageRecord, now: datetime) -> bool:
    """Whether a delete of an image that is indexed has begun; it removes it from everywhere."""
    deleted = version(store, record.image_id)
    if deleted is None:
        return False
    return deleted == record.updated_at.isoformat() or is_fresh(store, record.image_id, now)


def among(store: ObjectStore, image_ids: Iterable[str]) -> set[str]:
    """Those of some images whose delete has begun. It lists all tombstones, which are few."""
    keys = store.list_keys(object_keys.TOMBSTONES)
    return {key.removeprefix(object_keys.TOMBSTONES) for key in keys}.intersection(image_ids)


def wait_for_delete(store: ObjectStore, image_id: str, now: datetime) -> None:
    """Before the files of an image that comes again are stored: a delete would take them.

    The tombstone of a delete that was cut off is removed: what it has left is overwritten.

    Raises:
        SourceUnavailable: the delete may be going on; the same call may succeed later.
    """
    found = store.find(object_keys.tombstone(image_id))
    if found is None:
        return
    if _is_fresh(found, now):
        raise SourceUnavailable(
            "A photo that comes again is still being deleted; it is ingested after that.",
            retry_after_s=_LOOKS_AGAIN_S,
        )
    store.delete(object_keys.tombstone(image_id))


def _is_fresh(tombstone: StoredObject, now: datetime) -> bool:
    """One that lies further ahead is of a clock that was, and as old as any."""
    return -_MOST_AHEAD < now - tombstone.modified_at < _LONGEST
