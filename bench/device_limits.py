"""Upper limits of an embedder other than the model: the device's arithmetic, and the network."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

_TRIES = 5
_SIDE = {"cpu": 2048, "cuda": 8192}
"""Of the square matrices: large enough to keep the device busy, small enough for its caches."""


def device_name(device: str) -> str:
    """Name of the GPU, or `cpu` with the number of cores."""
    import torch

    if device == "cpu":
        return f"cpu, {torch.get_num_threads()} threads"
    return torch.cuda.get_device_name(device)


def flops_per_image(clip: "OpenClipModel") -> int:
    """Floating-point operations (a multiply-add counts two) of encoding one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    spec = clip.info.pixel_spec
    pixels = np.zeros((1, 3, spec.height, spec.width), np.uint8)
    # Fused attention is one operation that the counter does not know.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter:
            clip.encode_pixels(pixels)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    return int(counter.get_total_flops())


def most_flops_per_s(device: str, precision: str) -> float:
    """Throughput of a large matrix product in this precision: the practical limit."""
    import torch

    from petsearch.adapters.clip.inference_tuning import dtype_of

    side = _SIDE[torch.device(device).type]
    some = torch.rand((side, side), device=device).to(dtype_of(precision))

    def multiply() -> None:
        torch.mm(some, some)
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)

    multiply()
    return 2.0 * side**3 / min(_seconds(multiply) for _ in range(_TRIES))


def _seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
