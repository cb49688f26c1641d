"""Items with equal vectors: counted, and moved apart before a graph is built over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["duplicated_rows", "spread_duplicates"]

_STEP = 1e-3


def duplicated_rows(item_vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return ``(N,)`` bool: which rows equal another row.

    Example:
        >>> duplicated_rows(np.array([[1.0], [2.0], [1.0]], np.float32)).tolist()
        [True, False, True]
    """
    rows = np.ascontiguousarray(item_vectors + np.float32(0.0))  # -0.0 becomes 0.0
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, group, counts = np.unique(keys, return_inverse=True, return_counts=True)
    repeated: NDArray[np.bool_] = counts[group] > 1
    return repeated


def spread_duplicates(
    item_vectors: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the vectors with noise on those that occur more than once.

    HNSW links equal vectors only to each other, and takes quadratic time over them.
    Noise of a thousandth of the vectors' usual length turns each group into a
    small cloud in its place, which is linked like any other.
    """
    repeated = duplicated_rows(item_vectors)
    if not repeated.any():
        return item_vectors
    step = _STEP * (float(np.sqrt(np.mean(np.square(item_vectors, dtype=np.float64)))) or 1.0)
    spread = item_vectors.copy()
    noise = rng.standard_normal((int(repeated.sum()), item_vectors.shape[1]), np.float32)
    spread[repeated] += np.float32(step) * noise
    return spread
