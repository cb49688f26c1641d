"""Whole numbers as decimal text, without a string object for each."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["decimal_text"]


@numba.njit(cache=True, nogil=True)
def decimal_text(
    values: NDArray[np.int64], present: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the texts of numbers side by side, and where each begins; absent ones are empty.

    Args:
        values: ``(B,)`` int64, above the lowest one there is.
        present: ``(B,)`` bool.
    """
    offsets = np.zeros(len(values) + 1, np.int64)
    for row in range(len(values)):
        length = 0
        if present[row]:
            length, rest = (2, -values[row]) if values[row] < 0 else (1, values[row])
            while rest >= 10:
                length, rest = length + 1, rest // 10
        offsets[row + 1] = offsets[row] + length
    buffer = np.empty(offsets[-1], np.uint8)
    for row in range(len(values)):
        if not present[row]:
            continue
        rest, place = abs(values[row]), offsets[row + 1] - 1
        while place >= offsets[row]:
            buffer[place] = 48 + rest % 10
            rest, place = rest // 10, place - 1
        if values[row] < 0:
            buffer[offsets[row]] = 45
    return buffer, offsets
