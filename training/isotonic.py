"""Calibration of a score to a probability that rises with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Calibration", "calibrate", "pool_adjacent_violators"]

N_KNOTS = 256
LOWEST = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising table from score to probability.

    Attributes:
        scores: ``(K,)`` float64, ascending.
        probabilities: ``(K,)`` float64 in (0, 1), non-decreasing.
    """

    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def __call__(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate between the knots; flat outside of them."""
        return np.interp(scores, self.scores, self.probabilities).astype(np.float32)


def pool_adjacent_violators(
    values: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the non-decreasing sequence nearest to ``values`` in weighted squares.

    Args:
        values: ``(K,)``.
        weights: ``(K,)``, positive.

    Example:
        The middle pair falls, so both get their mean:

        >>> pool_adjacent_violators(np.array([0.0, 3.0, 1.0, 4.0]), np.ones(4)).tolist()
        [0.0, 2.0, 2.0, 4.0]
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, mass, size = blocks.pop()
            total = mass + block[1]
            block = ((mean * mass + block[0] * block[1]) / total, total, size + block[2])
        blocks.append(block)
    return np.repeat([mean for mean, _, _ in blocks], [size for _, _, size in blocks])


def calibrate(scores: NDArray[np.float32], hits: NDArray[np.bool_]) -> Calibration:
    """Fit P(hit | score) by isotonic regression on quantile bins.

    Half of the bins lie on the upper 5 % of the scores, where hits are.

    Args:
        scores: ``(M,)`` scores of unseen pairs.
        hits: ``(M,)`` whether the pair turned out positive.

    Returns:
        At most ``N_KNOTS`` knots; probabilities are kept within [1e-6, 0.99].  Without
        any pair, 1e-6 everywhere.
    """
    if not len(scores):
        return Calibration(np.zeros(1), np.full(1, LOWEST))
    low = np.linspace(0.0, 0.95, N_KNOTS // 2, endpoint=False)
    high = 1.0 - 0.05 * np.geomspace(1.0, 1e-4, N_KNOTS // 2)
    edges = np.unique(np.quantile(scores, np.concatenate([low, high])))
    bins = np.searchsorted(edges, scores, side="right")
    counts = np.bincount(bins, minlength=len(edges) + 1).astype(np.float64)
    filled = counts > 0
    rates = np.bincount(bins, hits, len(edges) + 1)[filled] / counts[filled]
    means = np.bincount(bins, scores, len(edges) + 1)[filled] / counts[filled]
    smooth = pool_adjacent_violators(rates, counts[filled])
    return Calibration(means, np.clip(smooth, LOWEST, 0.99))
