"""What decoding holds in memory: never more than was charged for it."""

import io
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from petsearch.photos import Budget
from petsearch.photos.copies import DISPLAY_SIDE
from petsearch.photos.decode_memory import bytes_to_decode, smallest_size
from petsearch.photos.opening import register_formats
from tests import pictures
from tests.decoding import decoders

SLACK_BYTES = 24_000_000
"""Strips that are being converted, the file itself, code that is loaded when it is first used."""

# Prints by how many bytes decoding and making the copies raised the peak of this process.
_MEASURE = """
import re, sys
from pathlib import Path
from PIL import AvifImagePlugin
from petsearch.photos import copies, decode, opening
def memory(name):
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(name + r":\\s+(\\d+)", status)[1])
opening.register_formats()
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
data = Path(sys.argv[1]).read_bytes()
before = memory("VmRSS")
copies.copies_of(decode.decode(data, opening.ImageLimits()).picture)
print(memory("VmHWM") - before)
"""


def grey_16(width: int, height: int) -> bytes:
    """A 16-bit grey PNG."""
    values = np.arange(width * height, dtype=np.uint32).astype(np.uint16).reshape(height, width)
    return pictures.encoded(Image.fromarray(values), "PNG", compress_level=1)


def jpeg(**options: object) -> bytes:
    """24 megapixels."""
    return pictures.encoded(pictures.noise(6000, 4000), "JPEG", **options)


def heic() -> bytes:
    """6 megapixels."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(pictures.noise(3000, 2000)).save(buffer, quality=30)
    return buffer.getvalue()


def animation(kind: str, **options: object) -> bytes:
    """6 megapixels, three times: blank, blank in another colour, and a picture."""
    size = (3000, 2000)
    rest = [Image.new("RGB", size, (0, 0, 99)), pictures.noise(*size)]
    return pictures.encoded(
        Image.new("RGB", size), kind, save_all=True, append_images=rest, **options
    )


MAKERS = {
    "RGBA PNG of 100 megapixels": lambda: pictures.clear_png(10_000, 10_000),
    "16-bit PNG": lambda: grey_16(6000, 4000),
    "baseline JPEG": jpeg,
    "progressive JPEG 4:4:4": lambda: jpeg(progressive=True, subsampling=0),
    "progressive JPEG 4:2:0": lambda: jpeg(progressive=True, subsampling=2),
    "upright JPEG": lambda: pictures.encoded(pictures.noise(3000, 4000)),
    "WebP": lambda: pictures.encoded(pictures.noise(4000, 3000), "WEBP", method=0),
    "TIFF in one strip": lambda: pictures.encoded(
        pictures.noise(5000, 4500), "TIFF", compression="tiff_lzw", strip_size=70_000_000
    ),
    "HEIC": heic,
    "AVIF": lambda: pictures.encoded(pictures.noise(3000, 2000), "AVIF", speed=10, quality=20),
    "AVIF, animated": lambda: animation("AVIF", speed=10),
    "GIF, animated": lambda: animation("GIF"),
    "PNG, animated": lambda: animation("PNG"),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_decoding_takes_no_more_than_is_charged(make: Callable[[], bytes], tmp_path: Path) -> None:
    data = make()
    file = tmp_path / "picture"
    file.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(file)], check=True, stdout=subprocess.PIPE, text=True
    )
    assert int(done.stdout) <= _charged(data) + SLACK_BYTES
    decoded = decoders().copies(data)
    assert decoded.width * decoded.height >= 6_000_000


def _charged(data: bytes) -> int:
    register_formats()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        header = Image.open(io.BytesIO(data))
    declared = header.size
    header.draft(None, smallest_size(declared, DISPLAY_SIDE))
    return bytes_to_decode(header, declared, DISPLAY_SIDE)


def test_a_sequential_jpeg_of_several_scans_is_charged_for_its_coefficients() -> None:
    whole = pictures.encoded(pictures.noise(640, 480), "JPEG", subsampling=0)
    header = re.search(rb"\xff\xda\x00\x0c\x03.{9}", whole, re.DOTALL)
    assert header
    one_by_one = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    several = whole[: header.start()] + one_by_one + whole[header.end() :]
    assert _charged(several) == _charged(whole) + 640 * 480 * 3 * 2


def test_a_jpeg_that_says_nothing_is_sampled_does_not_break_the_estimate() -> None:
    data = pictures.encoded(pictures.noise(64, 64), "JPEG", progressive=True)
    start = data.index(b"\xff\xc2") + 10
    header = bytearray(data)
    for component in range(3):
        header[start + 3 * component + 1] = 0
    assert _charged(bytes(header)) > 0


def test_a_budget_makes_big_things_take_turns() -> None:
    budget = Budget(10)
    with budget.spend(8):
        waiting = _in_thread(budget, 5)
        assert not waiting.wait(0.05)
    assert waiting.wait(5)


def test_small_things_do_not_overtake_a_big_one() -> None:
    budget = Budget(10)
    with budget.spend(5):
        big = _in_thread(budget, 8)
        assert not big.wait(0.1)
        small = _in_thread(budget, 1)
        assert not small.wait(0.1)
    assert big.wait(5)
    assert small.wait(5)


def test_what_is_over_the_whole_budget_still_passes_alone() -> None:
    budget = Budget(10)
    with budget.spend(1000):
        waiting = _in_thread(budget, 1)
        assert not waiting.wait(0.05)
    assert waiting.wait(5)


def _in_thread(budget: Budget, amount: float) -> threading.Event:
    begun, passed = threading.Event(), threading.Event()

    def spend() -> None:
        begun.set()
        with budget.spend(amount):
            passed.set()

    threading.Thread(target=spend, daemon=True).start()
    assert begun.wait(5)
    return passed
