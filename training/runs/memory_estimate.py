"""An estimate of the GPU memory of a run, from what it keeps in memory on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

_CONTEXT_BYTES = 600 * 2**20
"""Memory of CUDA and its libraries before anything is computed: about 0.5 to 0.7 GB."""
_COPIES_OF_TRAINED = 6
"""Gradients, two moments of Adam, the average, the best epoch and the base weights."""


@dataclass
class SavedActivations:
    """Sizes of the tensors that a forward pass saves for its backward pass."""

    tensors: dict[int, int] = field(default_factory=dict)
    """Bytes by address, so that a tensor that two operations save counts once."""

    @property
    def size(self) -> int:
        """Total size in bytes."""
        return sum(self.tensors.values())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Record the tensors that operations in this context save."""

        def note(tensor: Tensor) -> Tensor:
            if not isinstance(tensor, nn.Parameter):
                storage = tensor.untyped_storage()
                self.tensors[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            yield


def estimated_gpu_bytes(module: nn.Module, saved: SavedActivations, batch_size: int) -> int:
    """Size of weights, optimiser, saved activations and working memory, in bytes.

    Args:
        module: the model, in fp32.
        saved: activations of one step.
        batch_size: photos per pass through the frozen stages.
    """
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    trained = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    largest = max(saved.tensors.values(), default=0)
    # Input, output and workspace of a layer; about a megabyte per photo.
    working = 4 * max(largest, batch_size * 2**20)
    return weights + _COPIES_OF_TRAINED * trained + saved.size + working + _CONTEXT_BYTES
