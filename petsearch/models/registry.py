"""Published models in the object store. The manifest comes last: without it there is no model."""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from petsearch.domain import ModelInfo, object_keys, sha256_of
from petsearch.domain.errors import MOST_SHOWN, ConfigurationError, InvalidInput, NotFound
from petsearch.models.cards import figures_of
from petsearch.models.folder import METRICS, MOST_JSON_BYTES
from petsearch.observability import get_logger
from petsearch.ports import ObjectStore

log = get_logger(__name__)

SPEC_KIND = "s3"
MODEL_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
"""The ids that the API takes, and so those that can be published."""
_BLOCK_BYTES = 1024 * 1024


class PublishedFile(BaseModel):
    """One file of a model."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size_bytes: int


class Manifest(BaseModel):
    """What was published under an id."""

    model_config = ConfigDict(frozen=True)

    model_id: str
    published_at: datetime
    files: Mapping[str, PublishedFile]

    def holds(self, files: Mapping[str, Path]) -> bool:
        """Whether these files were published with it, just as they are."""
        return all(self.files.get(name) == describe_file(path) for name, path in files.items())


@dataclass(frozen=True)
class Published:
    """The answer to a publication."""

    manifest: Manifest
    is_new: bool
    """False where the same files were there already: nothing was done."""


@dataclass(frozen=True)
class Registry:
    """Publishes models and brings them back."""

    store: ObjectStore

    def publish(self, model_id: str, files: Mapping[str, Path], now: datetime) -> Published:
        """Upload the files of a model that the store does not hold, then make it visible.

        The same files again change nothing, unless one of them is damaged in the store. With others
        beside the same weights (a calibration, say) what is published is replaced. Cut off in the
        middle of that, it has to be called again before the model can be fetched.

        Raises:
            InvalidInput: as `check_new_id`.
        """
        check_new_id(model_id)
        before = self.find(model_id)
        coming = {name: describe_file(path) for name, path in files.items()}
        manifest = Manifest(model_id=model_id, published_at=now, files=coming)
        missing = self.damaged(manifest)
        if before is not None and before.files == coming and not missing:
            return Published(before, is_new=False)
        for name in missing:
            with files[name].open("rb") as file:
                size = coming[name].size_bytes
                self.store.put_stream(object_keys.model_file(model_id, name), file, size)
        self.store.put(object_keys.model_manifest(model_id), manifest.model_dump_json().encode())
        return Published(manifest, is_new=True)

    def damaged(self, manifest: Manifest) -> list[str]:
        """The files of a model that are not in the store as they were published.

        Each is read to its end: a damaged one may be as long as it was.
        """
        return [
            name
            for name, wanted in manifest.files.items()
            if not self._holds(object_keys.model_file(manifest.model_id, name), wanted)
        ]

    def find(self, model_id: str) -> Manifest | None:
        """What was published under an id; None if nothing was, or not to its end."""
        try:
            _check_id(model_id)
            return Manifest.model_validate_json(
                self.store.get(object_keys.model_manifest(model_id))
            )
        except (NotFound, InvalidInput):
            return None
        except ValidationError as error:
            raise ConfigurationError(
                f"The manifest of the model {model_id!r} is broken."
            ) from error

    def all(self) -> Iterator[Manifest]:
        """Every published model, by id."""
        for key in self.store.list_keys(object_keys.MODELS):
            model_id, _, name = key.removeprefix(object_keys.MODELS).partition("/")
            is_manifest = name and key == object_keys.model_manifest(model_id)
            if is_manifest and (manifest := self.find(model_id)):
                yield manifest

    def figures(self, manifest: Manifest) -> dict[str, float]:
        """What was measured of a model before it was published, by name; {} if nothing was."""
        if METRICS not in manifest.files or manifest.files[METRICS].size_bytes > MOST_JSON_BYTES:
            return {}
        key = object_keys.model_file(manifest.model_id, METRICS)
        with suppress(NotFound, ValueError, AttributeError):  # no JSON object, which is its fault
            return figures_of(json.loads(self.store.get(key)))
        return {}

    def spec_of(self, model_id: str) -> str:
        """How to load a model: from here, or as it was loaded when photos were indexed with it.

        Raises:
            NotFound: it was not published, and no collection was made with it.
        """
        if self.find(model_id) is not None:
            return f"{SPEC_KIND}:{model_id}"
        try:
            _check_id(model_id)
            source = self.store.get(object_keys.model_source(model_id))
        except (NotFound, InvalidInput) as error:
            raise NotFound(
                f"There is no model {model_id!r}; publish it with: petsearch publish DIR"
            ) from error
        return str(json.loads(source)["spec"])

    def remember_source(self, model: ModelInfo) -> None:
        """Keep how a model was loaded that photos are indexed with; see `spec_of`."""
        source = json.dumps({"spec": model.spec}).encode()
        self.store.put(object_keys.model_source(model.model_id), source)

    def fetch(self, model_id: str, cache: Path) -> Path:
        """The folder of a published model on this machine's disk.

        Args:
            cache: where it is brought to, if the store does not have it on this disk.

        Raises:
            ConfigurationError: it was not published, or what came is not what was.
        """
        if (manifest := self.find(model_id)) is None:
            raise ConfigurationError(
                f"The model {model_id!r} was not published here; see: petsearch models"
            )
        here = self.store.local_path(object_keys.model_manifest(model_id))
        if here is not None:
            return here.parent
        folder = cache / model_id
        for name, wanted in manifest.files.items():
            path = folder / name
            if not (path.is_file() and describe_file(path) == wanted):
                self.bring(manifest, name, folder)
        return folder

    def bring(self, manifest: Manifest, name: str, folder: Path) -> Path:
        """Copy one file of a published model into a folder on this machine's disk.

        Raises:
            ConfigurationError: it is not in the store as it was published.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # A name of its own: several embedders may share this folder, and all load at once.
        coming = folder / f".{name}.{uuid.uuid4().hex}.part"
        key = object_keys.model_file(manifest.model_id, name)
        try:
            with suppress(NotFound), self.store.open(key) as stream, coming.open("wb") as file:
                shutil.copyfileobj(stream, file, _BLOCK_BYTES)
            if not (coming.is_file() and describe_file(coming) == manifest.files[name]):
                raise _damaged(name, manifest)
            return coming.replace(folder / name)
        finally:
            coming.unlink(missing_ok=True)

    def read(self, manifest: Manifest, name: str) -> bytes:
        """The content of one file of a published model, which is not its weights.

        Raises:
            ConfigurationError: it is not in the store as it was published.
        """
        with suppress(NotFound):
            data = self.store.get(object_keys.model_file(manifest.model_id, name))
            if sha256_of(data) == manifest.files[name].sha256:
                return data
        raise _damaged(name, manifest)

    def _holds(self, key: str, wanted: PublishedFile) -> bool:
        stored = self.store.find(key)
        if stored is None or stored.size_bytes != wanted.size_bytes:
            return False
        digest = hashlib.sha256()
        with self.store.open(key) as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest() == wanted.sha256


def check_new_id(model_id: str) -> None:
    """Check the id of a model before it is published: `reindex` has to take it.

    Raises:
        InvalidInput: the API takes no such id.
    """
    if re.fullmatch(MODEL_ID, model_id) is None:
        raise InvalidInput(
            f"{model_id[:MOST_SHOWN]!r} is not a model id; choose another with --name. It has at "
            "most 200 of A to Z, a to z, digits, '.', '_' and '-', and begins with a letter or "
            "digit."
        )


def _check_id(model_id: str) -> None:
    object_keys.check(object_keys.model_manifest(model_id))
    if "/" in model_id:
        raise InvalidInput(f"{model_id!r} is no model id.")


def _damaged(name: str, manifest: Manifest) -> ConfigurationError:
    return ConfigurationError(
        f"{name} of the model {manifest.model_id!r} is damaged in the object store; "
        "publish it again"
    )


def describe_file(path: Path) -> PublishedFile:
    """Digest and size of a file on this machine."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PublishedFile(sha256=digest, size_bytes=path.stat().st_size)
