"""Pictures in terminals that show them: kitty's graphics protocol, and iTerm2's inline images.

Sources: https://sw.kovidgoyal.net/kitty/graphics-protocol and
https://iterm2.com/documentation-images.html
"""

import io
from base64 import standard_b64encode
from collections.abc import Callable, Iterator, Mapping

_ROWS = 5
"""Height of a picture in lines of text."""
_CHUNK = 4096
"""The most characters of one of kitty's escape sequences."""

Protocol = Callable[[bytes], str]


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """How the terminal that the environment names is sent a picture; None if it shows none.

    What multiplexers such as tmux run in has another name in there, and they pass no pictures on.
    """
    if environment.get("TERM") in ("xterm-kitty", "xterm-ghostty"):
        return kitty
    if environment.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm"):
        return iterm2
    return None


def iterm2(jpeg: bytes) -> str:
    """What makes iTerm2 and WezTerm show a picture."""
    return f"\x1b]1337;File=inline=1;height={_ROWS};size={len(jpeg)}:{_base64(jpeg)}\x07"


def kitty(jpeg: bytes) -> str:
    """What makes kitty and Ghostty show a picture, which they read as PNG."""
    return "".join(_kitty_chunks(_base64(_as_png(jpeg))))


def _kitty_chunks(data: str) -> Iterator[str]:
    for start in range(0, len(data), _CHUNK):
        keys = f"a=T,f=100,r={_ROWS}," if start == 0 else ""
        has_more = int(start + _CHUNK < len(data))
        yield f"\x1b_G{keys}m={has_more};{data[start : start + _CHUNK]}\x1b\\"


def _as_png(jpeg: bytes) -> bytes:
    from PIL import Image

    png = io.BytesIO()
    with Image.open(io.BytesIO(jpeg)) as picture:
        picture.save(png, "PNG")
    return png.getvalue()


def _base64(data: bytes) -> str:
    return standard_b64encode(data).decode()
