"""ETags of JSON answers, and the conditions that requests make of them (RFC 9110, 13)."""

import hashlib

from pydantic import BaseModel

from petsearch.domain.errors import Outdated


def etag_of(body: BaseModel) -> str:
    """A strong ETag: it changes whenever the answer does."""
    return f'"{hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32]}"'


def is_named(header: str, etag: str) -> bool:
    """Whether an `If-Match` or `If-None-Match` header names `etag`, weakly or not, or is `*`."""
    named = [word.strip().removeprefix("W/") for word in header.split(",")]
    return etag in named or "*" in named


def check_if_match(header: str | None, body: BaseModel) -> None:
    """Refuse a change of something that the caller has not seen as it is now.

    Raises:
        Outdated: `If-Match` names another state.
    """
    if header is not None and not is_named(header, etag_of(body)):
        raise Outdated("It was changed since you read it; read it again and repeat your change.")
