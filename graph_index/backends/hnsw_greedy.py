"""The control of the walk: HNSW's own loop, one item at a time, under any scorer (SL2G)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from graph_index.plan import Plan
from graph_index.retriever import GraphRetriever
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.walk import BeamWalk, ScoredItems
from vizsla.contracts.index import SearchResult

__all__ = ["GreedyRetriever"]


class GreedyRetriever(GraphRetriever):
    """Best-first search with ``ef = beam_width``: to compare the walk with, not to serve.

    The same graph and entry set, but each step expands the single best unexpanded item
    and the search ends when that one is outside the beam.  There is no bound on
    steps, so latency is not bounded, and each step scores a handful of items, so the
    scorer's fixed cost per call is paid often.  The proxy is not used.

    References:
        Tan et al., WSDM 2020 (SL2G); the comparison is Fig. 3 of Chen et al., CIKM 2022.
    """

    @property
    def walk_class(self) -> Callable[..., BeamWalk]:
        """The loop that moves on the graph."""
        return _GreedyWalk

    def _walk(self, scoring: Scoring, plan: Plan, returnable: Returnable) -> list[SearchResult]:
        unbounded = replace(plan, entry_width=1, max_rounds=self.n_items, proxy_seeds=0)
        return super()._walk(scoring, unbounded, returnable)


class _GreedyWalk(BeamWalk):
    def _next_frontier(self, latest: ScoredItems) -> ScoredItems:
        return self._rest_of_beam(self._running)
