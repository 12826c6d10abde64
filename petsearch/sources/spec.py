"""What a client may ask a job to read, as JSON, and the source that it names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from petsearch.domain import object_keys
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import NO_CONTROLS
from petsearch.ports import ObjectStore
from petsearch.sources import import_folders, s3_prefix, url_list
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.dataset import DatasetSource
from petsearch.sources.dataset_rows import DatasetOptions
from petsearch.sources.import_folders import FileFetcher, ImportFolders
from petsearch.sources.manifest import ManifestSource, check_columns
from petsearch.sources.object_file import open_object
from petsearch.sources.s3_prefix import AllowedBuckets, BucketReader, S3Fetcher, S3PrefixSource
from petsearch.sources.source import Fetcher, Source
from petsearch.sources.url_list import UrlListSource

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_NO_S3 = (
    "This server keeps its objects in a folder and has no S3 server to read from; "
    "run petsearch as services with one (docker compose up, or make stack)."
)
_NO_URLS = (
    "Photos are not fetched from web addresses here; "
    "whoever runs this server allows it with PETSEARCH_URL_INGEST=1."
)

Text = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=NO_CONTROLS)]
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, strip_whitespace=True, pattern=NO_CONTROLS),
]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSpec(_Spec):
    """A Hugging Face data set: a hub name, or the path of a folder that jobs may read."""

    type: Literal["dataset"]
    name: Text
    split: Text = "train"
    label_column: Text | None = Field("label", description="becomes the breed; null for none")
    limit: Annotated[int, Field(gt=0)] | None = None


class S3Spec(_Spec):
    """The photos under a prefix of a bucket that jobs may read."""

    type: Literal["s3"]
    bucket: Text
    prefix: Annotated[str, StringConstraints(max_length=1024, pattern=NO_CONTROLS)] = ""


class _FileSpec(_Spec):
    """A file: below a folder that jobs may read, or one that was uploaded to be read."""

    path: Text | None = Field(None, description="absolute, of a file on the server")
    key: Text | None = Field(None, description="of an uploaded file: imports/<job_id>/<name>")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.key is None):
            raise ValueError("give either path or key")
        if self.key is not None and not self.key.startswith(object_keys.IMPORTS):
            raise ValueError(f"key must begin with {object_keys.IMPORTS}")
        return self


class ArchiveSpec(_FileSpec):
    """The photos in a zip or tar file."""

    type: Literal["archive"]


class ManifestSpec(_FileSpec):
    """The photos that a JSONL or CSV file names."""

    type: Literal["manifest"]
    columns: dict[str, str | None] = Field(
        {}, description="names of the file's columns to ours; null for one to leave out"
    )


class UrlsSpec(_Spec):
    """Photos at web addresses."""

    type: Literal["urls"]
    urls: Annotated[list[Url], Field(min_length=1, max_length=10_000)]


SourceSpec = Annotated[
    DatasetSpec | S3Spec | ArchiveSpec | ManifestSpec | UrlsSpec, Field(discriminator="type")
]
_SPEC: TypeAdapter[SourceSpec] = TypeAdapter(SourceSpec)


def parse_spec(given: str | Mapping[str, Any]) -> SourceSpec:
    """A specification from JSON text or decoded JSON.

    Raises:
        InvalidInput: says which field is wrong.
    """
    try:
        if isinstance(given, str):
            return _SPEC.validate_json(given)
        return _SPEC.validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("source", *first["loc"]))
        raise InvalidInput(f"{where}: {first['msg']}.") from error


@dataclass(frozen=True)
class SourceContext:
    """What sources are read with."""

    store: ObjectStore
    import_dirs: tuple[Path, ...] = ()
    import_buckets: tuple[str, ...] = ()
    s3: BucketReader | None = None
    """None where there is no S3 server (standalone)."""
    urls: Fetcher | None = None
    """None where photos are not fetched from web addresses."""
    max_bytes: int = 50 * 1024 * 1024
    """Of one photo."""

    @property
    def folders(self) -> ImportFolders:
        """The folders that jobs may read."""
        return ImportFolders(self.import_dirs)

    def buckets(self) -> AllowedBuckets:
        """The buckets that jobs may read.

        Raises:
            InvalidInput: there is no S3 server.
        """
        if self.s3 is None:
            raise InvalidInput(_NO_S3)
        return AllowedBuckets(self.s3, self.import_buckets)


def describe(spec: SourceSpec) -> str:
    """What a job reads, in a few words for people."""
    match spec:
        case UrlsSpec():
            return f"{len(spec.urls)} web addresses"
        case S3Spec():
            return f"bucket {spec.bucket}/{spec.prefix}"[:200]
        case DatasetSpec():
            return f"data set {spec.name} {spec.split}"[:200]
        case ArchiveSpec() | ManifestSpec():
            return f"{spec.type} {spec.path or spec.key}"[:200]


def open_source(spec: SourceSpec, context: SourceContext) -> Source:
    """The source that `spec` names. What is not allowed here is said at once.

    Raises:
        InvalidInput: it may not be read; the message names the setting that would allow it.
        NotFound: there is no such file or object.
    """
    match spec:
        case UrlsSpec():
            if context.urls is None:
                raise InvalidInput(_NO_URLS)
            return UrlListSource(spec.urls)
        case S3Spec():
            buckets = context.buckets()
            buckets.check(spec.bucket)
            return S3PrefixSource(buckets, spec.bucket, spec.prefix, max_bytes=context.max_bytes)
        case ArchiveSpec():
            limits = ArchiveLimits(entry_bytes=context.max_bytes)
            return ArchiveSource(_opener(spec, context), limits)
        case ManifestSpec():
            check_columns(spec.columns.values())
            folder = str(context.folders.resolve(spec.path).parent) if spec.path else None
            return ManifestSource(_opener(spec, context), columns=spec.columns, folder=folder)
        case DatasetSpec():
            options = DatasetOptions(spec.split, spec.label_column, spec.limit)
            return DatasetSource(_dataset_name(spec.name, context), options)


def _opener(spec: _FileSpec, context: SourceContext) -> Callable[[], BinaryIO]:
    if spec.path is not None:
        path, folders = spec.path, context.folders
        folders.open(path).close()
        return lambda: folders.open(path)
    key, store = str(spec.key), context.store
    store.stat(key)
    return lambda: open_object(store, key)


def reads_hub(spec: SourceSpec) -> bool:
    """Whether it is a data set of the Hugging Face hub, and none in a folder here."""
    return isinstance(spec, DatasetSpec) and _is_hub_name(spec.name)


def _is_hub_name(name: str) -> bool:
    # A name that is also a folder here would be read as that folder.
    return _HUB_NAME.fullmatch(name) is not None and not Path(name).exists()


def _dataset_name(name: str, context: SourceContext) -> str:
    if _is_hub_name(name):
        return name
    return str(context.folders.resolve(name))


class OriginFetcher:
    """The `Fetcher` for origins of every kind: asks the one for the kind."""

    def __init__(self, by_scheme: Mapping[str, Fetcher | str]) -> None:
        self._by_scheme = by_scheme

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        """See `Fetcher.fetch`."""
        fetcher = self._by_scheme.get(origin.partition(":")[0], f"{origin[:80]!r} is no origin.")
        if isinstance(fetcher, str):
            raise InvalidInput(fetcher)
        return fetcher.fetch(origin, max_bytes=max_bytes)


def make_fetcher(context: SourceContext) -> Fetcher:
    """What workers fetch with; kinds that are off here refuse, and name the setting."""
    return OriginFetcher(
        {
            import_folders.SCHEME: FileFetcher(context.folders),
            s3_prefix.SCHEME: _NO_S3 if context.s3 is None else S3Fetcher(context.buckets()),
            url_list.SCHEME: _NO_URLS if context.urls is None else context.urls,
        }
    )
