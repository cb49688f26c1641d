"""Side features as one weighted bag of codes per row, whatever the columns were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_MULTI_VALUES", "RaggedCodes", "pack_features"]

MAX_MULTI_VALUES = 16
"""Values of a multi-valued cell that are read; further ones are left out."""


class RaggedCodes(Protocol):
    """Rows of codes of different length, as ``offsets`` ``(R + 1,)`` and ``values``."""

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Start of each row in ``values``."""
        ...

    @property
    def values(self) -> NDArray[np.int64]:
        """All codes."""
        ...


def pack_features(
    codes: NDArray[np.int64],
    sizes: Sequence[int],
    multi: Sequence[RaggedCodes] = (),
    multi_sizes: Sequence[int] = (),
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Lay all columns side by side in one code space, with the weight of each code.

    Column ``f`` takes the codes after those of the columns before it; code 0 stays
    "nothing" and weighs 0.  A single value weighs 1, the values of a list share 1.

    Args:
        codes: ``(R, F)`` codes, 0 = unknown.
        sizes: Number of values of each of the F columns.
        multi: One ragged column of codes each.
        multi_sizes: Number of values of each ragged column.

    Returns:
        ``(R, W)`` codes and ``(R, W)`` weights.

    Example:
        >>> packed, weights = pack_features(np.array([[2, 1], [0, 3]]), [2, 3])
        >>> packed.tolist(), weights.tolist()
        ([[2, 3], [0, 5]], [[1.0, 1.0], [0.0, 1.0]])
    """
    n_rows = len(codes)
    parts = [_shift(codes[:, f : f + 1], sum(sizes[:f])) for f in range(len(sizes))]
    start = sum(sizes)
    for column, size in zip(multi, multi_sizes, strict=True):
        parts.append(_shift(_padded(column, n_rows), start))
        start += size
    if not parts:
        return np.zeros((n_rows, 0), np.int64), np.zeros((n_rows, 0), np.float32)
    return np.hstack([p[0] for p in parts]), np.hstack([p[1] for p in parts])


def _shift(codes: NDArray[np.int64], start: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    known = codes > 0
    shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.where(known, codes + start, 0), shares.astype(np.float32)


def _padded(column: RaggedCodes, n_rows: int) -> NDArray[np.int64]:
    lengths = np.minimum(np.diff(column.offsets), MAX_MULTI_VALUES)
    table = np.zeros((n_rows, int(lengths.max(initial=0))), np.int64)
    filled = np.arange(table.shape[1]) < lengths[:, None]
    rows, columns = np.nonzero(filled)
    table[rows, columns] = column.values[column.offsets[:-1][rows] + columns]
    return table
