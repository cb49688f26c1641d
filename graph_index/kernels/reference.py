"""What the compiled kernels do, in plain NumPy and Python; for tests and for reading.

Shapes: **B** queries, **N** items, **M** degree, **E** entries, **W** width of a beam.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

__all__ = ["claim", "dots_of_rows", "keep_best", "walk_by_dot"]


def claim(stamps: NDArray[np.int32], keys: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """Stamp cells and return those whose stamp was below ``base``, each once, in the order given.

    Example:
        >>> stamps = np.zeros(4, np.int32)
        >>> claim(stamps, np.array([3, 1, 3]), 1).tolist(), stamps.tolist()
        ([3, 1], [0, 1, 0, 1])
    """
    fresh = keys[stamps[keys] < base]
    _, first = np.unique(fresh, return_index=True)
    stamps[keys] = base
    return fresh[np.sort(first)]


def keep_best(
    beams: NDArray[np.float32], query_of: NDArray[np.int64], scores: NDArray[np.float32]
) -> None:
    """Put scores into their query's row of ``beams``, which keeps the best, in place.

    A row's smallest value comes first; the order of the others is nobody's business.

    Args:
        beams: ``(B, W)`` float32, each row's smallest value first.
        query_of: ``(C,)`` int64.
        scores: ``(C,)`` float32.

    Example:
        >>> beams = np.array([[-np.inf, 3.0]], np.float32)
        >>> keep_best(beams, np.array([0, 0]), np.array([1.0, 2.0], np.float32))
        >>> beams.tolist()
        [[2.0, 3.0]]
    """
    for query, score in zip(query_of.tolist(), scores.tolist(), strict=True):
        if score > beams[query, 0]:
            beams[query, 0] = score
            beams[query].sort()


def walk_by_dot(
    graph: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]],
    table: tuple[NDArray[np.float32], NDArray[np.float32]],
    proxy: NDArray[np.float32],
    width: int,
    marks: tuple[NDArray[np.int32], int],
    allowed: NDArray[np.bool_],
    budget: int,
) -> tuple[NDArray[np.int64], int]:
    """Find the items with the largest dot products by best-first search over a graph.

    Args:
        graph: ``(N, M)`` neighbours, ``(E,)`` distinct entries, and their ``(E,)`` dot products.
        table: ``(N, D)`` item vectors (or bfloat16 bits, or int8), and the scales of int8.
        proxy: ``(D,)`` float32.
        width: Items kept; the search ends when no item left to expand is better than all of them.
        marks: ``(N,)`` int32 stamps, all below the number that comes with them.
        allowed: ``(N,)`` bool, items that may be kept, the others only lead on; none for all.
        budget: Products after which the search gives up, at the next item that it would expand.

    Returns:
        At most ``width`` items, best first, and how many dot products that took.
    """
    (neighbors, entries, products), (vectors, _), (stamps, stamp) = graph, table, marks
    kept: list[tuple[float, int]] = []  # a heap, the smallest score on top
    waiting: list[tuple[float, int]] = []  # a heap of negative scores
    n_scored, fresh = 0, claim(stamps, np.asarray(entries, np.int64), stamp)
    scores = products
    while True:
        n_scored += len(fresh)
        for score, item in zip(scores.tolist(), fresh.tolist(), strict=True):
            if len(kept) == width and score <= kept[0][0]:
                continue
            heappush(waiting, (-score, item))
            if not len(allowed) or allowed[item]:
                heappush(kept, (score, item))
                if len(kept) > width:
                    heappop(kept)
        best_below = len(kept) == width and waiting and -waiting[0][0] < kept[0][0]
        if not waiting or n_scored > budget or best_below:
            return np.array([item for _, item in sorted(kept, reverse=True)], np.int64), n_scored
        fresh = claim(stamps, neighbors[heappop(waiting)[1]].astype(np.int64), stamp)
        scores = vectors[fresh] @ proxy


def dots_of_rows(
    table: tuple[NDArray[np.float32], NDArray[np.float32]],
    rows: NDArray[np.int64],
    proxy: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the ``(R,)`` dot products of some rows of a table with a vector; no copy of them."""
    products: NDArray[np.float32] = table[0][rows] @ proxy
    return products
