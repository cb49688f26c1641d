"""Scorers without torch, and what every ``Retriever`` must do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.clock import FakeClock
from vizsla.contracts.index import Query, SearchOptions, SearchResult, StopReason

__all__ = ["CountingScorer", "DistanceScorer", "MlpScorer", "TableScorer"]


class TableScorer:
    """Scores read from a table: query ``history[0]`` is the row, so answers are known.

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
        """Return the table's row of each query."""
        return np.array([query.history[0] for query in queries], np.int64)

    def score(
        self, state: NDArray[np.int64], query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Look the scores up."""
        return self.table[state[query_of], item_nums]
