"""Item-item counting: what comes after this item, or together with it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from training.baselines.base import interaction_matrix, keep_largest
from training.baselines.item_item import ItemItem
from training.data import Ragged, Split

__all__ = ["Cooccurrence", "transition_counts"]

_ITEM_BLOCK = 1_024


class Cooccurrence(ItemItem):
    """Scores an item by how often it came with the items of the history.

    With an order, it counts transitions: item j within ``window`` places after
    item i counts ``window_decay ** (distance - 1)``, and the newest items of the
    history vote, each older one ``history_decay`` times less.  Without an order,
    it counts users who have both, summed over the whole history.

    Args:
        window: Places after an item that count, at least 1; ordered data only.
        window_decay: Weight per further place, in (0, 1].
        history_limit: Newest items that vote; None for all.
        history_decay: Weight per older item, in (0, 1].
        max_neighbours: Counts kept per item, the largest; bounds memory at
            ``8 * N * max_neighbours`` bytes.
    """

    def __init__(
        self,
        *,
        window: int = 5,
        window_decay: float = 0.7,
        history_limit: int | None = None,
        history_decay: float = 0.5,
        max_neighbours: int = 2_000,
    ) -> None:
        super().__init__(history_limit=history_limit, history_decay=history_decay)
        self._window, self._window_decay = window, window_decay
        self._max_neighbours = max_neighbours

    def item_weights(self, split: Split) -> sparse.csr_array:
        """Count pairs of items in the training sequences."""
        if split.order == "none":
            return _common_users(split, self._max_neighbours)
        counts = transition_counts(split.train, split.n_items, self._window, self._window_decay)
        return keep_largest(counts, self._max_neighbours)


def transition_counts(rows: Ragged, n_items: int, window: int, decay: float) -> sparse.csr_array:
    """Return ``(N, N)`` float32: decayed count of the column's item after the row's item.

    Example:
        0 then 1 then 2: the pair (0, 2) lies two places apart.

        >>> transition_counts(Ragged.from_lists([[0, 1, 2]]), 3, 2, 0.5).toarray().tolist()
        [[0.0, 1.0, 0.5], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    row_of = np.repeat(np.arange(len(rows)), rows.lengths)
    total = sparse.csr_array((n_items, n_items), dtype=np.float32)
    for distance in range(1, window + 1):
        first, then = rows.values[:-distance], rows.values[distance:]
        same = (row_of[:-distance] == row_of[distance:]) & (first != then)
        weights = np.full(int(same.sum()), decay ** (distance - 1), np.float32)
        pairs = sparse.coo_array((weights, (first[same], then[same])), shape=(n_items, n_items))
        total = total + pairs.tocsr()
    return total


def _common_users(split: Split, max_neighbours: int) -> sparse.csr_array:
    matrix = interaction_matrix(split.train, split.n_items)
    by_item = matrix.T.tocsr()
    blocks = []
    for start in range(0, split.n_items, _ITEM_BLOCK):
        common = by_item[start : start + _ITEM_BLOCK] @ matrix
        blocks.append(keep_largest(_without_diagonal(common, start), max_neighbours))
    return sparse.vstack(blocks, format="csr")


def _without_diagonal(block: sparse.csr_array, first_row: int) -> sparse.csr_array:
    row_of = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    block.data[block.indices == row_of + first_row] = 0.0
    block.eliminate_zeros()
    return block
