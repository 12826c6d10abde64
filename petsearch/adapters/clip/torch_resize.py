"""Resizing with torch's vectorised kernel, which came from Pillow-SIMD.

About four times as fast as Pillow; 0.38 % of the values differ, by at most 2 of 255
(`python -m bench.decisions.resizing`, ADR 33). For processes that load torch anyway.
"""

import numpy as np
import torch
from PIL import Image

from petsearch.domain import Interpolation, Pixels
from petsearch.observability import get_logger
from petsearch.photos import Resize, resize_with_pillow
from petsearch.photos.preprocessing import Box, Size

log = get_logger(__name__)

_VECTORISED = ("AVX2", "AVX512")
_MOST_PIXELS = 4_000_000
"""Larger pictures would take too much memory: torch works on a copy."""


def fastest_resize() -> Resize:
    """torch's where this processor runs its vectorised kernel, else Pillow's; logs which one."""
    capability = torch.backends.cpu.get_cpu_capability()
    resize = resize_for(capability)
    by = "torch" if resize is resize_with_torch else "Pillow"
    log.info("resize kernel chosen", by=by, cpu_capability=capability)
    return resize


def resize_for(capability: str) -> Resize:
    """`fastest_resize` for what torch calls the processor's capability."""
    return resize_with_torch if capability in _VECTORISED else resize_with_pillow


def resize_with_torch(
    picture: Image.Image, size: Size, box: Box, interpolation: Interpolation
) -> Pixels:
    """`Resize` by `torch.nn.functional.interpolate` on bytes."""
    if picture.width * picture.height > _MOST_PIXELS:
        return resize_with_pillow(picture, size, box, interpolation)
    # The kernel requires it: channels last in memory, first in the shape.
    channels_last = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(
        channels_last, size=size[::-1], mode=interpolation, antialias=True
    )
    left, top, right, bottom = box
    # numpy copies in this thread; torch would call its whole team for it.
    return np.ascontiguousarray(resized[0, :, top:bottom, left:right].numpy())
