"""What the index and the object store hold of each image, walked side by side in id order."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from petsearch.domain import ImageRecord, object_keys
from petsearch.observability import get_logger
from petsearch.ports import IndexReader, ObjectStore, StoredObject
from petsearch.ports.index import walk_ids

log = get_logger(__name__)


class Part(StrEnum):
    """Of an image."""

    POINT = "point"
    ORIGINAL = "original"
    DISPLAY = "display"
    THUMBNAIL = "thumbnail"
    TOMBSTONE = "tombstone"
    """Not a part of the image: says that it is being deleted."""


WHOLE = frozenset({Part.POINT, Part.ORIGINAL, Part.DISPLAY, Part.THUMBNAIL})
"""What there is of an image that nothing happened to."""

_KEY_OF: dict[Part, tuple[str, Callable[[str], str]]] = {
    # First: a look finds the tombstone of a delete that began before it, or the delete has ended.
    Part.TOMBSTONE: (object_keys.TOMBSTONES, object_keys.tombstone),
    Part.ORIGINAL: (object_keys.ORIGINALS, object_keys.original),
    Part.DISPLAY: (object_keys.DISPLAYS, object_keys.display),
    Part.THUMBNAIL: (object_keys.THUMBNAILS, object_keys.thumbnail),
}


@dataclass(frozen=True)
class Traces:
    """What there is of one image at one moment."""

    image_id: str
    record: ImageRecord | None
    objects: Mapping[Part, StoredObject]

    @property
    def parts(self) -> frozenset[Part]:
        """The parts that exist."""
        point = {Part.POINT} if self.record is not None else set()
        return frozenset(point | self.objects.keys())

    def changed_within(self, span: timedelta, now: datetime) -> bool:
        """Whether a part was written lately. What lies ahead was written by a clock that was."""
        times = [found.modified_at for found in self.objects.values()]
        if self.record is not None:
            times.append(self.record.created_at)
        return any(abs(now - time) < span for time in times)


def walk(
    index: IndexReader, store: ObjectStore, collection: str
) -> Iterator[tuple[str, frozenset[Part]]]:
    """Every image that left any trace, with its parts; a page of ids is in memory at a time.

    Index and store are read a little apart: `look` again before anything is done about it.
    """
    points = ((image_id, Part.POINT) for image_id in walk_ids(index, collection))
    objects = [_objects(store, part, prefix, key) for part, (prefix, key) in _KEY_OF.items()]
    for image_id, traces in groupby(heapq.merge(points, *objects), key=itemgetter(0)):
        yield image_id, frozenset(part for _, part in traces)


def look(index: IndexReader, store: ObjectStore, collection: str, image_id: str) -> Traces:
    """What there is of one image now.

    A delete that begins meanwhile makes it look damaged; damage holds if two looks are equal.
    """
    found = {part: store.find(key_of(image_id)) for part, (_, key_of) in _KEY_OF.items()}
    objects = {part: stored for part, stored in found.items() if stored and _holds(part, stored)}
    return Traces(image_id, index.get(collection, [image_id]).get(image_id), objects)


def _objects(
    store: ObjectStore, part: Part, prefix: str, key_of: Callable[[str], str]
) -> Iterator[tuple[str, Part]]:
    # All ids have one length, so the order of the keys is the order of the ids.
    for stored in store.list_objects(prefix):
        image_id = stored.key.rpartition("/")[2].removesuffix(".jpg")
        if not _is_image_id(image_id) or key_of(image_id) != stored.key:
            log.warning("an object that is not ours is left alone", key=stored.key)
        elif _holds(part, stored):
            yield image_id, part


def _holds(part: Part, stored: StoredObject) -> bool:
    """Whether it is what it is called: a power cut leaves empty files of the newest copies."""
    return stored.size_bytes > 0 or part not in (Part.DISPLAY, Part.THUMBNAIL)


def _is_image_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
