"""A walk that guesses a neighbour's score before it pays for it.

Shapes: **F** frontier, **M** degree, **D** vector size, **C** candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.ranking import ranked_per_query
from graph_index.walk import BeamWalk, ScoredItems

__all__ = ["PrunedWalk"]


class PrunedWalk(BeamWalk):
    """Scores only the most promising unvisited neighbours of a round.

    A neighbour's score is guessed from the item that it was met from, to first order:
    ``score(parent) + slope . (vector(neighbour) - vector(parent))``.  The slope is the scorer's
    derivative at the parent, or its proxy, which is the same for the whole query and costs no
    call.  A query that has not yet found the results it wants is not pruned, and without a slope
    nobody is.

    Args:
        arguments: Of ``BeamWalk``.
        item_vectors: ``(N, D)`` float32.
        keep_ratio: Share of each query's unvisited neighbours that is scored.
        by_gradient: Whether the slope is the derivative; else the proxy.

    References:
        Zhao et al., "GUITAR: Gradient Pruning toward Fast Neural Ranking", SIGIR 2023.
    """

    def __init__(
        self,
        *arguments: Any,
        item_vectors: NDArray[np.float32],
        keep_ratio: float,
        by_gradient: bool,
    ) -> None:
        super().__init__(*arguments)
        self._vectors = item_vectors
        self._keep_ratio = keep_ratio
        self._by_gradient = by_gradient
        size = item_vectors.shape[1]
        self._proxies = None if by_gradient else self._scoring.proxy_vectors(size)

    def _neighbor_keys(self, frontier: ScoredItems) -> NDArray[np.int64]:
        keys = super()._neighbor_keys(frontier)
        slopes = self._slopes(frontier) if len(keys) else None
        if slopes is None:
            return keys
        parents = np.repeat(np.arange(len(frontier.keys)), self._graph.max_degree)
        new = np.flatnonzero(self._marks.is_unvisited(keys))
        guesses = self._guesses(frontier, slopes, parents[new], keys[new])
        return keys[np.sort(new[self._promising(keys[new], guesses)])]

    def _slopes(self, frontier: ScoredItems) -> NDArray[np.float32] | None:
        if self._proxies is not None:
            return self._proxies[frontier.query_of]
        if not self._by_gradient:
            return None
        return self._scoring.gradient(frontier.query_of, frontier.item_nums)

    def _guesses(
        self,
        frontier: ScoredItems,
        slopes: NDArray[np.float32],
        parents: NDArray[np.int64],
        keys: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return ``(C,)`` guessed scores; the parent's own part is computed once per parent."""
        at_parent = np.einsum("fd,fd->f", slopes, self._vectors[frontier.item_nums])
        at_item = np.einsum("cd,cd->c", slopes[parents], self._vectors[keys % self._graph.n_items])
        guesses: NDArray[np.float32] = (frontier.scores - at_parent)[parents] + at_item
        return guesses

    def _promising(
        self, keys: NDArray[np.int64], guesses: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """Return the places of each query's best guesses, and of all of one that lacks results."""
        query_of, items = np.divmod(keys, self._graph.n_items)
        counts = np.bincount(query_of, minlength=len(self._running))
        kept = np.ceil(self._keep_ratio * counts).astype(np.int64)
        kept = np.where(self._n_returnable < self._wanted, counts, kept)
        order = ranked_per_query(query_of, items, guesses, int(counts.max(initial=0)))
        ends = np.cumsum(counts) - counts
        ranks = np.arange(len(order)) - ends[query_of[order]]
        return order[ranks < kept[query_of[order]]]
