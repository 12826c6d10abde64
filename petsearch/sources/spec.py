"""The specification of a source, as JSON: what a client may ask a job to read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    model_validator,
)

from petsearch.domain import object_keys
from petsearch.domain.metadata import NO_CONTROLS, naming_fields
from petsearch.domain.strict_model import StrictModel

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)

Text = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=NO_CONTROLS)]
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2000, strip_whitespace=True, pattern=NO_CONTROLS),
]

MAX_URLS = 10_000
"""More of them come as a manifest."""
_ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ManifestColumns = Annotated[
    dict[_ColumnName, _ColumnName | None],
    Field(
        max_length=200,
        description="names of the file's columns to ours; null for one to leave out",
    ),
]


@dataclass(frozen=True)
class DatasetOptions:
    """Which rows and columns of a data set to read."""

    split: str = "train"
    label_column: str | None = "label"
    """The column that becomes the breed; None for photos without labels."""
    limit: int | None = None


class _Spec(StrictModel):
    model_config = ConfigDict(frozen=True)


class DatasetSpec(_Spec):
    """A Hugging Face data set: a name on the hub, or the path of a folder that jobs may read."""

    type: Literal["dataset"]
    name: Text
    split: Text = "train"
    label_column: Text | None = Field("label", description="becomes the breed; null for none")
    limit: Annotated[int, Field(gt=0)] | None = None

    @property
    def is_on_hub(self) -> bool:
        """Whether the name is one of the hub; a name that exists here as a folder is not."""
        return _HUB_NAME.fullmatch(self.name) is not None and not Path(self.name).exists()

    @property
    def options(self) -> DatasetOptions:
        """Which rows and columns to read."""
        return DatasetOptions(self.split, self.label_column, self.limit)


class S3Spec(_Spec):
    """The photos under a prefix of a bucket that jobs may read."""

    type: Literal["s3"]
    bucket: Text
    prefix: Annotated[str, StringConstraints(max_length=1024, pattern=NO_CONTROLS)] = ""


class FileSpec(_Spec):
    """A file: below a folder that jobs may read, or uploaded for the job."""

    path: Text | None = Field(None, description="absolute, of a file on the server")
    key: Text | None = Field(None, description="of an uploaded file: imports/<job_id>/<name>")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.path is None) == (self.key is None):
            raise ValueError("give either path or key")
        if self.key is not None and not self.key.startswith(object_keys.IMPORTS):
            raise ValueError(f"key must begin with {object_keys.IMPORTS}")
        return self


class ArchiveSpec(FileSpec):
    """The photos in a zip or tar file."""

    type: Literal["archive"]


class ManifestSpec(FileSpec):
    """The photos that a table lists (CSV, JSONL, XLSX)."""

    type: Literal["manifest"]
    columns: ManifestColumns = Field(default_factory=dict)


class UrlsSpec(_Spec):
    """Photos at URLs."""

    type: Literal["urls"]
    urls: Annotated[list[Url], Field(min_length=1, max_length=MAX_URLS)]


SourceSpec = Annotated[
    DatasetSpec | S3Spec | ArchiveSpec | ManifestSpec | UrlsSpec, Field(discriminator="type")
]
_SPEC: TypeAdapter[SourceSpec] = TypeAdapter(SourceSpec)


def parse_spec(given: str | Mapping[str, Any]) -> SourceSpec:
    """Parse a specification from JSON text or decoded JSON.

    Raises:
        InvalidInput: a field is invalid; the message names it.
    """
    with naming_fields("source"):
        if isinstance(given, str):
            return _SPEC.validate_json(given)
        return _SPEC.validate_python(given)


def describe(spec: SourceSpec) -> str:
    """Describe a source briefly, for people."""
    match spec:
        case UrlsSpec():
            return f"{len(spec.urls)} web addresses"
        case S3Spec():
            return f"bucket {spec.bucket}/{spec.prefix}"[:200]
        case DatasetSpec():
            return f"data set {spec.name} {spec.split}"[:200]
        case ArchiveSpec() | ManifestSpec():
            return f"{spec.type} {spec.path or spec.key}"[:200]


def reads_hub(spec: SourceSpec) -> bool:
    """Whether a source is a data set on the Hugging Face hub."""
    return isinstance(spec, DatasetSpec) and spec.is_on_hub
