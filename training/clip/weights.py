"""The trained weights of a module by name: taken out, put back, mixed."""

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def trained_weights(module: nn.Module) -> Weights:
    """Those that gradients reach, as they are; they change when training goes on."""
    return {
        name: parameter.detach()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def copy_of(weights: Weights) -> Weights:
    """The same values, which stay."""
    return {name: weight.clone() for name, weight in weights.items()}


@torch.no_grad()
def load_weights(module: nn.Module, weights: Weights) -> None:
    """Put values into a module's parameters of the same names."""
    parameters = dict(module.named_parameters())
    for name, weight in weights.items():
        parameters[name].copy_(weight)
