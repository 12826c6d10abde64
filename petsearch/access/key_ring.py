"""A copy of the keys in this process, refreshed every few seconds instead of at every request.

A key that is revoked elsewhere is refused after `FRESH_S` at the latest, and events that it watches
end within two seconds.
"""

import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from petsearch.domain.api_keys import ApiKey, Scope, hash_secret, is_secret_of, split_key
from petsearch.domain.errors import InvalidInput, Unavailable
from petsearch.observability import get_logger
from petsearch.ports import KeyStore

log = get_logger(__name__)

FRESH_S = 1.0
_MAX_SESSIONS = 1000
TICKET_S = 300.0
NOTE_USE_AFTER = timedelta(hours=1)
_TOKEN = re.compile(r"[\w-]+", re.ASCII)


@dataclass(frozen=True)
class KnownKeys:
    """All keys there are, the invalid ones too, by id."""

    by_id: Mapping[str, ApiKey]

    def find(self, presented: str, now: datetime) -> ApiKey | None:
        """The valid key that was presented as `ps_<id>_<secret>`; None if it is none."""
        if (parts := split_key(presented)) is None:
            return None
        key = self.valid(parts[0], now)
        return key if key is not None and is_secret_of(key, parts[1]) else None

    def valid(self, key_id: str, now: datetime) -> ApiKey | None:
        """The key of that id, if it is neither revoked nor expired."""
        key = self.by_id.get(key_id)
        return key if key is not None and key.is_valid(now) else None

    def can_administer(self, now: datetime) -> bool:
        """Whether there is a valid key with the scope admin."""
        return any(k.is_valid(now) and Scope.ADMIN in k.scopes for k in self.by_id.values())


class KeyRing:
    """Looks up keys and sessions. Thread-safe.

    While the store does not answer, the last copy is used: keys cannot be revoked and sessions
    cannot be closed then either.
    """

    def __init__(self, store: KeyStore, clock: Callable[[], datetime]) -> None:
        self.store = store
        self._clock = clock
        self._known: KnownKeys | None = None
        self._read_at = -math.inf
        self._reading = threading.Lock()
        self._is_store_away = False
        self._sessions: dict[str, str] = {}
        """Key ids by the token's hash, for a store that is away; the one seen last is last."""
        self._remembering = threading.Lock()

    def fresh(self) -> KnownKeys | None:
        """What was read within the last `FRESH_S`; None if it has to be read. Never waits."""
        return self._known if time.monotonic() - self._read_at < FRESH_S else None

    def read(self) -> KnownKeys:
        """What is known, read again where it is not fresh.

        Raises:
            Unavailable: the store does not answer, and nothing was read before.
        """
        # While the store is away, one waits for it; the others go on with what is known.
        if self._known is not None and self._is_store_away and self._reading.locked():
            return self._known
        with self._reading:
            if (known := self.fresh()) is not None:
                return known
            try:
                known = KnownKeys({key.key_id: key for key in self.store.all()})
            except Unavailable:
                if self._known is None:
                    raise
                known = self._known
                self._note_store(is_away=True)
            else:
                self._note_store(is_away=False)
            self._known, self._read_at = known, time.monotonic()
            return known

    def add_first(self, key: ApiKey) -> None:
        """Add a key, if somebody can administer the server with it or another one.

        Raises:
            InvalidInput: nobody could: as soon as there is a key, every call needs one.
        """
        now = self._clock()
        others = KnownKeys({other.key_id: other for other in self.store.all()})
        if Scope.ADMIN not in key.scopes and not others.can_administer(now):
            raise InvalidInput(
                "There is no valid key of the scope admin, so with this key nobody could "
                "administer the server. Make one first: petsearch keys create --name admin "
                "--scope admin"
            )
        self.add(key)

    def add(self, key: ApiKey) -> None:
        """Store a new key, valid here at once."""
        self.store.add(key)
        self._forget()

    def revoke(self, key_id: str) -> None:
        """Make a key invalid, here at once.

        Raises:
            NotFound: there is no such key.
        """
        self.store.revoke(key_id, self._clock())
        self._forget()

    def is_use_to_be_noted(self, key: ApiKey) -> bool:
        """Whether the store has no use of this key within the last hour."""
        last = key.last_used_at
        return last is None or self._clock() - last >= NOTE_USE_AFTER

    def note_use(self, key: ApiKey) -> None:
        """Record the use of a key in the store, to the hour."""
        now = self._clock().replace(minute=0, second=0, microsecond=0)
        try:
            self.store.note_use(key.key_id, now)
        except Unavailable:
            return  # it is noted with a later request
        self._forget()

    def open_session(self, key: ApiKey, for_s: float) -> str:
        """Begin a session of a key; its token, of which only a hash is kept."""
        token = secrets.token_urlsafe(32)
        self.store.open_session(hash_secret(token), key.key_id, for_s)
        return token

    def key_of_session(self, token: str) -> ApiKey | None:
        """The valid key that a session was opened with; None if there is no such session.

        Raises:
            Unavailable: the store does not answer, and the session was not seen here before.
        """
        return self._key_of(hash_secret(token)) if _TOKEN.fullmatch(token) else None

    def open_ticket(self, key: ApiKey, purpose: str) -> str:
        """A token that stands for a key where `purpose` is asked for, for `TICKET_S`."""
        token = secrets.token_urlsafe(32)
        self.store.open_session(_hash_ticket(token, purpose), key.key_id, TICKET_S)
        return token

    def key_of_ticket(self, token: str, purpose: str) -> ApiKey | None:
        """The valid key that a ticket stands for; None if it has ended, or is for something else.

        Raises:
            Unavailable: the store does not answer, and the ticket was not seen here before.
        """
        return self._key_of(_hash_ticket(token, purpose))

    def _key_of(self, token_hash: str) -> ApiKey | None:
        try:
            key_id = self.store.session_key_id(token_hash)
        except Unavailable:
            if token_hash not in self._sessions:
                raise
            key_id = self._sessions[token_hash]
        else:
            self._remember_session(token_hash, key_id)
        return None if key_id is None else self.read().valid(key_id, self._clock())

    def close_session(self, token: str) -> None:
        """End a session."""
        self.store.close_session(hash_secret(token))
        self._remember_session(hash_secret(token), None)

    def _remember_session(self, token_hash: str, key_id: str | None) -> None:
        with self._remembering:
            self._sessions.pop(token_hash, None)
            if key_id is not None:
                self._sessions[token_hash] = key_id
            if len(self._sessions) > _MAX_SESSIONS:
                del self._sessions[next(iter(self._sessions))]

    def _forget(self) -> None:
        with self._reading:  # else what is just being read, from before, would count as fresh
            self._read_at = -math.inf

    def _note_store(self, *, is_away: bool) -> None:
        if is_away and not self._is_store_away:
            log.warning("key store unavailable; using the last copy")
        elif self._is_store_away and not is_away:
            log.info("key store available again")
        self._is_store_away = is_away


def _hash_ticket(token: str, purpose: str) -> str:
    """Of a text that no session has as its token, so that neither opens what the other does."""
    return hash_secret(f"{purpose} {token}")
