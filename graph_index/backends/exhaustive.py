"""Exact search: score every item that may be returned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from graph_index.exhaustive import score_exhaustively
from graph_index.graph import Graph
from graph_index.plan import checked_exclusions, plan_search
from graph_index.returnable import Returnable, checked_allowed
from graph_index.scoring import Scoring
from graph_index.settings import SearchSettings
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import Query, Scorer, SearchOptions, SearchResult
from vizsla.contracts.tables import ItemTables

__all__ = ["ExhaustiveRetriever"]


class ExhaustiveRetriever:
    """A ``Retriever`` without an index, whatever ``mode`` asks for: the oracle of the others.

    Args:
        item_vectors: ``(N, D)`` float32; only its proxy product under ``max_scored`` reads it.
        settings: ``chunk_items`` and ``max_lockstep`` matter here.
        alive: ``(N,)`` bool, items that may be returned; None for all.
        clock: For deadlines and times; None for the machine's.
    """

    def __init__(
        self,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        alive: NDArray[np.bool_] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings or SearchSettings()
        self._item_vectors = item_vectors
        self._alive = np.ones(len(item_vectors), np.bool_) if alive is None else alive
        self._clock: Clock = clock or SystemClock()

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        clock: Clock | None = None,
        tables: ItemTables | None = None,
    ) -> ExhaustiveRetriever:
        """Open the backend, as every entry of ``BACKENDS`` can be opened; uses the alive mask."""
        return cls(item_vectors, settings, alive=graph.alive, clock=clock)

    @property
    def index_bytes(self) -> int:
        """Memory of the index besides the item vectors and the scorer's tables."""
        return int(self._alive.nbytes)

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return len(self._item_vectors)

    def search(
        self, scorer: Scorer, queries: Sequence[Query], options: SearchOptions
    ) -> list[SearchResult]:
        """Answer B queries exactly, unless a budget or a deadline ends it early.

        Raises:
            ContractError: An option is out of range, or the scorer broke its contract.
        """
        plan = plan_search(options, self.settings, self.n_items)
        excluded = checked_exclusions(options, len(queries), self.n_items)
        allowed = checked_allowed(options, len(queries), self.n_items)
        returnable = Returnable(self._alive, excluded, allowed)
        results: list[SearchResult] = []
        for start in range(0, len(queries), self.settings.max_lockstep):
            rows = range(len(queries))[start : start + self.settings.max_lockstep]
            asked = [queries[i] for i in rows]
            scoring = Scoring(scorer, asked, self._clock, self.n_items, deadline_s=plan.deadline_s)
            items = [returnable.items(i) for i in rows]
            results += score_exhaustively(
                scoring, items, plan, self._item_vectors, self.settings.chunk_items
            )
        return results
