"""How the parts of a query become one embedding: a weighted sum, normalised (docs/adr/0012)."""

from collections.abc import Sequence

import numpy as np

from petsearch.domain import Embedding
from petsearch.domain.errors import InvalidInput

_SMALLEST_NORM = 1e-3
"""Of a sum of unit vectors, by the sum of their weights: below it, the direction is rounding."""

WeightedEmbedding = tuple[Embedding, float]


def combine(
    positive: Sequence[WeightedEmbedding], negative: Sequence[WeightedEmbedding] = ()
) -> Embedding:
    """`sum(w e) - sum(w n)`, L2-normalised: float32 `(dim,)`.

    Args:
        positive: at least one; weights above 0.
        negative: what the results should look less like; weights above 0.

    Raises:
        InvalidInput: the parts cancel each other out.
    """
    signed = [*positive, *((row, -weight) for row, weight in negative)]
    rows = np.stack([row for row, _ in signed]).astype(np.float64)
    weights = np.array([weight for _, weight in signed])
    total = weights @ rows
    norm = float(np.linalg.norm(total))
    if norm <= _SMALLEST_NORM * float(np.abs(weights).sum()):
        raise InvalidInput("The parts of the query cancel each other out; change their weights.")
    return (total / norm).astype(np.float32)
