"""Where things lie in the object store."""

from petsearch.domain.errors import InvalidInput

IMPORTS = "imports/"
"""Below it lie the files that were uploaded to be read by jobs."""
ORIGINALS = "originals/"
DISPLAYS = "display/"
THUMBNAILS = "thumbs/"
TOMBSTONES = "tombstones/"
STAGING = "staging/"
RESTORES = "restores/"
"""Below it a restore notes what it is at, so that it can go on after it was cut off."""
MODELS = "models/"
"""Published models, and notes of where others came from."""
_NO_NAMES = frozenset(("", ".", ".."))


def check(key: str) -> None:
    """Refuse what is no key: empty parts, `.`, `..`, NUL, and parts too long for a file's name.

    Raises:
        InvalidInput: `key` is none.
    """
    parts = key.split("/")
    if "\0" in key or not _NO_NAMES.isdisjoint(parts) or max(map(_size, parts)) > 255:
        raise InvalidInput(f"{key!r} is no object key.")


def _size(part: str) -> int:
    return len(part.encode("utf-8", "surrogatepass"))


def original(image_id: str) -> str:
    """Bytes as they were received. Never public."""
    return f"{ORIGINALS}{image_id[:2]}/{image_id}"


def display(image_id: str) -> str:
    """JPEG of at most 1600 pixels a side, upright, without metadata."""
    return f"{DISPLAYS}{image_id[:2]}/{image_id}.jpg"


def thumbnail(image_id: str) -> str:
    """JPEG of at most 320 pixels a side, without metadata."""
    return f"{THUMBNAILS}{image_id[:2]}/{image_id}.jpg"


def tombstone(image_id: str) -> str:
    """Is there while an image is being deleted."""
    return f"{TOMBSTONES}{image_id}"


def staging(job_id: str, item_no: int) -> str:
    """An upload that is not checked yet."""
    return f"{STAGING}{job_id}/{item_no}"


def job_of_staging(key: str) -> str:
    """The job whose upload lies under a staging key."""
    return key.removeprefix(STAGING).partition("/")[0]


def staging_prefix(job_id: str) -> str:
    """All staged uploads of a job."""
    return f"staging/{job_id}/"


def import_file(job_id: str, name: str) -> str:
    """An archive or manifest that was uploaded to be read by a job."""
    return f"{imports_prefix(job_id)}{name}"


def imports_prefix(job_id: str) -> str:
    """All uploaded sources of a job."""
    return f"{IMPORTS}{job_id}/"


def job_prefix(job_id: str) -> str:
    """Everything that tells of a job: chunks and outcomes."""
    return f"jobs/{job_id}/"


def chunks_prefix(job_id: str) -> str:
    """All chunks of a job; the keys sort by chunk number."""
    return f"jobs/{job_id}/chunks/"


def chunk_no_of(key: str) -> int:
    """The chunk number in a key of `chunk` or `outcomes`."""
    return int(key.rpartition("/")[2].removesuffix(".json"))


def chunk(job_id: str, chunk_no: int) -> str:
    """What a chunk holds: a JSON list of items."""
    return f"jobs/{job_id}/chunks/{chunk_no:06d}.json"


def outcomes(job_id: str, chunk_no: int) -> str:
    """What became of a chunk's items: a JSON list of outcomes."""
    return f"{outcomes_prefix(job_id)}{chunk_no:06d}.json"


def outcomes_prefix(job_id: str) -> str:
    """All outcomes of a job; the keys sort by chunk number."""
    return f"jobs/{job_id}/outcomes/"


def restore(backup: str) -> str:
    """Is there while a backup, named by the SHA-256 of its manifest, is being restored."""
    return f"{RESTORES}{backup}"


def model_source(model_id: str) -> str:
    """From where a model that serves this store was loaded."""
    return f"{MODELS}{model_id}/source.json"


def model_file(model_id: str, name: str) -> str:
    """A file of a published model's folder."""
    return f"{MODELS}{model_id}/{name}"


def model_manifest(model_id: str) -> str:
    """Is there when all files of a published model are."""
    return f"{MODELS}{model_id}/manifest.json"
