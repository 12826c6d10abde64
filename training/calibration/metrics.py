"""How well shares (confidences) hold, in numpy. `shares` and `right` are `(n,)`, 0..1."""

import numpy as np
from numpy.typing import NDArray

BINS = 10


def expected_calibration_error(
    shares: NDArray[np.floating], right: NDArray[np.floating], bins: int = BINS
) -> float:
    """Mean distance of share and outcome over bins of equally many results.

    Naeini, Cooper and Hauskrecht, AAAI 2015, with bins of equal mass.
    """
    gaps = [
        len(part) * abs(float(shares[part].mean() - right[part].mean()))
        for part in bins_of_equal_mass(shares, bins)
    ]
    return sum(gaps) / len(shares)


def bins_of_equal_mass(shares: NDArray[np.floating], bins: int = BINS) -> list[NDArray[np.intp]]:
    """Places of the results in each bin, the lowest shares first; no bin is empty."""
    order = np.argsort(shares, kind="stable")
    return [part for part in np.array_split(order, bins) if len(part)]


def brier_score(shares: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Mean squared distance of share and outcome; lower is better."""
    return float(np.mean((shares - right) ** 2))
