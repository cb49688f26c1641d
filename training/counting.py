"""Compiled counting loops."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["share_below"]


@numba.njit(cache=True)
def share_below(
    candidates: NDArray[np.float32],
    references: NDArray[np.float32],
    is_reference: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return the share of a row's references that are no higher than each candidate.

    Args:
        candidates: ``(P, C)`` float32.
        references: ``(P, R)`` float32.
        is_reference: ``(P, R)`` bool, False for those that do not count.

    Returns:
        ``(P, C)`` float32 counts over one more than the number of the row's references.

    Complexity:
        ``O(P C R)`` comparisons in vector registers, no memory beside the result.
    """
    n_rows, n_candidates = candidates.shape
    shares = np.zeros((n_rows, n_candidates), np.float32)
    for row in range(n_rows):
        own, taken = references[row], is_reference[row]
        n_taken = np.int32(0)
        for place in range(len(own)):
            n_taken += np.int32(taken[place])
        for column in range(n_candidates):
            highest, count = candidates[row, column], np.int32(0)
            for place in range(len(own)):
                count += np.int32(taken[place]) & np.int32(own[place] <= highest)
            shares[row, column] = np.float32(count) / np.float32(n_taken + 1)
    return shares
