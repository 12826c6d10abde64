"""Keys in the object store."""

from petsearch.domain.errors import InvalidInput

IMPORTS = "imports/"
"""Prefix of uploaded files that jobs read."""
ORIGINALS = "originals/"
DISPLAYS = "display/"
THUMBNAILS = "thumbs/"
TOMBSTONES = "tombstones/"
STAGING = "staging/"
JOBS = "jobs/"
"""Prefix of the chunks of all jobs and of what became of them."""
RESTORES = "restores/"
"""Prefix of a restore's progress, by which it continues after an interruption."""
MODELS = "models/"
"""Prefix of published models, and of the sources of others."""
SERVING = f"{MODELS}serving.json"
"""Which models embedders load."""
_NO_NAMES = frozenset(("", ".", ".."))


def check(key: str) -> None:
    """Reject invalid keys: empty parts, `.`, `..`, NUL, and parts too long for a file name.

    Raises:
        InvalidInput: `key` is invalid.
    """
    parts = key.split("/")
    if "\0" in key or not _NO_NAMES.isdisjoint(parts) or max(map(_size, parts)) > 255:
        raise InvalidInput(f"{key!r} is not a valid object key.")


def _size(part: str) -> int:
    return len(part.encode("utf-8", "surrogatepass"))


def original(image_id: str) -> str:
    """The bytes of an image as received. Never public."""
    return f"{ORIGINALS}{image_id[:2]}/{image_id}"


def display(image_id: str) -> str:
    """The display copy: a JPEG of at most 1600 pixels a side, upright, without metadata."""
    return f"{DISPLAYS}{image_id[:2]}/{image_id}.jpg"


def thumbnail(image_id: str) -> str:
    """The thumbnail: a JPEG of at most 320 pixels a side, without metadata."""
    return f"{THUMBNAILS}{image_id[:2]}/{image_id}.jpg"


def tombstone(image_id: str) -> str:
    """Exists while an image is being deleted."""
    return f"{TOMBSTONES}{image_id}"


def staging(job_id: str, item_no: int) -> str:
    """An upload that is not yet checked."""
    return f"{STAGING}{job_id}/{item_no}"


def job_of(key: str) -> str:
    """The job of a key under `STAGING`, `IMPORTS` or `JOBS`."""
    return key.split("/")[1]


def staging_prefix(job_id: str) -> str:
    """Prefix of a job's staged uploads."""
    return f"{STAGING}{job_id}/"


def import_file(job_id: str, name: str) -> str:
    """An uploaded archive or manifest that a job reads."""
    return f"{imports_prefix(job_id)}{name}"


def imports_prefix(job_id: str) -> str:
    """Prefix of a job's uploaded archive or manifest."""
    return f"{IMPORTS}{job_id}/"


def job_prefix(job_id: str) -> str:
    """Prefix of a job's chunks and outcomes."""
    return f"{JOBS}{job_id}/"


def chunks_prefix(job_id: str) -> str:
    """Prefix of a job's chunks; their keys sort by chunk number."""
    return f"{job_prefix(job_id)}chunks/"


def chunk_no_of(key: str) -> int:
    """The chunk number in a key of `chunk` or `outcomes`."""
    return int(key.rpartition("/")[2].removesuffix(".json"))


def chunk(job_id: str, chunk_no: int) -> str:
    """A chunk: a JSON list of items."""
    return f"{chunks_prefix(job_id)}{chunk_no:06d}.json"


def outcomes(job_id: str, chunk_no: int) -> str:
    """The outcomes of a chunk's items: a JSON list."""
    return f"{outcomes_prefix(job_id)}{chunk_no:06d}.json"


def outcomes_prefix(job_id: str) -> str:
    """Prefix of a job's outcomes; their keys sort by chunk number."""
    return f"{job_prefix(job_id)}outcomes/"


def restore(backup: str) -> str:
    """Exists while a backup, named by the SHA-256 of its manifest, is being restored."""
    return f"{RESTORES}{backup}"


def model_source(model_id: str) -> str:
    """How a model that indexes this store was loaded."""
    return f"{MODELS}{model_id}/source.json"


def model_file(model_id: str, name: str) -> str:
    """A file of a published model's folder."""
    return f"{MODELS}{model_id}/{name}"


def model_manifest(model_id: str) -> str:
    """The manifest of a published model, which is written after all its files."""
    return f"{MODELS}{model_id}/manifest.json"


def catalogue_calibration(model_id: str) -> str:
    """The calibration of a model that was fitted on the catalogue's own photos."""
    return f"{MODELS}{model_id}/calibration_of_catalogue.json"
