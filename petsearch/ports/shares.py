"""Where shared searches by photo are kept until they expire."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from petsearch.domain import Embedding


@dataclass(frozen=True, eq=False)
class SharedSearch:
    """All that is kept of a shared search."""

    photo: bytes = field(repr=False)
    """The small copy of the photo: JPEG, without any metadata."""
    embedding: Embedding
    """Of the photo itself."""
    model_id: str
    """Of the model that made the embedding."""
    expires_at: datetime
    delete_hash: str = field(repr=False)
    """`hash_secret` of the token that deletes it."""


class ShareStore(Protocol):
    """Keeps shared searches until they expire, and only so many of them."""

    def add(self, share_id: str, shared: SharedSearch, caller: str, for_s: float) -> None:
        """Keep a shared search of `caller` for so many seconds.

        Raises:
            Overloaded: as many as may be are kept, for this caller or for all together;
                `retry_after_s` is until the first of them expires.
            StorageFull: there is no room for it.
        """

    def get(self, share_id: str) -> SharedSearch | None:
        """The shared search; None where there is none, or no longer."""

    def delete(self, share_id: str) -> bool:
        """Delete it now; whether it was there."""
