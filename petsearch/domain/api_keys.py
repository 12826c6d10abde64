"""API keys: who may do what. A key is shown once; what is kept of it cannot be turned back."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from petsearch.domain.errors import InvalidInput, unknown_choice

MAX_NAME = 100
_KEY = re.compile(r"ps_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key is good for. `admin` includes the others; no other includes another."""

    SEARCH = "search"
    INGEST = "ingest"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True)
class ApiKey:
    """What is kept of a key: everything but its secret."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    secret_hash: str = field(repr=False)
    """SHA-256 of the secret, in hex."""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the hour: more would be a write for every request."""
    revoked_at: datetime | None = None

    def allows(self, scope: Scope) -> bool:
        """Whether it is good for `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class NewKey:
    """A key just made: what is kept, and what its owner gets to see once."""

    kept: ApiKey
    secret: str = field(repr=False)
    """The whole key, `ps_<id>_<secret>`."""


def make_key(
    name: str, scopes: Iterable[Scope], now: datetime, *, expires_at: datetime | None = None
) -> NewKey:
    """A key with 32 random bytes of secret.

    Raises:
        InvalidInput: the name is empty or too long, there is no scope, or it has expired already.
    """
    name, scopes = name.strip(), frozenset(scopes)
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"Give the key a name of 1 to {MAX_NAME} printable characters.")
    if not scopes:
        raise InvalidInput(f"Give the key at least one scope: {', '.join(Scope)}.")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("The key would have expired already; give a later time.")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    kept = ApiKey(key_id, name, scopes, now, hash_secret(secret), expires_at)
    return NewKey(kept, f"ps_{key_id}_{secret}")


def parse_scope(name: str) -> Scope:
    """The scope of that name.

    Raises:
        InvalidInput: there is none; the accepted ones are listed.
    """
    try:
        return Scope(name)
    except ValueError:
        raise unknown_choice("scope", name, Scope) from None


def split_key(presented: str) -> tuple[str, str] | None:
    """Id and secret of a presented key; None where it has not the form of one."""
    match = _KEY.fullmatch(presented)
    return (match[1], match[2]) if match else None


def hash_secret(secret: str) -> str:
    """SHA-256 in hex.

    One fast hash is enough: a secret of 256 random bits cannot be found by trying. Slow hashes
    (bcrypt, argon2) are for passwords, which can, and would cost every request milliseconds.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(key: ApiKey, secret: str) -> bool:
    """Whether `secret` belongs to `key`, in a time that does not depend on where they differ."""
    return hmac.compare_digest(hash_secret(secret), key.secret_hash)
