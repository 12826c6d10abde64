"""Makes a loaded CLIP fast on its device, and checks that its embeddings stay the same."""

import copy
import timeit
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from petsearch.adapters.clip.batch_norm_folding import fold_batch_norms
from petsearch.domain import PixelSpec, Precision
from petsearch.observability import get_logger

log = get_logger(__name__)

_MIN_FOLDED_AGREEMENT = 0.9999
_MIN_AGREEMENT = 0.999
"""A faster precision is taken only if its embeddings have this cosine to fp32's."""
_MIN_SPEED_UP = 1.2
"""And if it is so much faster: scores would change with a restart if noise chose."""


def dtype_of(precision: str) -> torch.dtype:
    """The type of weights and activations that a precision stands for."""
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def tune_for_inference(
    module: nn.Module, spec: PixelSpec, device: torch.device, precision: Precision | None = None
) -> tuple[nn.Module, Precision]:
    """The module on `device`, as fast as it gets there with the same embeddings.

    Batch norms are folded, and bf16 (fp16 where the device lacks it) is taken if it is clearly
    faster than fp32, unless `precision` is given. Channels-last memory is 1.7 times as fast for
    convolutions on the CPU and costs a ViT nothing.
    """
    module = cast(nn.Module, module.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]  # torch's stub lacks memory_format with a device
    probe = _probe(spec).to(device, memory_format=torch.channels_last)
    folded = _fold(module, probe)
    if precision is None:
        return _choose_precision(folded, probe)
    return folded.to(dtype_of(precision)), precision


def _probe(spec: PixelSpec) -> torch.Tensor:
    return torch.rand((8, 3, spec.height, spec.width), generator=torch.Generator().manual_seed(0))


def _fold(module: nn.Module, probe: torch.Tensor) -> nn.Module:
    if not any(isinstance(part, nn.BatchNorm2d) for part in module.modules()):
        return module
    folded = fold_batch_norms(module, lambda copied: _embed(copied, probe[:1]))
    agreement = _agreement(_embed(module, probe), _embed(folded, probe))
    taken = agreement >= _MIN_FOLDED_AGREEMENT
    log.info("batch norms folded", taken=taken, agreement=round(agreement, 6))
    return folded if taken else module


def _choose_precision(module: nn.Module, probe: torch.Tensor) -> tuple[nn.Module, Precision]:
    on_old_gpu = probe.device.type == "cuda" and not torch.cuda.is_bf16_supported()
    low: Precision = "fp16" if on_old_gpu else "bf16"
    reduced = copy.deepcopy(module).to(dtype_of(low))
    full_s, full = _time_images(module, probe)
    reduced_s, low_embeddings = _time_images(reduced, probe.to(dtype_of(low)))
    agreement = _agreement(full, low_embeddings)
    take_low = _MIN_SPEED_UP * reduced_s < full_s and agreement >= _MIN_AGREEMENT
    log.info(
        "precision measured",
        chosen=low if take_low else "fp32",
        fp32_ms=round(full_s * 1e3, 1),
        reduced=low,
        reduced_ms=round(reduced_s * 1e3, 1),
        agreement=round(agreement, 5),
    )
    return (reduced, low) if take_low else (module, "fp32")


def _time_images(module: nn.Module, batch: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Best of three after a warm-up, in seconds, and the embeddings."""
    embeddings = _embed(module, batch)
    return min(timeit.repeat(lambda: _embed(module, batch), repeat=3, number=1)), embeddings


@torch.inference_mode()
def _embed(module: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return F.normalize(cast(Any, module).encode_image(batch).float(), dim=-1).cpu()


def _agreement(some: torch.Tensor, others: torch.Tensor) -> float:
    """The lowest cosine of corresponding embeddings."""
    return float((some * others).sum(dim=-1).min())
