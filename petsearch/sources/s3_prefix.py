"""The objects under a prefix of a bucket as a source, and the fetcher of single objects."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput, NotFound
from petsearch.domain.metadata import named_metadata
from petsearch.sources.names import (
    HEAD_BYTES,
    NESTED_ARCHIVE,
    NameKind,
    kind_of,
    other_forms,
    reason_by_content,
)
from petsearch.sources.sidecars import MOST_BYTES, Sidecars
from petsearch.sources.source import Fetcher, Source, SourceItem

SCHEME = "s3"


@dataclass(frozen=True)
class BucketObject:
    """An object in a listing."""

    key: str
    size_bytes: int


class BucketReader(Protocol):
    """Reads buckets of an S3 server. Called from several threads.

    All methods raise `NotFound` (no such bucket or object), `InvalidInput` (access is denied) and
    `Unavailable` (the server does not answer).
    """

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        """List the objects whose keys begin with `prefix`, sorted, after the key `start_after`."""

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        """Get the bytes of an object; raises `TooLarge` if there are more than `max_bytes`."""

    def get_head(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        """Get the first `max_bytes` of an object."""


@dataclass(frozen=True)
class AllowedBuckets(Fetcher):
    """Reads the buckets that jobs may read; the `Fetcher` for `s3:<bucket>/<key>`."""

    reader: BucketReader
    buckets: Collection[str]

    def check(self, bucket: str) -> None:
        """Check that jobs may read a bucket.

        Raises:
            InvalidInput: they may not; the message names the setting.
        """
        if bucket not in self.buckets:
            raise InvalidInput(
                f"Jobs may not read the bucket {bucket!r}; "
                "the operator of the server allows buckets by PETSEARCH_IMPORT_BUCKETS."
            )

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        """See `BucketReader.list_objects`."""
        self.check(bucket)
        return self.reader.list_objects(bucket, prefix, start_after=start_after)

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        bucket, _, key = origin.removeprefix(f"{SCHEME}:").partition("/")
        if not bucket or not key:
            raise InvalidInput(f"{origin!r} is not an object; it must look like s3:bucket/key.")
        self.check(bucket)
        *names, last = (key, *other_forms(key))
        for name in names:
            with suppress(NotFound):
                return self.reader.get(bucket, name, max_bytes=max_bytes)
        return self.reader.get(bucket, last, max_bytes=max_bytes)


@dataclass(frozen=True)
class S3PrefixSource(Source):
    """The `Source` of the photos under a prefix. The cursor is the last key."""

    buckets: AllowedBuckets
    bucket: str
    prefix: str
    max_bytes: int

    def read(self, cursor: str | None) -> Iterator[SourceItem | LeftOut]:
        return Sidecars(self._keys, self._read_sidecar).apply(self._entries(cursor))

    def _keys(self) -> Iterator[str]:
        for entry in self.buckets.list_objects(self.bucket, self.prefix, start_after=None):
            yield entry.key

    def _read_sidecar(self, key: str) -> bytes:
        return self.buckets.reader.get(self.bucket, key, max_bytes=MOST_BYTES)

    def _entries(self, cursor: str | None) -> Iterator[SourceItem | LeftOut]:
        for entry in self.buckets.list_objects(self.bucket, self.prefix, start_after=cursor):
            kind = kind_of(entry.key)
            if kind.is_folder:
                continue
            reason = kind.left_out or self._reason_by_content(entry, kind)
            if reason is not None:
                yield LeftOut(entry.key, reason)
            else:
                yield self._item(entry, NESTED_ARCHIVE if kind.is_archive else None)

    def _reason_by_content(self, entry: BucketObject, kind: NameKind) -> LeftOutReason | None:
        if kind.is_known or kind.is_archive:
            return None
        if not entry.size_bytes:
            return LeftOutReason.NOT_A_PHOTO
        head = self.buckets.reader.get_head(self.bucket, entry.key, max_bytes=HEAD_BYTES)
        return reason_by_content(head)

    def _item(self, entry: BucketObject, refusal: str | None) -> SourceItem:
        if refusal is None and entry.size_bytes > self.max_bytes:
            refusal = f"It is larger than {self.max_bytes / 1e6:.0f} MB."
        return SourceItem(
            named_metadata(entry.key),
            cursor=entry.key,
            origin=None if refusal else f"{SCHEME}:{self.bucket}/{entry.key}",
            size_bytes=entry.size_bytes,
            refusal=refusal,
        )
