"""Where API keys and sessions are kept."""

from datetime import datetime
from typing import Protocol

from petsearch.domain.api_keys import ApiKey


class KeyStore(Protocol):
    """Keeps API keys and the sessions that were opened with them. Secrets come hashed."""

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    def all(self) -> list[ApiKey]:
        """Every key ever made, the oldest first; revoked ones stay."""

    def revoke(self, key_id: str, now: datetime) -> None:
        """Make a key invalid for ever; the time of the first call stays.

        Raises:
            NotFound: there is no such key.
        """

    def note_use(self, key_id: str, at: datetime) -> None:
        """Remember when a key was used; an unknown key is ignored."""

    def open_session(self, token_hash: str, key_id: str, for_s: float) -> None:
        """Remember for so long that the token of this hash stands for a key."""

    def session_key_id(self, token_hash: str) -> str | None:
        """The key a session was opened with; None if it has ended."""

    def close_session(self, token_hash: str) -> None:
        """End a session; one that has ended is ignored."""
