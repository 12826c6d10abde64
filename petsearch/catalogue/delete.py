"""Deleting images so that a delete which is cut off is known and can be finished."""

from collections.abc import Sequence

from petsearch.domain import object_keys
from petsearch.ports import IndexWriter, ObjectStore, tombstones

_OBJECTS = (object_keys.display, object_keys.thumbnail, object_keys.original)
"""Of an image, in the order in which they are deleted."""


def delete_images(
    index: IndexWriter, store: ObjectStore, collection: str, image_ids: Sequence[str]
) -> None:
    """Delete points and objects; images that are not there are ignored.

    A tombstone is there from before the first change until after the last, so whatever cuts this
    off, `petsearch.maintenance.reconcile` finds it and finishes.

    Raises:
        Unavailable: the store cannot delete an object; nothing is changed.
    """
    store.check_delete(
        key_of(image_id) for image_id in image_ids for key_of in (*_OBJECTS, object_keys.tombstone)
    )
    records = index.get(collection, image_ids)
    for image_id in image_ids:
        tombstones.put(store, image_id, records.get(image_id))
    # The point first: from then on no search shows an image whose copies are going.
    index.delete_everywhere(collection, image_ids)
    for image_id in image_ids:
        for key_of in _OBJECTS:
            store.delete(key_of(image_id))
        store.delete(object_keys.tombstone(image_id))
