"""A control: the most popular items, scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.candidates import CandidateSource, FixedOrder
from graph_index.graph import Graph
from graph_index.rivals import RescoringRetriever
from graph_index.settings import SearchSettings
from vizsla.clock import Clock
from vizsla.contracts.tables import ItemTables

__all__ = ["PopularityRetriever"]


class PopularityRetriever(RescoringRetriever):
    """The ``proxy_seeds`` items with the most interactions, scored.

    Args:
        graph: For its alive mask.
        item_vectors: ``(N, D)`` float32.
        settings: Defaults of a search.
        clock: For deadlines and times.
        tables: See ``GraphRetriever``; not read.
        n_interactions: ``(N,)`` int64 of each item; None where nothing is known: then the smaller
            item number goes first.
    """

    def __init__(
        self,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        clock: Clock | None = None,
        tables: ItemTables | None = None,
        n_interactions: NDArray[np.int64] | None = None,
    ) -> None:
        known = np.zeros(graph.n_items, np.int64) if n_interactions is None else n_interactions
        self._order = np.argsort(-known, kind="stable")
        super().__init__(graph, item_vectors, settings, clock=clock, tables=tables)

    def _open_source(self) -> CandidateSource:
        return FixedOrder(self._order)
