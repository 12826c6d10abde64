"""Searches by photo that are shared for a day by an address that nobody can guess.

What is kept is the embedding and a small copy of the photo. Words, filters and other examples are
in the shared address itself, and every visit searches anew.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from petsearch.domain.api_keys import hash_secret
from petsearch.domain.errors import NotFound
from petsearch.models import Catalogue
from petsearch.photos import Decoders
from petsearch.ports import Embedder, SharedSearch, ShareStore
from petsearch.search.query import SharedPhoto

KEPT_FOR = timedelta(hours=24)
COPY_SIDE = 800
"""The most pixels a side of the copy."""
_ID_BYTES, _TOKEN_BYTES = 16, 32
_ID = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True)
class NewShare:
    """A search that was just shared; its token is told this once."""

    share_id: str
    expires_at: datetime
    delete_token: str = field(repr=False)


class SharedSearches:
    """Shares searches by photo, and finds and deletes what is shared."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        catalogue: Catalogue,
        decoders: Decoders,
        store: ShareStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._embedder = embedder
        self._catalogue = catalogue
        self._decoders = decoders
        self._store = store
        self._clock = clock

    def share(self, photo: bytes, caller: str) -> NewShare:
        """Keep the embedding and a copy of an encoded photo for `KEPT_FOR`.

        Args:
            caller: who shares it; each may only share so many at a time.

        Raises:
            NotAnImage, TooLarge: the photo cannot be used.
            Overloaded: too many are shared, or too many photos are being decoded.
            StorageFull: there is no room for it.
        """
        model = self._catalogue.current().model
        pixels, decoded = self._decoders.pixels_and_copies(
            photo, model.pixel_spec, display_side=COPY_SIDE
        )
        embedding = self._embedder.embed_pixels(pixels[None], model_id=model.model_id)[0]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        made = NewShare(secrets.token_urlsafe(_ID_BYTES), self._clock() + KEPT_FOR, token)
        shared = SharedSearch(
            photo=decoded.copies.display,
            embedding=embedding,
            model_id=model.model_id,
            expires_at=made.expires_at,
            delete_hash=hash_secret(token),
        )
        self._store.add(made.share_id, shared, caller, KEPT_FOR.total_seconds())
        return made

    def get(self, share_id: str) -> SharedSearch:
        """What is kept of a shared search.

        Raises:
            NotFound: it has expired, was deleted, or never was.
        """
        shared = self._store.get(share_id) if _ID.fullmatch(share_id) else None
        if shared is None or shared.expires_at <= self._clock():
            raise _gone()
        return shared

    def photo(self, share_id: str) -> SharedPhoto:
        """The part of a query that it is; raises like `get`."""
        shared = self.get(share_id)
        return SharedPhoto(shared.photo, shared.embedding, shared.model_id)

    def is_token(self, share_id: str, token: str) -> bool:
        """Whether `token` deletes it, compared in constant time; raises like `get`."""
        return hmac.compare_digest(hash_secret(token), self.get(share_id).delete_hash)

    def delete(self, share_id: str) -> None:
        """Delete all that is kept of it.

        Raises:
            NotFound: it has expired, was deleted, or never was.
        """
        if not (_ID.fullmatch(share_id) and self._store.delete(share_id)):
            raise _gone()


def _gone() -> NotFound:
    return NotFound("There is no such shared search: it has expired or was deleted.")
