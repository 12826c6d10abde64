"""A photo to upload."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from petsearch.domain import JsonDict


@dataclass(frozen=True)
class Photo:
    """A photo to upload, with metadata as in the API's `metadata`."""

    filename: str
    data: bytes
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_metadata(self) -> JsonDict:
        """The metadata with the file name."""
        return {"filename": self.filename, **self.metadata}
