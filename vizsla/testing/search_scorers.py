"""Scorers that show what a search did, for tests of anything that searches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.clock import FakeClock
from vizsla.contracts.index import Query, Scorer
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import DotScorer

__all__ = [
    "BrokenScorer",
    "CountingScorer",
    "DistanceScorer",
    "TableScorer",
    "clustered_vectors",
]


class TableScorer:
    """Scores read from a table, so that answers are known.

    ``history[0]`` of a query is its row, or ``user_features[0]`` where it has no history.

    Args:
        table: ``(Q, N)`` float32 scores.

    Example:
        >>> scorer = TableScorer(np.array([[0.5, 1.5]], np.float32))
        >>> state = scorer.user_state([Query(np.array([0]))])
        >>> scorer.score(state, np.array([0]), np.array([1])).tolist()
        [1.5]
    """

    def __init__(self, table: NDArray[np.float32]) -> None:
        self.table = table

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return int(self.table.shape[1])

    def user_state(self, queries: Sequence[Query]) -> NDArray[np.int64]:
        """Return ``(B,)`` the table's row of each query."""
        sources = (q.history if len(q.history) else q.user_features for q in queries)
        return np.array([-1 if source is None else source[0] for source in sources], np.int64)

    def score(
        self, state: NDArray[np.int64], query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Look the scores up."""
        found: NDArray[np.float32] = self.table[state[query_of], item_nums]
        return found


class DistanceScorer(DotScorer):
    """Minus the squared Euclidean distance to the history's mean: what the graph is made for."""

    def score(
        self, state: NDArray[np.float32], query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return ``(C,)`` scores, at most 0."""
        gaps = state[query_of] - self.item_vectors[item_nums]
        return np.asarray(-(gaps * gaps).sum(axis=1), np.float32)


class CountingScorer:
    """Passes on to another scorer and remembers what it was asked; offers no proxy.

    Args:
        scorer: Gives the answers.
        clock: Moved forward by ``seconds_per_call`` at each call of ``score``.
        seconds_per_call: What a call takes on that clock.

    Attributes:
        calls: ``(query_of, item_nums)`` of each call of ``score``; queries are numbered on
            from one call of ``user_state`` to the next.
    """

    def __init__(
        self, scorer: Scorer, clock: FakeClock | None = None, seconds_per_call: float = 0.0
    ) -> None:
        self.calls: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._n_queries = 0
        self._scorer = scorer
        self._clock = clock
        self._seconds_per_call = seconds_per_call

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self._scorer.n_items

    def user_state(self, queries: Sequence[Query]) -> tuple[int, Any]:
        """Return the number of the first query, and the other scorer's state."""
        first = self._n_queries
        self._n_queries += len(queries)
        return first, self._scorer.user_state(queries)

    def score(
        self, state: tuple[int, Any], query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the other scorer's answer."""
        first, inner = state
        self.calls.append((query_of + first, item_nums))
        if self._clock is not None:
            self._clock.advance(self._seconds_per_call)
        return self._scorer.score(inner, query_of, item_nums)

    def scored(self) -> NDArray[np.int64]:
        """Return ``(B, N)`` how often each item was scored for each query so far."""
        times = np.zeros((self._n_queries, self.n_items), np.int64)
        for query_of, item_nums in self.calls:
            np.add.at(times, (query_of, item_nums), 1)
        return times


class BrokenScorer(DotScorer):
    """Breaks the contract: what it answers goes through ``damage`` first."""

    def __init__(
        self,
        item_vectors: NDArray[np.float32],
        damage: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    ) -> None:
        super().__init__(item_vectors)
        self._damage = damage

    def score(
        self, state: NDArray[np.float32], query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the damaged scores."""
        return self._damage(super().score(state, query_of, item_nums))


def clustered_vectors(
    n_items: int, size: int = 8, n_clusters: int = 10, noise: float = 0.3, seed: int = 0
) -> NDArray[np.float32]:
    """Draw ``(N, D)`` vectors of unit length around random centres; item ``i`` in ``i % n``."""
    rng = numpy_generator(seed, "clustered vectors")
    centres = rng.normal(size=(n_clusters, size))[np.arange(n_items) % n_clusters]
    vectors = (centres + noise * rng.normal(size=(n_items, size))).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
