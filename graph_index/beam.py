"""The best scores seen so far of each query of a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.ranking import group_ranks

__all__ = ["Beams"]


class Beams:
    """B beams of the ``width`` best scores; which items they belong to is not kept.

    An item is inside its query's beam when its score is at least the worst kept.

    Example:
        >>> beams = Beams(2, 2)
        >>> beams.add(np.array([0, 0, 0, 1]), np.array([3, 1, 2, 9], np.float32))
        >>> beams.worst.tolist()
        [2.0, -inf]
    """

    def __init__(self, n_queries: int, width: int) -> None:
        self._scores = np.full((n_queries, width), -np.inf, np.float32)
        self.worst = np.full(n_queries, -np.inf, np.float32)

    def add(self, query_of: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Merge new scores, ``query_of`` ascending."""
        better = scores > self.worst[query_of]
        query_of, scores = query_of[better], scores[better]
        if len(scores):
            self._merge(query_of, scores)

    def kth_best(self, k: int) -> NDArray[np.float32]:
        """Return ``(B,)`` the ``k``-th best score of each query, -infinity where there are fewer."""
        cut = self._scores.shape[1] - k
        best: NDArray[np.float32] = np.partition(self._scores, cut, axis=1)[:, cut]
        return best

    def _merge(self, query_of: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        counts = np.bincount(query_of, minlength=len(self.worst))
        rows = np.flatnonzero(counts)
        n_new = int(counts.max())
        merged = np.full((len(rows), n_new + self._scores.shape[1]), -np.inf, np.float32)
        row_of = np.cumsum(counts > 0) - 1
        merged[row_of[query_of], group_ranks(query_of)] = scores
        merged[:, n_new:] = self._scores[rows]
        merged.partition(n_new, axis=1)
        self._scores[rows] = merged[:, n_new:]
        self.worst[rows] = merged[:, n_new]
