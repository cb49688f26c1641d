"""The best scores seen so far of each query of a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        """Merge new scores."""
        from graph_index.kernels.compiled import keep_best

        keep_best(self._scores, query_of, scores)
        self.worst = self._scores[:, 0].copy()

    def kth_best(self, k: int) -> NDArray[np.float32]:
        """Return ``(B,)`` the ``k``-th best score of each query, -infinity where there are fewer."""
        cut = self._scores.shape[1] - k
        best: NDArray[np.float32] = np.partition(self._scores, cut, axis=1)[:, cut]
        return best
