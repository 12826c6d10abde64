"""API keys and their scopes. Only a hash of a key's secret is stored."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from petsearch.domain.errors import InvalidInput

MAX_NAME = 100
MAX_ORIGINS = 20
_WHITE_SPACE = " \t\r\n\v\f\0\xa0\u2028\u2029"
_ZERO_WIDTH = "\u200b\u200e\u200f\u2060\ufeff"
_QUOTES = "\"'`\xab\xb4\xbb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a"
_AROUND = _WHITE_SPACE + _ZERO_WIDTH + _QUOTES
"""What editors, shells and chat programs leave around a key."""
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?")
_KEY = re.compile(r"ps_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key permits. `admin` includes all other scopes; no other scope includes another."""

    SEARCH = "search"
    PLACES = "places"
    """Exact places, and originals, which may hold them. Without it places are cells of a grid."""
    INGEST = "ingest"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True)
class ApiKey:
    """A stored key: everything but its secret."""

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    secret_hash: str = field(repr=False)
    """SHA-256 of the secret, in hex."""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """Rounded to the hour, so that not every request causes a write."""
    revoked_at: datetime | None = None
    origins: tuple[str, ...] = ()
    """Of the sites whose pages hold the key, where everybody can read it; empty for other keys."""

    @property
    def is_published(self) -> bool:
        """Whether everybody can read the key, so that who shows it is a visitor like others."""
        return bool(self.origins)

    def allows(self, scope: Scope) -> bool:
        """Whether the key permits `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_valid(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class NewKey:
    """A key that was just created: what is stored, and the secret that is shown once."""

    kept: ApiKey
    secret: str = field(repr=False)
    """The whole key, `ps_<id>_<secret>`."""


def is_origin(text: str) -> bool:
    """Whether it is an origin as browsers send it, such as `https://shelter.example`."""
    return _ORIGIN.fullmatch(text) is not None


def make_key(
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    *,
    expires_at: datetime | None = None,
    origins: Iterable[str] = (),
) -> NewKey:
    """Create a key with a secret of 32 random bytes.

    Args:
        origins: of the sites whose pages hold the key; it is refused from others.

    Raises:
        InvalidInput: the name is empty or too long, there is no scope, the expiry is past, an
            origin is malformed, or a key bound to origins has other scopes than search.
    """
    name, scopes = name.strip(), frozenset(scopes)
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"Give the key a name of 1 to {MAX_NAME} printable characters.")
    if not scopes:
        raise InvalidInput(f"Give the key at least one scope: {', '.join(Scope)}.")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("The key would be expired already; give a later time.")
    origins = tuple(dict.fromkeys(origins))
    _check_origins(origins, scopes)
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    kept = ApiKey(key_id, name, scopes, now, hash_secret(secret), expires_at, origins=origins)
    return NewKey(kept, f"ps_{key_id}_{secret}")


def _check_origins(origins: tuple[str, ...], scopes: frozenset[Scope]) -> None:
    for origin in origins:
        if not is_origin(origin):
            raise InvalidInput(
                f"{origin[:200]!r} is not an origin such as https://shelter.example, without a "
                "slash at the end."
            )
    if len(origins) > MAX_ORIGINS:
        raise InvalidInput(f"A key has at most {MAX_ORIGINS} origins.")
    if origins and scopes != {Scope.SEARCH}:
        raise InvalidInput("A key bound to origins is public, so its only scope is search.")


def trim_key(text: str) -> str:
    """A key without the white space, byte order marks and quotes around it."""
    return text.strip(_AROUND)


def split_key(presented: str) -> tuple[str, str] | None:
    """Id and secret of a presented key; None if it is malformed."""
    match = _KEY.fullmatch(trim_key(presented))
    return (match[1], match[2]) if match else None


def hash_secret(secret: str) -> str:
    """SHA-256 in hex.

    A fast hash is enough, since 256 random bits cannot be guessed. Slow hashes (bcrypt, argon2) are
    for passwords, which can be, and would cost every request milliseconds.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(key: ApiKey, secret: str) -> bool:
    """Whether `secret` belongs to `key`, compared in constant time."""
    return hmac.compare_digest(hash_secret(secret), key.secret_hash)
