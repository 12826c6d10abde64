"""What a process that decodes and its parent tell each other: JSON, checked by both.

No pickles: a process that a file has taken over could run code in its parent with one.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from petsearch.domain import ItemWarning, PixelSpec
from petsearch.domain.capture import Capture
from petsearch.photos.opening import ImageLimits

READY = b"ready"
GRANTED = b"granted"
MOST_BYTES = 1 << 20
"""Of a message; pixels and files go through shared files."""
LARGE_BYTES = 8_000_000
"""A larger file is mapped into memory by what decodes it, not copied."""


@dataclass(frozen=True)
class Order:
    """Decode a file: what `decode` takes, and what to make of the picture."""

    size: int
    """Of the encoded file, in bytes."""
    sends_file: bool
    """Whether its descriptor follows; if not, it is in the shared file for input."""
    limits: ImageLimits
    at_least: int
    pixels: PixelSpec | None
    """Of the model that reads the picture; None: no pixels are wanted."""
    display_side: int | None
    """Of the display copy, in pixels; None: no copies are wanted."""


@dataclass(frozen=True)
class Needs:
    """Decoding takes so much memory: the parent answers `GRANTED` once there is room."""

    needs_bytes: int


@dataclass(frozen=True)
class Answer:
    """What a file declares. The shared file for output holds what was made of its picture."""

    width: int
    height: int
    content_type: str
    warnings: tuple[ItemWarning, ...]
    capture: Capture
    lengths: tuple[int, ...]
    """Bytes of the pixels `(3, height, width)`, if wanted, then of the display copy, the thumbnail
    and the grey pixels, if wanted."""


@dataclass(frozen=True)
class Refusal:
    """There is no picture, for this reason."""

    because: Literal["too_large", "not_an_image", "failed"]
    """`failed`: by a defect of the program, not of the file."""
    detail: str


Reply = Needs | Answer | Refusal

ORDER: TypeAdapter[Order] = TypeAdapter(Order)
REPLY: TypeAdapter[Reply] = TypeAdapter(Reply)
