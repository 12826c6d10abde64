"""The steps of one item before it is embedded: fetch, identify, decode, store its copies.

Runs in a pool of threads, several items at a time. Every step may be repeated.
"""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from petsearch.domain import Item, ItemStatus, Outcome, Pixels, image_id_of, object_keys, sha256_of
from petsearch.domain.errors import InvalidInput, NotFound, Unavailable
from petsearch.ingest.outcomes import failed, outcome_of
from petsearch.models import Target
from petsearch.observability import get_logger
from petsearch.photos import Budget, Encoded, ImageLimits, Resize, decode, to_pixels
from petsearch.photos.perceptual_hash import grey_pixels
from petsearch.ports import IndexWriter, IngestObserver, ObjectStore, Stage, timed
from petsearch.sources import Fetcher, url_list

log = get_logger(__name__)

ENCODED_BYTES = 32_000_000
"""What all decoding threads together hold of files as they came."""
LARGE_BYTES = 8_000_000
"""A larger file is decoded from where it lies: with its pixels there is no room for it, too."""
_UNKNOWN_BYTES = 8_000_000
"""What an item of unknown size counts for."""


@dataclass(frozen=True)
class Prepared:
    """A decoded item whose bytes and copies are stored already."""

    item: Item
    pixels: Pixels
    width: int
    height: int
    content_type: str
    size_bytes: int
    grey: bytes
    """Its hash is made of these."""


@dataclass(frozen=True)
class Known:
    """An item whose bytes turned out to be indexed already."""

    item: Item


@dataclass(frozen=True)
class _Copies:
    pixels: Pixels
    display: bytes
    thumbnail: bytes
    grey: bytes
    width: int
    height: int
    content_type: str


class _Failed(Exception):
    """A step failed; `cause` says how."""

    def __init__(self, stage: Stage, cause: Exception) -> None:
        super().__init__(str(cause))
        self.stage = stage
        self.cause = cause


class Preparer:
    """Prepares items. Safe to call from several threads at once.

    Args:
        fetcher: brings the bytes of items that only have an origin.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        index: IndexWriter,
        limits: ImageLimits,
        resize: Resize,
        fetcher: Fetcher,
        observer: IngestObserver,
    ) -> None:
        self._store = store
        self._index = index
        self._limits = limits
        self._resize = resize
        self._fetcher = fetcher
        self._observer = observer
        self._decoded = Budget(limits.max_decode_bytes)
        self._encoded = Budget(ENCODED_BYTES)

    def prepare(self, item: Item, target: Target) -> Prepared | Known | Outcome:
        """Take an item to the point where it can be embedded, or to its end.

        Raises:
            Unavailable: a dependency does not answer; that is not the item's fault.
        """
        try:
            if item.sha256 and (item.size_bytes or 0) > LARGE_BYTES:
                return self._prepare_large(item, target)
            return self._prepare_held(item, target)
        except _Failed as failure:
            stage, error = failure.stage, failure.cause
        if isinstance(error, InvalidInput):
            return outcome_of(item, ItemStatus.REFUSED, error.detail)
        if isinstance(error, Unavailable) and not (stage is Stage.FETCH and _is_elsewhere(item)):
            raise error
        return failed(item, stage, error)

    def _prepare_held(self, item: Item, target: Target) -> Prepared | Known:
        """With the whole file in memory."""
        with self._encoded.spend(item.size_bytes or _UNKNOWN_BYTES):
            with self._step(Stage.FETCH):
                data = self._fetch(item)
            if not item.sha256:
                item = replace(item, sha256=sha256_of(data), size_bytes=len(data))
                with self._step(Stage.INDEX):
                    if self._is_known(item, target):
                        return Known(item)
            return self._decode_and_keep(item, data, data, target)

    def _prepare_large(self, item: Item, target: Target) -> Prepared:
        """From the file where it lies."""
        with ExitStack() as opened:
            with self._step(Stage.FETCH):
                file = opened.enter_context(self._open(item))
            return self._decode_and_keep(item, file, None, target)

    def _decode_and_keep(
        self, item: Item, encoded: Encoded, data: bytes | None, target: Target
    ) -> Prepared:
        with self._step(Stage.DECODE):
            copies = self._decode(encoded, target)
        with self._step(Stage.STORE):
            self._keep(item, data, copies)
        return Prepared(
            item,
            copies.pixels,
            copies.width,
            copies.height,
            copies.content_type,
            item.size_bytes or 0,
            copies.grey,
        )

    @contextmanager
    def _step(self, stage: Stage) -> Iterator[None]:
        """Time a step, and say which one it was that failed: a thread's edge."""
        try:
            with timed(self._observer, stage):
                yield
        except Exception as error:
            raise _Failed(stage, error) from error

    def _open(self, item: Item) -> AbstractContextManager[BinaryIO]:
        """A file of staged bytes, or of the original that a run that was cut off kept."""
        keys = [object_keys.original(image_id_of(item.sha256))]
        if item.staging_key is not None:
            keys.insert(0, item.staging_key)
        for key in keys:
            try:
                return self._local_file(key)
            except NotFound:
                log.debug("bytes were moved before", item_no=item.item_no)
        raise InvalidInput("Its bytes are not here any more; upload it again.")

    def _local_file(self, key: str) -> AbstractContextManager[BinaryIO]:
        """The object as a file that can be read at any place."""
        if self._store.local_path(key) is not None:
            return self._store.open(key)
        with self._store.open(key) as stream:
            file = TemporaryFile()  # noqa: SIM115  # the caller closes it
            shutil.copyfileobj(stream, file)
        return cast(AbstractContextManager[BinaryIO], file)

    def _fetch(self, item: Item) -> bytes:
        """The bytes: staged, at their origin, or kept by a run of this chunk that was cut off."""
        if item.staging_key is not None:
            try:
                return self._store.get(item.staging_key)
            except NotFound:
                log.debug("staged bytes were moved before", item_no=item.item_no)
        elif item.origin is not None:
            return self._fetch_from(item.origin)
        try:
            return self._store.get(object_keys.original(image_id_of(item.sha256)))
        except NotFound as error:
            raise InvalidInput("Its bytes are not here any more; upload it again.") from error

    def _fetch_from(self, origin: str) -> bytes:
        try:
            return self._fetcher.fetch(origin, max_bytes=self._limits.max_bytes)
        except NotFound as error:
            raise InvalidInput(error.detail) from error

    def _is_known(self, item: Item, target: Target) -> bool:
        return bool(self._index.get(target.collection, [image_id_of(item.sha256)]))

    def _decode(self, encoded: Encoded, target: Target) -> _Copies:
        with decode.decoded_within(self._decoded, encoded, self._limits) as decoded:
            small = decode.shrunk(decoded.picture, decode.THUMBNAIL_SIDE)
            return _Copies(
                to_pixels(decoded.picture, target.model.pixel_spec, self._resize),
                decode.display_copy(decoded.picture),
                decode.thumbnail(small),
                grey_pixels(small),
                decoded.width,
                decoded.height,
                decoded.content_type,
            )

    def _keep(self, item: Item, data: bytes | None, copies: _Copies) -> None:
        image_id = image_id_of(item.sha256)
        self._keep_original(item, data, image_id)
        self._store.put(object_keys.display(image_id), copies.display)
        self._store.put(object_keys.thumbnail(image_id), copies.thumbnail)

    def _keep_original(self, item: Item, data: bytes | None, image_id: str) -> None:
        if item.origin is not None and data is not None:
            self._store.put(object_keys.original(image_id), data)
        elif item.staging_key is not None:
            try:
                self._store.move(item.staging_key, object_keys.original(image_id))
            except NotFound:
                self._store.stat(object_keys.original(image_id))


def _is_elsewhere(item: Item) -> bool:
    """Whether the bytes lie on a server of somebody else, whose outage is not ours to wait for."""
    return item.origin is not None and item.origin.startswith(f"{url_list.SCHEME}:")
