"""AdamW with weight decay for matrices only."""

from collections.abc import Iterable, Sequence

import torch
from torch import nn


def adamw(
    module: nn.Module,
    rates: Iterable[tuple[Sequence[nn.Parameter], float]],
    weight_decay: float,
) -> torch.optim.AdamW:
    """An optimiser of some of a module's parameters.

    Matrices decay, but not the token embeddings, of which a step sees few.

    Args:
        module: names the parameters.
        rates: parameters and their learning rate.
        weight_decay: of matrices.
    """
    names = {parameter: name for name, parameter in module.named_parameters()}
    groups: list[dict[str, object]] = []
    for parameters, rate in rates:
        matrices = [p for p in parameters if p.ndim > 1 and "embedding" not in names[p]]
        others = [p for p in parameters if p.ndim <= 1 or "embedding" in names[p]]
        for chosen, decay in ((matrices, weight_decay), (others, 0.0)):
            if chosen:
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))
