"""What a backup consists of: the manifest, the names of its parts, and how their lines are written.

manifest.json, manifest.sha256    written last: without them it is no backup
ledger.jsonl                      jobs and keys, a line each
points/000000.jsonl … or snapshot the index: records with embeddings, or Qdrant's own snapshot
objects.jsonl                     every stored object: key, size, SHA-256
objects/<key>                     the objects themselves, if asked for
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal, cast

import numpy as np
from pydantic import TypeAdapter, ValidationError

from petsearch.domain import ImageRecord, Point
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound
from petsearch.maintenance.hashed_stream import HashedStream, blocks_of, size_and_sha256
from petsearch.ports import ObjectStore

FORMAT = 1
MANIFEST, MANIFEST_SUM = "manifest.json", "manifest.sha256"
LEDGER, OBJECTS, SNAPSHOT = "ledger.jsonl", "objects.jsonl", "snapshot"
POINTS = "points/"
"""Prefix of the parts that hold points."""
POINTS_PER_PART = 10_000
IndexForm = Literal["snapshot", "points"]


def copy_name(key: str) -> str:
    """Where the copy of an object lies."""
    return f"objects/{key}"


@dataclass(frozen=True)
class PartFile:
    """A file of a backup; of an object, its copy or where it lies."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds."""

    format: int
    version: str
    """Of petsearch."""
    created_at: datetime
    collection: str | None
    """Its name holds the model's id. None where nothing was indexed."""
    dim: int
    index_form: IndexForm
    points: int
    jobs: int
    keys: int
    objects: int
    objects_bytes: int
    has_objects: bool
    """Whether the objects themselves are in it, or only the list of them."""
    parts: tuple[PartFile, ...]


@dataclass(frozen=True)
class Place:
    """Where a backup lies: a store of its own, or below a prefix of a bucket."""

    store: ObjectStore
    prefix: str = ""
    """Empty, or ends with a slash."""

    def put(self, name: str, blocks: Iterable[bytes]) -> PartFile:
        """Write a file, streamed."""
        stream = HashedStream(blocks)
        self.store.put_stream(self.prefix + name, cast(BinaryIO, stream), None)
        return PartFile(name, stream.size_bytes, stream.sha256)

    def open(self, name: str) -> BinaryIO:
        """Read a file. Raises `NotFound`."""
        return self.store.open(self.prefix + name)

    def check(self, part: PartFile) -> None:
        """Read a file to its end.

        Raises:
            InvalidInput: it is absent, or not what was written.
        """
        try:
            found = size_and_sha256(self.open(part.name))
        except NotFound as error:
            raise InvalidInput(f"The backup is damaged: {part.name} is missing.") from error
        if found != (part.size_bytes, part.sha256):
            raise InvalidInput(
                f"The backup is damaged: {part.name} is not what was written (its SHA-256 differs)."
            )

    def is_empty(self) -> bool:
        """Whether nothing is here yet."""
        return next(iter(self.store.list_keys(self.prefix)), None) is None

    def lines(self, name: str) -> Iterator[bytes]:
        """A file line by line."""
        with self.open(name) as file:
            yield from file


_MANIFESTS = TypeAdapter(Manifest)
_RECORDS = TypeAdapter(ImageRecord)
_PART_FILES = TypeAdapter(PartFile)


def write_manifest(place: Place, manifest: Manifest) -> None:
    """The end of a backup."""
    data = _MANIFESTS.dump_json(manifest, indent=2) + b"\n"
    place.put(MANIFEST, [data])
    place.put(MANIFEST_SUM, [f"{hashlib.sha256(data).hexdigest()}  {MANIFEST}\n".encode()])


def read_manifest(place: Place) -> tuple[Manifest, str]:
    """The manifest and its SHA-256.

    Raises:
        ConfigurationError: there is no backup, or it was cut off before its end.
        InvalidInput: the manifest is damaged, or of another version.
    """
    try:
        data = b"".join(blocks_of(place.open(MANIFEST)))
        wanted = b"".join(blocks_of(place.open(MANIFEST_SUM))).decode().split()[:1]
    except NotFound as error:
        raise ConfigurationError(
            "There is no whole backup here: manifest.json or manifest.sha256 is missing."
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if wanted != [found]:
        raise InvalidInput(f"The backup is damaged: {MANIFEST} does not fit {MANIFEST_SUM}.")
    try:
        manifest = _MANIFESTS.validate_json(data)
    except ValidationError as error:
        raise InvalidInput("The backup was written by a version that this one is not.") from error
    if manifest.format != FORMAT:
        raise InvalidInput(f"The backup has format {manifest.format}; this version reads {FORMAT}.")
    return manifest, found


def point_to_line(point: Point) -> bytes:
    """A record as JSON and its embedding as base64 of little-endian float32."""
    embedding = base64.b64encode(point.embedding.astype("<f4").tobytes()).decode()
    record = _RECORDS.dump_python(point.record, mode="json")
    return to_line({"record": record, "embedding": embedding})


def point_from_line(line: bytes) -> Point:
    """What `point_to_line` wrote."""
    body = json.loads(line)
    embedding = np.frombuffer(base64.b64decode(body["embedding"]), "<f4").astype(np.float32)
    return Point(_RECORDS.validate_python(body["record"]), embedding)


def object_from_line(line: bytes) -> PartFile:
    """An entry of the list of objects."""
    return _PART_FILES.validate_json(line)


def to_line(value: object) -> bytes:
    """A value as a line of JSON, such as an entry of the ledger."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
