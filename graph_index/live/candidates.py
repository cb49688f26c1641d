"""Near items of a vector that is not in the graph yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.contracts.index import Mode, Query, SearchOptions

__all__ = ["EXACT_BELOW", "near_items"]

EXACT_BELOW = 200_000
"""Catalogues of at most so many items are scanned: one matrix product is faster than a walk."""

_MOST_EQUAL = 8
_EQUAL = 4e-6


class _Nearness:
    """Minus the squared distance to a vector, as a ``Scorer``: a query's one feature names its target."""

    def __init__(self, item_vectors: NDArray[np.float32], targets: NDArray[np.float32]) -> None:
        self._item_vectors = item_vectors
        self._targets = targets

    @property
    def n_items(self) -> int:
        return len(self._item_vectors)

    def user_state(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        rows = np.array([query.user_features for query in queries], np.int64)[:, 0]
        return np.asarray(self._targets[rows], np.float32)

    def score(
        self, state: Any, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        gaps = self._item_vectors[item_nums] - state[query_of]
        return np.asarray(-np.einsum("cd,cd->c", gaps, gaps), np.float32)


def near_items(
    graph: Graph, item_vectors: NDArray[np.float32], targets: NDArray[np.float32], k: int
) -> list[NDArray[np.int64]]:
    """Find about the ``k`` nearest items that are alive in ``graph``, for each of R targets.

    Exact up to ``EXACT_BELOW`` items, a walk above.  Of items with the target's own
    vector at most eight are returned, or they would be its only neighbours.

    Returns:
        One int64 array per target, in no order, with fewer than ``k`` where there are fewer.
    """
    if graph.n_items <= EXACT_BELOW:
        return _scanned(graph.alive, item_vectors, targets, k)
    settings = SearchSettings(beam_width=2 * k, max_rounds=10, proxy_seeds=0, exhaustive_below=0)
    nobody = np.empty(0, np.int64)
    queries = [Query(nobody, np.array([row])) for row in range(len(targets))]
    found = GraphRetriever(graph, item_vectors, settings).search(
        _Nearness(item_vectors, targets), queries, SearchOptions(k=k, mode=Mode.WALK)
    )
    return [result.item_nums for result in found]


def _scanned(
    alive: NDArray[np.bool_],
    item_vectors: NDArray[np.float32],
    targets: NDArray[np.float32],
    k: int,
) -> list[NDArray[np.int64]]:
    lengths = np.einsum("nd,nd->n", item_vectors, item_vectors)
    lengths[~alive] = np.inf
    own = np.einsum("rd,rd->r", targets, targets)
    distances = lengths - 2 * (targets @ item_vectors.T) + own[:, None]
    return [_nearest(row, k, _EQUAL * own[i]) for i, row in enumerate(distances)]


def _nearest(distances: NDArray[np.float32], k: int, equal: float) -> NDArray[np.int64]:
    same = np.flatnonzero(distances <= equal)
    distances[same[_MOST_EQUAL:]] = np.inf
    best = np.argpartition(distances, k)[:k] if k < len(distances) else np.arange(len(distances))
    return best[np.isfinite(distances[best])]
