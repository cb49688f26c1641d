"""Where item embeddings start: from the factors of the interactions instead of noise.

Shapes: **U** users, **N** items, **D** embedding size.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from training.data import Ragged

__all__ = ["svd_embeddings", "truncated_right_factors"]

OVERSAMPLING = 20
POWER_ROUNDS = 6


def svd_embeddings(
    train: Ragged, n_items: int, size: int, power: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``(N, D)`` unit vectors such that items liked by the same users are near.

    The user-item matrix, each entry divided by the roots of its row's and
    column's counts, is factored; right factors are scaled by a power of their singular value.

    Args:
        train: U rows of item numbers.
        n_items: Number of items N.
        size: D; where the matrix has fewer factors the rest is noise.
        power: 0 weighs all factors alike, 1 as the matrix does.
        generator: For the random projection, and for items without interactions.
    """
    factors, values = truncated_right_factors(_normalised(train, n_items), size, generator)
    vectors = generator.standard_normal((n_items, size)) * 1e-3
    vectors[:, : factors.shape[1]] += factors * (values / values[0]) ** power * np.sqrt(n_items)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def truncated_right_factors(
    matrix: sp.csr_matrix, size: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the leading right singular vectors ``(N, k)`` and values ``(k,)``, ``k <= size``.

    Randomised subspace iteration (Halko et al., SIAM Review 2011): a few passes over
    the non-zero entries.

    Example:
        >>> axes = sp.csr_matrix(np.diag([3.0, 2.0, 1.0]))
        >>> truncated_right_factors(axes, 2, np.random.default_rng(0))[1].round(6).tolist()
        [3.0, 2.0]
    """
    width = min(size + OVERSAMPLING, *matrix.shape)
    basis = generator.standard_normal((matrix.shape[1], width))
    for _ in range(POWER_ROUNDS):
        basis, _ = np.linalg.qr(matrix.T @ (matrix @ basis))
    _, values, rows = np.linalg.svd(matrix @ basis, full_matrices=False)
    kept = min(size, len(values))
    return basis @ rows[:kept].T, values[:kept]


def _normalised(train: Ragged, n_items: int) -> sp.csr_matrix:
    ones = np.ones(len(train.values))
    matrix = sp.csr_matrix((ones, train.values.copy(), train.offsets), (len(train), n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    scaled = sp.diags(_inverse_root(matrix, 1)) @ matrix @ sp.diags(_inverse_root(matrix, 0))
    return scaled.tocsr()


def _inverse_root(matrix: sp.csr_matrix, axis: int) -> NDArray[np.float64]:
    counts = np.asarray(matrix.sum(axis=axis), np.float64).ravel()
    return np.asarray(1.0 / np.sqrt(np.maximum(counts, 1.0)), np.float64)
