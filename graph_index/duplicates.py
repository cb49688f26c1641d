"""Items with equal vectors: counted, and moved apart before a graph is built over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vizsla.rng import numpy_generator

__all__ = ["duplicated_rows", "spread_duplicates"]

_STEP = 1e-3
_ROWS_AT_ONCE = 65_536


def duplicated_rows(item_vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return ``(N,)`` bool: which rows equal another row.

    Example:
        >>> duplicated_rows(np.array([[1.0], [2.0], [1.0]], np.float32)).tolist()
        [True, False, True]
    """
    keys = _row_hashes(item_vectors)
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    repeated = np.zeros(len(keys), np.bool_)
    repeated[order[1:][same]] = True
    repeated[order[:-1][same]] = True
    return repeated


def _row_hashes(item_vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return ``(N,)`` 64-bit hashes, equal for equal rows; others meet once in 10^19 pairs."""
    factors = numpy_generator(0, "row hashes").integers(
        1, 2**63, size=item_vectors.shape[1], dtype=np.uint64
    )
    hashes = np.zeros(len(item_vectors), np.uint64)
    for start in range(0, len(item_vectors), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        positive_zero = np.ascontiguousarray(item_vectors[rows] + np.float32(0.0))
        words = positive_zero.view(np.uint32).astype(np.uint64) * factors
        words ^= words >> np.uint64(29)
        hashes[rows] = (words * np.uint64(0xBF58476D1CE4E5B9)).sum(axis=1, dtype=np.uint64)
    return hashes


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
