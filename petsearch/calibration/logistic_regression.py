"""Logistic regression by Newton's method, in numpy."""

import numpy as np
from numpy.typing import NDArray

_CONVERGED = 1e-12
"""Change of the weights, relative to the largest: further steps change their rounding alone."""


def fit_weights(
    features: NDArray[np.float64],
    outcomes: NDArray[np.bool_],
    *,
    shares: NDArray[np.float64] | None = None,
    ridge: float = 1e-2,
    most_steps: int = 50,
) -> list[float]:
    """Fit one weight per feature, and the intercept as the last item.

    Args:
        features: `(n, k)`.
        outcomes: `(n,)`.
        shares: weight of each row; by default all are equal.
        ridge: keeps weights finite if a feature separates the outcomes.
    """
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    weights = np.zeros(x.shape[1])
    counts = np.ones(len(x)) if shares is None else shares
    held = np.full(x.shape[1], ridge)
    held[-1] = 1e-6
    for _ in range(most_steps):
        expected = 1 / (1 + np.exp(-np.clip(x @ weights, -60, 60)))
        slope = x.T @ (counts * (outcomes - expected)) - held * weights
        curvature = (x * (counts * expected * (1 - expected))[:, None]).T @ x + np.diag(held)
        change = np.linalg.solve(curvature, slope)
        weights += change
        if np.abs(change).max() <= _CONVERGED * np.abs(weights).max():
            break
    return [float(weight) for weight in weights]
