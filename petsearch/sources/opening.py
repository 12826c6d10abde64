"""Opens the source of a specification, and fetches the origins of its items."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput
from petsearch.ports import ObjectStore
from petsearch.sources import import_folders, s3_prefix, url_list
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.import_folders import ImportFolders
from petsearch.sources.object_file import open_object
from petsearch.sources.reader import ConfinedSource, Readers
from petsearch.sources.s3_prefix import AllowedBuckets, BucketReader, S3PrefixSource
from petsearch.sources.source import Fetcher, Source
from petsearch.sources.spec import (
    ArchiveSpec,
    DatasetSpec,
    FileSpec,
    ManifestSpec,
    S3Spec,
    SourceSpec,
    UrlsSpec,
)
from petsearch.sources.url_list import UrlListSource
from petsearch.tables import check_fields


@dataclass(frozen=True)
class SourceContext(Fetcher):
    """What sources are read with, and the `Fetcher` for origins of every kind."""

    store: ObjectStore
    import_dirs: tuple[Path, ...] = ()
    import_buckets: tuple[str, ...] = ()
    s3: BucketReader | None = None
    """None if there is no S3 server (standalone)."""
    urls: Fetcher | None = None
    """None if photos are not fetched from URLs."""
    max_bytes: int = 50 * 1024 * 1024
    """The size limit of a photo."""
    readers: Readers = field(default_factory=Readers)

    @cached_property
    def folders(self) -> ImportFolders:
        """The folders that jobs may read."""
        return ImportFolders(self.import_dirs)

    def allowed_buckets(self) -> AllowedBuckets:
        """The buckets that jobs may read.

        Raises:
            InvalidInput: there is no S3 server.
        """
        if self.s3 is None:
            raise InvalidInput(
                "This server keeps its objects in a folder and has no S3 server to read from; "
                "run petsearch as services with one (docker compose up, or make stack)."
            )
        return AllowedBuckets(self.s3, self.import_buckets)

    def url_fetcher(self) -> Fetcher:
        """The fetcher of URLs.

        Raises:
            InvalidInput: URLs are not fetched.
        """
        if self.urls is None:
            raise InvalidInput(
                "This server does not fetch photos from URLs; "
                "its operator allows it by PETSEARCH_URL_INGEST=1."
            )
        return self.urls

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        scheme = origin.partition(":")[0]
        fetcher: Fetcher
        if scheme == import_folders.SCHEME:
            fetcher = self.folders
        elif scheme == s3_prefix.SCHEME:
            fetcher = self.allowed_buckets()
        elif scheme == url_list.SCHEME:
            fetcher = self.url_fetcher()
        else:
            raise InvalidInput(f"{origin[:80]!r} is not an origin.")
        return fetcher.fetch(origin, max_bytes=max_bytes)


def open_source(spec: SourceSpec, context: SourceContext) -> Source:
    """Open the source of a specification. A source that is not allowed is rejected at once.

    Raises:
        InvalidInput: it may not be read; the message names the setting that allows it.
        NotFound: there is no such file or object.
    """
    match spec:
        case UrlsSpec():
            context.url_fetcher()  # raises if URLs are not fetched
            return UrlListSource(spec.urls)
        case S3Spec():
            buckets = context.allowed_buckets()
            buckets.check(spec.bucket)
            return S3PrefixSource(buckets, spec.bucket, spec.prefix, context.max_bytes)
        case ArchiveSpec():
            limits = ArchiveLimits(entry_bytes=context.max_bytes)
            return ArchiveSource(_opener(spec, context), limits)
        case ManifestSpec():
            check_fields(spec.columns.values())
            folder = str(context.folders.resolve(spec.path).parent) if spec.path else None
            return _confined(spec, context, _opener(spec, context), folder=folder)
        case DatasetSpec():
            if not spec.is_on_hub:
                spec = spec.model_copy(update={"name": str(context.folders.resolve(spec.name))})
            return _confined(spec, context)


def _confined(
    spec: DatasetSpec | ManifestSpec,
    context: SourceContext,
    open_file: Callable[[], BinaryIO] | None = None,
    *,
    folder: str | None = None,
) -> ConfinedSource:
    """The source, read by a process of its own: what reads it is a library with surprises."""
    dirs = tuple(map(str, context.import_dirs))
    return ConfinedSource(context.readers, spec, open_file, context.max_bytes, dirs, folder)


def _opener(spec: FileSpec, context: SourceContext) -> Callable[[], BinaryIO]:
    """A function that opens the file; it exists now."""
    if spec.path is not None:
        path, folders = spec.path, context.folders
        folders.open(path).close()
        return lambda: folders.open(path)
    key, store = str(spec.key), context.store
    store.stat(key)
    return lambda: open_object(store, key)
