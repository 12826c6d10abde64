"""Pictures in terminals: which terminal is sent what, and that it is the picture."""

import io
import re
from base64 import b64decode
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops

from petsearch.cli.photos.thumbnails import iterm2, kitty, protocol_of
from tests import pictures

JPEG = pictures.jpeg(91_000)


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, kitty),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, kitty),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, iterm2),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, iterm2),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "tmux", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
    ],
)
def test_terminals_are_known_by_their_names(
    environment: dict[str, str], protocol: Callable[[bytes], str] | None
) -> None:
    assert protocol_of(environment) is protocol


def test_iterm2_is_sent_the_file() -> None:
    sent = re.fullmatch(
        r"\x1b\]1337;File=inline=1;height=5;size=(\d+):([\w+/=]+)\x07", iterm2(JPEG)
    )
    assert sent is not None
    assert (int(sent[1]), b64decode(sent[2])) == (len(JPEG), JPEG)


def test_kitty_is_sent_a_png_in_chunks() -> None:
    chunks = re.findall(r"\x1b_G([^;]*);([\w+/=]*)\x1b\\", kitty(JPEG))
    keys, data = zip(*chunks, strict=True)
    assert len(chunks) > 1
    assert keys == ("a=T,f=100,r=5,m=1", *["m=1"] * (len(keys) - 2), "m=0")
    assert max(map(len, data)) <= 4096
    png = Image.open(io.BytesIO(b64decode("".join(data))))
    assert png.format == "PNG"
    assert not ImageChops.difference(png, Image.open(io.BytesIO(JPEG))).getbbox()
