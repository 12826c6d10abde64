"""The trained weights of a module by name: read, copied and written back."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def trained_weights(module: nn.Module) -> Weights:
    """The parameters that have gradients; they share memory with the module."""
    return {
        name: parameter.detach()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def copy_of(weights: Mapping[str, Tensor]) -> Weights:
    """The same values in memory of their own."""
    return {name: weight.clone() for name, weight in weights.items()}


@torch.no_grad()
def load_weights(target: Weights, values: Mapping[str, Tensor]) -> None:
    """Copy values into the weights of the same names, whichever device they are on."""
    for name, value in values.items():
        target[name].copy_(value)
