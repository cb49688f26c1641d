"""Nearest neighbours between items."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from training.baselines.base import interaction_matrix, keep_largest
from training.baselines.item_item import ItemItem
from training.data import Split

__all__ = ["ItemKnn", "cosine_neighbours"]

_ITEM_BLOCK = 1_024


class ItemKnn(ItemItem):
    """Scores an item by its cosine similarity with the items of the history.

    Args:
        n_neighbours: Similarities kept per item.
        shrinkage: Added to the denominator, in users; damps pairs seen few times.
        history_limit: Newest items that vote; None for all.  Ordered data only.
        history_decay: Weight per older item, in (0, 1].  Ordered data only.
    """

    def __init__(
        self,
        *,
        n_neighbours: int = 200,
        shrinkage: float = 10.0,
        history_limit: int | None = None,
        history_decay: float = 0.5,
    ) -> None:
        super().__init__(history_limit=history_limit, history_decay=history_decay)
        self._n_neighbours, self._shrinkage = n_neighbours, shrinkage

    def item_weights(self, split: Split) -> sparse.csr_array:
        """Compute every item's nearest items from the training interactions."""
        matrix = interaction_matrix(split.train, split.n_items)
        return cosine_neighbours(matrix, self._n_neighbours, self._shrinkage)


def cosine_neighbours(
    matrix: sparse.csr_array, n_neighbours: int, shrinkage: float
) -> sparse.csr_array:
    """Return ``(N, N)``: for each item (row) its most similar items, without itself.

    ``common(i, j) / (sqrt(n_i n_j) + shrinkage)`` for n users of an item.  Works in
    blocks of rows, so memory is bounded by a block and the result.

    Example:
        Items 0 and 1 share one user of one and two:

        >>> two = sparse.csr_array(np.array([[1.0, 1.0], [0.0, 1.0]], np.float32))
        >>> round(float(cosine_neighbours(two, 1, 0.0)[0, 1]), 4) == round(1 / 2**0.5, 4)
        True
    """
    norms = np.sqrt(np.asarray(matrix.sum(axis=0), np.float32).ravel())
    by_item = matrix.T.tocsr()
    blocks = []
    for start in range(0, matrix.shape[1], _ITEM_BLOCK):
        common = by_item[start : start + _ITEM_BLOCK] @ matrix
        row_of = np.repeat(np.arange(common.shape[0]), np.diff(common.indptr)) + start
        common.data /= norms[row_of] * norms[common.indices] + np.float32(shrinkage)
        common.data[common.indices == row_of] = 0.0
        common.eliminate_zeros()
        blocks.append(keep_largest(common, n_neighbours))
    return sparse.vstack(blocks, format="csr")
