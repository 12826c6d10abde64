"""WiSE-FT: weights between those of the base model and the fine-tuned ones, chosen on validation.

Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, eq. 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from training.clip.weights import Weights, load_weights
from training.finetuning.validation import Figures


@dataclass(frozen=True)
class Interpolated:
    """The share of fine-tuned weights that was chosen, and what each share scored."""

    share: float
    tried: tuple[tuple[float, Figures], ...]


def interpolate(base: Weights, tuned: Weights, share: float) -> Weights:
    """`(1 - share) * base + share * tuned`."""
    return {name: weight.lerp(tuned[name], share) for name, weight in base.items()}


def choose_interpolation(
    module: nn.Module,
    base: Weights,
    tuned: Weights,
    shares: Sequence[float],
    validate: Callable[[], Figures],
) -> Interpolated:
    """Leave the best mixture in `module`: by top-1, then by loss; of equals the least tuned."""
    tried: list[tuple[float, Figures]] = []
    for share in sorted(shares):
        load_weights(module, interpolate(base, tuned, share))
        tried.append((share, validate()))
    share, _ = max(tried, key=lambda pair: (pair[1].top1, -pair[1].loss))
    load_weights(module, interpolate(base, tuned, share))
    return Interpolated(share, tuple(tried))
