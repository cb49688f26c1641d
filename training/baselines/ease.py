"""EASE: the best linear item-item model, in closed form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from training.baselines.base import DoesNotFitError, interaction_matrix
from training.baselines.item_item import ItemItem
from training.data import Split

__all__ = ["MAX_ITEMS", "Ease"]

MAX_ITEMS = 20_000
"""Largest catalogue fitted without ``force``: 1.6 GB for the matrix, some minutes of two cores."""


class Ease(ItemItem):
    """Scores by an item-item matrix B that reconstructs each user's items from the others.

    ``min ||X - XB||^2 + reg ||B||^2`` with zero diagonal has the solution
    ``B = I - P diag(1 / diag(P))`` for ``P = inv(X'X + reg I)``.

    Args:
        reg: L2 weight in units of interactions, > 0.
        history_limit: Newest items that vote; None for all.  Ordered data only.
        history_decay: Weight per older item, in (0, 1].  Ordered data only.
        force: Fit a catalogue of more than ``MAX_ITEMS`` items all the same.

    References:
        Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.
    """

    def __init__(
        self,
        *,
        reg: float = 500.0,
        history_limit: int | None = None,
        history_decay: float = 0.8,
        force: bool = False,
    ) -> None:
        super().__init__(history_limit=history_limit, history_decay=history_decay)
        self._reg, self._force = reg, force

    def item_weights(self, split: Split) -> NDArray[np.float32]:
        """Solve for B: ``O(N^3)`` time, ``8 N^2`` bytes.

        Raises:
            DoesNotFitError: More than ``MAX_ITEMS`` items and not forced.
        """
        if split.n_items > MAX_ITEMS and not self._force:
            raise DoesNotFitError(
                f"ease inverts a matrix of {split.n_items:,} x {split.n_items:,}; "
                f"it is fitted up to {MAX_ITEMS:,} items unless forced"
            )
        matrix = interaction_matrix(split.train, split.n_items)
        return _solve((matrix.T @ matrix).toarray(), self._reg)


def _solve(gram: NDArray[np.float32], reg: float) -> NDArray[np.float32]:
    """Turn the Gram matrix into B, in place where LAPACK allows."""
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += reg
    # A symmetric matrix equals its transpose, and LAPACK works in place on Fortran order only.
    factor, _ = linalg.cho_factor(gram.T, lower=True, overwrite_a=True, check_finite=False)
    inverse, info = linalg.lapack.spotri(factor, lower=True, overwrite_c=True)
    if info != 0:
        raise linalg.LinAlgError(f"spotri failed: {info}")
    _mirror(inverse)
    weights = inverse.T  # symmetric, and row-major as the sparse product wants it
    weights /= -weights[diagonal]
    weights[diagonal] = 0.0
    return np.asarray(weights, np.float32)


def _mirror(lower: NDArray[np.float32], block: int = 1_024) -> None:
    """Copy the lower triangle to the upper, block by block."""
    for start in range(0, len(lower), block):
        stop = min(start + block, len(lower))
        lower[:start, start:stop] = lower[start:stop, :start].T
        corner = np.tril(lower[start:stop, start:stop])
        lower[start:stop, start:stop] = corner + np.tril(corner, -1).T
