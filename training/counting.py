"""Compiled counting loops."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["count_below"]


@numba.njit(cache=True)
def count_below(
    candidates: NDArray[np.float32],
    references: NDArray[np.float32],
    is_reference: NDArray[np.bool_],
) -> NDArray[np.int32]:
    """Count, per row, the references that are no higher than each candidate.

    Args:
        candidates: ``(P, C)`` float32.
        references: ``(P, R)`` float32.
        is_reference: ``(P, R)`` bool, False for those that do not count.

    Returns:
        ``(P, C)`` int32.

    Complexity:
        ``O(P C R)`` comparisons in vector registers, no memory beside the result.
    """
    n_rows, n_candidates = candidates.shape
    counts = np.zeros((n_rows, n_candidates), np.int32)
    for row in range(n_rows):
        own, taken = references[row], is_reference[row]
        for column in range(n_candidates):
            highest, count = candidates[row, column], np.int32(0)
            for place in range(len(own)):
                count += np.int32(taken[place]) & np.int32(own[place] <= highest)
            counts[row, column] = count
    return counts
