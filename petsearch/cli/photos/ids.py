"""Ids of images as people give them: in full, or their beginning."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from petsearch.client import Client

SHOWN_CHARACTERS = 8
"""Of an id on a terminal. Among a million photos one in 4,000 shares them with another."""
_DIGITS = 32
_SHORT = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}", re.IGNORECASE)
_UNLIKE_WORDS = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}", re.IGNORECASE)
"""No shorter, because words such as "faded" consist of hexadecimal digits."""

ImageId = Annotated[str, typer.Argument(help="As listed, or its first 4 characters or more.")]


def may_be_an_id(given: str) -> bool:
    """Whether an id can begin with this."""
    return _SHORT.fullmatch(given) is not None


def may_be_words(given: str) -> bool:
    """Whether this may be words, where both these and ids are accepted."""
    return _UNLIKE_WORDS.fullmatch(given) is None


def find_id(client: "Client", given: str) -> str:
    """The id that begins with `given`; one in full is not looked up.

    Raises:
        InvalidInput: it is no beginning of an id, or of several.
        NotFound: no image has such an id.
    """
    from petsearch.domain.errors import InvalidInput, NotFound

    if not may_be_an_id(given):
        raise InvalidInput(f"{given!r} is no id of an image, nor the first 4 characters of one.")
    if len(given.replace("-", "")) == _DIGITS:
        return given
    found = client.image_ids(given)
    if not found:
        raise NotFound(f"There is no image {given}.")
    if len(found) > 1:
        raise InvalidInput(f"Several images' ids begin with {given}: {', '.join(found)}.")
    return found[0]
