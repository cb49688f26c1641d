"""Best first, ties to the smaller item number; for one query or a ragged batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["group_ranks", "ranked_per_query", "top_k"]


def top_k(
    item_nums: NDArray[np.int64], scores: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the ``min(k, C)`` best of C items, best first, ties to the smaller item number.

    Example:
        >>> items, scores = top_k(np.array([7, 3, 5]), np.array([1.0, 2.0, 2.0], np.float32), 2)
        >>> items.tolist(), scores.tolist()
        ([3, 5], [2.0, 2.0])
    """
    if len(scores) > k:
        cut = len(scores) - k
        kept = scores >= np.partition(scores, cut)[cut]
        item_nums, scores = item_nums[kept], scores[kept]
    order = np.lexsort((item_nums, -scores))[:k]
    return item_nums[order], scores[order]


def ranked_per_query(
    query_of: NDArray[np.int64],
    item_nums: NDArray[np.int64],
    scores: NDArray[np.float32],
    width: int,
) -> NDArray[np.int64]:
    """Return positions of each query's ``width`` best items: queries ascending, best first.

    Example:
        >>> ranked_per_query(
        ...     np.array([1, 0, 1, 1]), np.array([9, 4, 2, 3]), np.array([5, 1, 5, 8], np.float32), 2
        ... ).tolist()
        [1, 3, 2]
    """
    order = np.lexsort((item_nums, -scores, query_of))
    return order[group_ranks(query_of[order]) < width]


def group_ranks(query_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of each element within its query's run; ``query_of`` is ascending.

    Example:
        >>> group_ranks(np.array([0, 0, 2, 2, 2])).tolist()
        [0, 1, 0, 1, 2]
    """
    if not len(query_of):
        return np.empty(0, np.int64)
    heads = np.flatnonzero(query_of[1:] != query_of[:-1]) + 1
    starts = np.zeros(query_of[-1] + 1, np.int64)
    starts[query_of[heads]] = heads
    return np.arange(len(query_of)) - starts[query_of]
