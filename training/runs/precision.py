"""Device and precision of a run, and its peak memory."""

import resource
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from petsearch.domain.errors import ConfigurationError

_DTYPES = {"bf16": torch.bfloat16, "amp": torch.float16}


@dataclass(frozen=True)
class Precision:
    """A device and the precision of forward passes on it."""

    device: torch.device
    name: str
    """`fp32`, `bf16` or `amp`."""

    def autocast(self) -> AbstractContextManager[object]:
        """A context in which matrix products use this precision."""
        return torch.autocast(
            self.device.type,
            dtype=_DTYPES.get(self.name, torch.bfloat16),
            enabled=self.name != "fp32",
        )

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss so that fp16 gradients do not underflow; disabled otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.name == "amp")


def choose_precision(name: str, device: str | None = None) -> Precision:
    """Use the given device, else a GPU if there is one.

    Raises:
        ConfigurationError: the device cannot compute in the precision.
    """
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if name == "amp" and where.type != "cuda":
        raise ConfigurationError('precision = "amp" needs a GPU; use bf16 or fp32 on a CPU.')
    return Precision(where, name)


@dataclass(frozen=True)
class PeakMemory:
    """Peak memory of a run, in bytes."""

    process: int
    gpu: int | None
    """Measured; None without a GPU."""
    gpu_estimate: int | None
    """Estimated on the CPU; None if it was measured."""

    def __str__(self) -> str:
        process = f"{self.process / 2**30:.1f} GiB of this process"
        if self.gpu is not None:
            return f"{process}, {self.gpu / 2**30:.2f} GiB of the GPU"
        return (
            f"{process}. A GPU would need about {(self.gpu_estimate or 0) / 2**30:.1f} GiB: an "
            "estimate, as there is none here"
        )


def peak_memory(precision: Precision, *, gpu_estimate: int) -> PeakMemory:
    """Peak memory of this process; `gpu_estimate` is used if there is no GPU to measure."""
    unit = 1 if sys.platform == "darwin" else 1024
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if precision.device.type == "cuda":
        return PeakMemory(process, torch.cuda.max_memory_reserved(), None)
    return PeakMemory(process, None, gpu_estimate)
