"""Pages of ranked results: a walk shows nothing twice, whatever is added or deleted meanwhile.

A cursor names what was shown, by short hashes, with the model and the question it belongs to. Each
page ranks again and leaves out what was shown, so a result that moved up since is not lost.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from petsearch.domain import Hit
from petsearch.domain.errors import Conflict, InvalidInput

MAX_DEPTH = 1000
"""Results of one walk. Whoever wants more wants filters, or the list."""
_MAX_FETCHED = 10_000
"""Photos ranked for one page of groups."""
_GROUP_FACTOR = 4
_HASH_BYTES = 5
"""Of 1,000 shown results: one other photo in a billion is taken for one of them."""
_DIGEST_BYTES = 6
_VERSION = b"\x01"


class Rank(Protocol):
    """Ranks the photos for one query."""

    def __call__(self, *, limit: int) -> Sequence[Hit]:
        """Return the `limit` best hits, best first."""


@dataclass(frozen=True)
class Page:
    """Some hits of a walk."""

    hits: Sequence[Hit]
    next_cursor: str | None
    best: Hit | None
    """The best of all hits, shown or not; None where there are none."""


@dataclass(frozen=True)
class Walk:
    """How far a walk has come, and which walk it is."""

    model_id: str
    question: bytes
    """Six bytes: see `queries.digest_of`."""
    shown: tuple[bytes, ...] = ()

    def to_cursor(self) -> str:
        """Some 7 characters for each result shown."""
        name = self.model_id.encode()
        raw = _VERSION + bytes([len(name)]) + name + self.question + b"".join(self.shown)
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def resume(cursor: str | None, model_id: str, question: bytes) -> Walk:
    """The walk that `cursor` goes on with, or a new one.

    Raises:
        InvalidInput: this server did not write the cursor, or it belongs to another question.
        Conflict: the photos are ranked by another model since; scores of two models do not mix.
    """
    if cursor is None:
        return Walk(model_id, question)
    walk = _read(cursor)
    if walk.model_id != model_id:
        raise Conflict(
            f"The cursor is of the model {walk.model_id}; {model_id} ranks the photos now. "
            "Start again without a cursor."
        )
    if walk.question != question:
        raise InvalidInput("The cursor belongs to another search; start without a cursor.")
    return walk


def next_page(rank: Rank, walk: Walk, limit: int, *, by_animal: bool) -> Page:
    """At most `limit` hits that `walk` has not shown."""
    key = _animal_of if by_animal else _id_of
    room = min(limit, MAX_DEPTH - len(walk.shown))
    fetched = (len(walk.shown) + room + 1) * (_GROUP_FACTOR if by_animal else 1)
    while True:
        fetched = min(fetched, _MAX_FETCHED)
        hits = rank(limit=fetched)
        fresh = _unshown(hits, set(walk.shown), key)
        if len(fresh) > room or len(hits) < fetched or fetched == _MAX_FETCHED:
            break
        fetched *= 2
    shown = (*walk.shown, *(mark for _, mark in fresh[:room]))
    is_last = len(fresh) <= room or len(shown) >= MAX_DEPTH
    following = None if is_last else replace(walk, shown=shown).to_cursor()
    return Page(
        [hit for hit, _ in fresh[:room]],
        following,
        max(hits, key=lambda hit: hit.score, default=None),
    )


def best_of_animals(hits: Iterable[Hit]) -> list[Hit]:
    """The first hit of each animal; a photo without an animal stands for itself."""
    return [hit for hit, _ in _unshown(hits, set(), _animal_of)]


def _unshown(
    hits: Iterable[Hit], shown: set[bytes], key: Callable[[Hit], str]
) -> list[tuple[Hit, bytes]]:
    fresh = []
    for hit in hits:
        mark = hashlib.sha256(key(hit).encode()).digest()[:_HASH_BYTES]
        if mark not in shown:
            shown.add(mark)
            fresh.append((hit, mark))
    return fresh


def _id_of(hit: Hit) -> str:
    return hit.record.image_id


def _animal_of(hit: Hit) -> str:
    animal_id = hit.record.metadata.animal_id
    return f"animal {animal_id}" if animal_id else hit.record.image_id


def _read(cursor: str) -> Walk:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        length = raw[1]
        name, rest = raw[2 : 2 + length].decode(), raw[2 + length :]
        question, marks = rest[:_DIGEST_BYTES], rest[_DIGEST_BYTES:]
        if raw[:1] != _VERSION or len(name) < 1 or len(question) < _DIGEST_BYTES:
            raise ValueError("wrong shape")
        if len(marks) % _HASH_BYTES or len(marks) > MAX_DEPTH * _HASH_BYTES:
            raise ValueError("wrong length")
    except (ValueError, IndexError, binascii.Error) as error:
        raise InvalidInput(
            "The cursor is not one this server gave out; start without a cursor."
        ) from error
    shown = tuple(marks[at : at + _HASH_BYTES] for at in range(0, len(marks), _HASH_BYTES))
    return Walk(name, question, shown)
