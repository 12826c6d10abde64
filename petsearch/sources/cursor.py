"""Cursors of sources that are a few numbers: short strings, checked when they come back."""

from petsearch.domain.errors import InvalidInput

END = "end"
"""The cursor of a source of which nothing more will be read."""


def pack(*numbers: int) -> str:
    """Numbers of 0 and above as one short string."""
    return ":".join(str(number) for number in numbers)


def unpack(cursor: str, count: int) -> tuple[int, ...]:
    """The `count` numbers of a cursor.

    Raises:
        InvalidInput: `cursor` was not made by `pack` with so many numbers.
    """
    parts = cursor.split(":")
    if len(parts) != count or not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidInput(f"{cursor[:80]!r} is no cursor of this source.")
    return tuple(int(part) for part in parts)
