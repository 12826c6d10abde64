"""The GPU memory that a run would take, estimated from what it keeps on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

_CONTEXT_BYTES = 600 * 2**20
"""What CUDA and its libraries hold before anything is computed; some 0.5 to 0.7 GB."""
_COPIES_OF_TRAINED = 6
"""Gradients, two moments of Adam, the average, the best epoch and the base weights."""


@dataclass
class KeptForBackward:
    """What a forward pass keeps until its backward pass; filled by `watched`."""

    tensors: dict[int, int] = field(default_factory=dict)
    """Bytes by address, so that a tensor that two operations keep counts once."""

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(self.tensors.values())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count what the operations within it keep."""

        def note(tensor: Tensor) -> Tensor:
            if not isinstance(tensor, nn.Parameter):
                storage = tensor.untyped_storage()
                self.tensors[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            yield


def estimated_gpu_bytes(module: nn.Module, kept: KeptForBackward, batch_size: int) -> int:
    """Weights, optimiser, what a step keeps, and some working memory, in bytes.

    Args:
        module: the model, in fp32.
        kept: of one step.
        batch_size: photos that go through the frozen stages at a time.
    """
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    trained = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    largest = max(kept.tensors.values(), default=0)
    # A layer's input, output and workspace; a megabyte or so of each photo.
    working = 4 * max(largest, batch_size * 2**20)
    return weights + _COPIES_OF_TRAINED * trained + kept.size + working + _CONTEXT_BYTES
