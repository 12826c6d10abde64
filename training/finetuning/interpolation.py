"""WiSE-FT: interpolation of base and fine-tuned weights; the share is chosen on validation.

Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, eq. 1.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from training.clip.weights import Weights, load_weights, trained_weights
from training.finetuning.validation import ValidationFigures


@dataclass(frozen=True)
class Interpolation:
    """The chosen share of fine-tuned weights, and the validation of each share."""

    share: float
    tried: tuple[tuple[float, ValidationFigures], ...]


def interpolate(base: Weights, tuned: Weights, share: float) -> Weights:
    """`(1 - share) * base + share * tuned`."""
    # After a resume the tuned weights may be those of the checkpoint, on the CPU.
    return {
        name: weight.lerp(tuned[name].to(weight.device), share) for name, weight in base.items()
    }


def choose_interpolation(
    module: nn.Module,
    base: Weights,
    tuned: Weights,
    shares: Sequence[float],
    validate: Callable[[], ValidationFigures],
) -> Interpolation:
    """Load the best interpolation into `module`: by top-1, then loss, then the smallest share."""
    weights = trained_weights(module)
    tried: list[tuple[float, ValidationFigures]] = []
    for share in sorted(shares):
        load_weights(weights, interpolate(base, tuned, share))
        tried.append((share, validate()))
    share, _ = max(tried, key=lambda pair: (pair[1].top1, -pair[1].loss))
    load_weights(weights, interpolate(base, tuned, share))
    return Interpolation(share, tuple(tried))
