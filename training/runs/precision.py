"""Where and in which precision a run computes, and the most memory it took."""

import resource
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from petsearch.domain.errors import ConfigurationError

_DTYPES = {"bf16": torch.bfloat16, "amp": torch.float16}


@dataclass(frozen=True)
class Precision:
    """A device and a precision."""

    device: torch.device
    name: str
    """fp32, bf16 or amp."""

    def autocast(self) -> AbstractContextManager[object]:
        """Matrix products in the precision, within it."""
        return torch.autocast(
            self.device.type,
            dtype=_DTYPES.get(self.name, torch.bfloat16),
            enabled=self.name != "fp32",
        )

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss, so that fp16 gradients do not vanish; else it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.name == "amp")


def choose_precision(name: str, device: str | None = None) -> Precision:
    """A GPU if there is one.

    Raises:
        ConfigurationError: the device cannot compute in the precision.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if name == "amp" and where.type != "cuda":
        raise ConfigurationError('precision = "amp" needs a GPU; use bf16 or fp32 on a CPU.')
    return Precision(where, name)


@dataclass(frozen=True)
class PeakMemory:
    """The most memory that a run held, in bytes."""

    process: int
    gpu: int | None
    """Measured; None where there is no GPU."""
    gpu_estimate: int | None
    """What a GPU would need, worked out on the CPU; None where it was measured."""

    def __str__(self) -> str:
        process = f"{self.process / 2**30:.1f} GiB of this process"
        if self.gpu is not None:
            return f"{process}, {self.gpu / 2**30:.2f} GiB of the GPU"
        return (
            f"{process}. A GPU would need about {(self.gpu_estimate or 0) / 2**30:.1f} GiB: an "
            "estimate, as there is none here"
        )


def peak_memory(precision: Precision, *, gpu_estimate: int) -> PeakMemory:
    """So far, of this process; the estimate is kept only where nothing can be measured."""
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if precision.device.type == "cuda":
        return PeakMemory(process, torch.cuda.max_memory_reserved(), None)
    return PeakMemory(process, None, gpu_estimate)
