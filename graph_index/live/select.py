"""Which candidates become neighbours: near, and each nearer to the item than to one chosen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["padded", "select_diverse", "squared_distances"]


def squared_distances(
    targets: NDArray[np.float32], candidates: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return ``(R, C)`` squared distances of ``(R, D)`` targets to ``(R, C, D)`` candidates."""
    gaps = candidates - targets[:, None]
    distances: NDArray[np.float32] = np.einsum("rcd,rcd->rc", gaps, gaps)
    return distances


def select_diverse(
    distances: NDArray[np.float32],
    candidates: NDArray[np.float32],
    limit: int,
    forced: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Choose at most ``limit`` of C candidates for each of R items, by the rule of HNSW.

    Candidates are taken nearest first, and one that is nearer to a chosen candidate than
    to the item is passed over: the walk gets there through the other.  Of equal
    candidates one is enough.

    Args:
        distances: ``(R, C)`` squared, to the item; infinity where there is no candidate.
        candidates: ``(R, C, D)`` their vectors.
        limit: Most that are chosen.
        forced: ``(R, C)`` bool: chosen whatever the rule says; at most ``limit`` a row.

    Returns:
        ``(R, C)`` bool.

    Complexity:
        ``O(R * C * C * D)``, in ``limit`` array operations over all rows.

    Example:
        >>> line = np.array([[[1.0], [1.5], [-2.0]]], np.float32)
        >>> select_diverse(np.square(line[..., 0]), line, 2).tolist()
        [[True, False, True]]

    References:
        Malkov and Yashunin, TPAMI 2020, Algorithm 4.
    """
    between = _pairwise(candidates)
    rows = np.arange(len(distances))
    chosen = np.zeros(distances.shape, np.bool_) if forced is None else forced.copy()
    still_open = np.where(chosen, np.float32(np.inf), distances)
    if forced is not None:
        shadows = ((between < distances[:, None]) | (between <= 0)) & forced[:, :, None]
        still_open[shadows.any(axis=1)] = np.inf
    n_chosen = chosen.sum(axis=1)
    while len(rows):
        place = still_open[rows].argmin(axis=1)
        goes_on = np.isfinite(still_open[rows, place]) & (n_chosen[rows] < limit)
        rows, place = rows[goes_on], place[goes_on]
        chosen[rows, place] = True
        n_chosen[rows] += 1
        gaps = between[rows, place]
        passed = still_open[rows]
        passed[(gaps < distances[rows]) | (gaps <= 0)] = np.inf
        still_open[rows] = passed
    return chosen


def padded(
    nums: NDArray[np.int64], chosen: NDArray[np.bool_], own: NDArray[np.int64], width: int
) -> NDArray[np.int32]:
    """Return ``(R, width)`` rows of the chosen numbers in order, filled up with the row's own.

    Example:
        >>> padded(np.array([[5, 6, 7]]), np.array([[True, False, True]]), np.array([9]), 3).tolist()
        [[5, 7, 9]]
    """
    table = np.repeat(own[:, None], width, axis=1).astype(np.int32)
    rows, places = np.nonzero(chosen)
    table[rows, (np.cumsum(chosen, axis=1) - 1)[rows, places]] = nums[rows, places]
    return table


def _pairwise(candidates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``(R, C, C)`` squared distances; exactly 0 for equal vectors of unit scale."""
    lengths = np.einsum("rcd,rcd->rc", candidates, candidates)
    products = candidates @ candidates.transpose(0, 2, 1)
    between: NDArray[np.float32] = lengths[:, :, None] + lengths[:, None] - 2 * products
    noise = 1e-6 * (lengths[:, :, None] + lengths[:, None])
    return np.where(between <= noise, np.float32(0), between)
