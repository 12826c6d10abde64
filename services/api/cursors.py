"""Cursors of lists: opaque, safe in URLs, and bound to the list they belong to."""

import base64
import binascii
import hashlib

from petsearch.domain import Filters
from petsearch.domain.errors import InvalidInput

_VERSION = b"\x02"
_DIGEST_BYTES = 6
_OLD_MARKS = frozenset("|.")
"""Neither is in base64url. Cursors of before have one, and are still read for one release."""


def seal(place: str | None, *of: object) -> str | None:
    """The cursor for `place` in a list; None at its end.

    Args:
        of: what tells the list from others, such as its order and filters.
    """
    if place is None:
        return None
    raw = _VERSION + _digest(of) + place.encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unseal(cursor: str | None, *of: object) -> str | None:
    """The place that a cursor of `seal` stands for.

    Raises:
        InvalidInput: it is no cursor of this server, or one of another list.
    """
    if cursor is None or _OLD_MARKS & set(cursor):
        return cursor
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, digest, place = raw[:1], raw[1 : 1 + _DIGEST_BYTES], raw[1 + _DIGEST_BYTES :]
        if version != _VERSION:
            raise ValueError("another version")
        if digest != _digest(of):
            raise InvalidInput(
                "The cursor belongs to another order or other filters; start without a cursor."
            )
        return place.decode()
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("The cursor is not valid; start without a cursor.") from error


def _digest(of: tuple[object, ...]) -> bytes:
    parts = [part.in_order() if isinstance(part, Filters) else part for part in of]
    return hashlib.sha256(repr(parts).encode()).digest()[:_DIGEST_BYTES]
