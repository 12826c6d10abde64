"""The objects under a prefix of a bucket as a source, and the fetcher of single objects."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import safe_filename
from petsearch.sources.names import NameKind, kind_of
from petsearch.sources.source import SourceItem

SCHEME = "s3"


@dataclass(frozen=True)
class BucketObject:
    """An object as a listing has it."""

    key: str
    size_bytes: int


class BucketReader(Protocol):
    """Reads buckets of an S3 server. Called from several threads.

    Both calls raise `NotFound` (no such bucket or object), `InvalidInput` (it will never be
    given) and `Unavailable` (the server does not answer).
    """

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        """Objects whose keys begin with `prefix`, by key, those after `start_after` only."""

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        """The bytes of an object; `TooLarge` if there are more than `max_bytes`."""


class AllowedBuckets:
    """A `BucketReader` behind the list of buckets that jobs may read."""

    def __init__(self, reader: BucketReader, buckets: Collection[str]) -> None:
        self._reader = reader
        self._buckets = frozenset(buckets)

    def check(self, bucket: str) -> None:
        """Refuse a bucket that is not in the list.

        Raises:
            InvalidInput: it is not; the message says which setting holds the list.
        """
        if bucket not in self._buckets:
            raise InvalidInput(
                f"Jobs may not read the bucket {bucket!r}; "
                "whoever runs this server names those they may in PETSEARCH_IMPORT_BUCKETS."
            )

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        """See `BucketReader.list_objects`."""
        self.check(bucket)
        return self._reader.list_objects(bucket, prefix, start_after=start_after)

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        """See `BucketReader.get`."""
        self.check(bucket)
        return self._reader.get(bucket, key, max_bytes=max_bytes)


class S3PrefixSource:
    """The `Source` of the photos under a prefix. The cursor is the last key."""

    def __init__(self, buckets: AllowedBuckets, bucket: str, prefix: str, *, max_bytes: int):
        self._buckets = buckets
        self._bucket = bucket
        self._prefix = prefix
        self._max_bytes = max_bytes

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`."""
        found = self._buckets.list_objects(self._bucket, self._prefix, start_after=cursor)
        for entry in found:
            kind = kind_of(entry.key)
            if kind is not NameKind.PASSED_OVER:
                yield self._item(entry, kind.refusal)

    def count(self) -> int | None:
        """Never known: S3 counts only by listing."""
        return None

    def _item(self, entry: BucketObject, refusal: str | None) -> SourceItem:
        if refusal is None and entry.size_bytes > self._max_bytes:
            refusal = f"It is larger than {self._max_bytes / 1e6:.0f} MB."
        return SourceItem(
            ImageMetadata(filename=safe_filename(entry.key)),
            cursor=entry.key,
            origin=None if refusal else f"{SCHEME}:{self._bucket}/{entry.key}",
            size_bytes=entry.size_bytes,
            refusal=refusal,
        )


class S3Fetcher:
    """The `Fetcher` for `s3:<bucket>/<key>`."""

    def __init__(self, buckets: AllowedBuckets) -> None:
        self._buckets = buckets

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        """See `Fetcher.fetch`."""
        bucket, _, key = origin.removeprefix(f"{SCHEME}:").partition("/")
        if not bucket or not key:
            raise InvalidInput(f"{origin!r} names no object; it must look like s3:bucket/key.")
        return self._buckets.get(bucket, key, max_bytes=max_bytes)
