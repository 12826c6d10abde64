"""Cursors that consist of a few numbers, as short strings."""

from petsearch.domain.errors import InvalidInput

END = "end"
"""The cursor of a source that is not read any further."""


def pack(*numbers: int) -> str:
    """Join non-negative numbers into a cursor."""
    return ":".join(str(number) for number in numbers)


def unpack(cursor: str, count: int) -> tuple[int, ...]:
    """Split a cursor into its `count` numbers.

    Raises:
        InvalidInput: `cursor` was not made by `pack` with `count` numbers.
    """
    parts = cursor.split(":")
    if len(parts) != count or not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidInput(f"{cursor[:80]!r} is not a cursor of this source.")
    return tuple(int(part) for part in parts)
