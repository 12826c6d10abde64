"""Specifications of sources that are too long for the job's record: 10,000 URLs may take 20 MB.

The record is in the memory of Redis, so they are kept in the object store, with the job's uploads.
"""

from petsearch.domain import object_keys
from petsearch.ports import ObjectStore

_LONGEST = 16_000
_PREFIX = "stored:"
"""No JSON begins with it."""


def record_spec(store: ObjectStore, job_id: str, spec: str) -> str:
    """What a job records of its source: the JSON, or where it was stored."""
    if len(spec) <= _LONGEST:
        return spec
    key = object_keys.import_file(job_id, "source")
    store.put(key, spec.encode())
    return _PREFIX + key


def read_spec(store: ObjectStore, recorded: str) -> str:
    """The JSON of a source.

    Raises:
        NotFound: it was deleted.
    """
    if not recorded.startswith(_PREFIX):
        return recorded
    return store.get(recorded.removeprefix(_PREFIX)).decode()
