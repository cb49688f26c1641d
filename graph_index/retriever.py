"""Search a catalogue by walking its graph, or exhaustively where that is cheaper."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from graph_index.exhaustive import allowed_items, score_exhaustively
from graph_index.graph import Graph
from graph_index.plan import Plan, checked_exclusions, plan_search
from graph_index.scoring import Scoring
from graph_index.seeds import proxy_seeds
from graph_index.settings import SearchSettings
from graph_index.walk import BeamWalk
from graph_index.workspace import Workspace
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import Mode, Query, Scorer, SearchOptions, SearchResult
from vizsla.contracts.tables import ItemTables, tables_of
from vizsla.errors import ContractError

__all__ = ["GraphRetriever"]

_MOST_CELLS = 2**25
"""Marks of one walk, 128 MiB: bounds how many queries of a large catalogue go together."""


class GraphRetriever:
    """A ``Retriever`` over a graph; safe to share between threads.

    ``Mode.AUTO`` scores everything when at most ``settings.exhaustive_below`` items may
    be returned (a small catalogue, or a narrow filter), and walks otherwise.

    Args:
        graph: The graph over N items.
        item_vectors: ``(N, D)`` float32, what the scorer's proxy is multiplied with.
        settings: Defaults of a search; None for the measured ones.
        clock: For deadlines and times; None for the machine's.
        tables: The vectors in fewer bytes, for seeding alone; None uses ``item_vectors``.

    Raises:
        ContractError: Graph and vectors have different numbers of items.
    """

    def __init__(
        self,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        clock: Clock | None = None,
        tables: ItemTables | None = None,
    ) -> None:
        if len(item_vectors) != graph.n_items:
            raise ContractError(f"{len(item_vectors)} vectors for a graph of {graph.n_items} items")
        self.graph = graph
        self.settings = settings or SearchSettings()
        self._item_vectors = item_vectors
        self._tables = tables or tables_of([item_vectors])
        self._clock: Clock = clock or SystemClock()
        self._per_thread = threading.local()
        self._n_alive = int(np.count_nonzero(graph.alive))

    @classmethod
    def from_graph(
        cls,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        settings: SearchSettings | None = None,
        *,
        clock: Clock | None = None,
        tables: ItemTables | None = None,
    ) -> GraphRetriever:
        """Open the backend, as every entry of ``BACKENDS`` can be opened."""
        return cls(graph, item_vectors, settings, clock=clock, tables=tables)

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return self.graph.n_items

    @property
    def walk_class(self) -> type[BeamWalk]:
        """The loop that moves on the graph."""
        return BeamWalk

    def search(
        self, scorer: Scorer, queries: Sequence[Query], options: SearchOptions
    ) -> list[SearchResult]:
        """Answer B queries, each independent of the others in the batch.

        Args:
            scorer: Scores the catalogue's items; a ``ProxyScorer`` also seeds the walk.
            queries: The batch; may be empty.
            options: See ``SearchOptions``; what is None comes from the settings.

        Returns:
            One result per query with at most ``k`` items, best first, ties to the
            smaller item number; fewer where fewer may be returned, where a budget ends
            the search early, and none when the deadline had passed before it began.

        Raises:
            ContractError: An option is out of range, or the scorer broke its contract
                (other ``n_items``, wrong length, NaN or infinity).
        """
        plan = plan_search(options, self.settings, self.n_items)
        excluded = checked_exclusions(options, len(queries), self.n_items)
        results: dict[int, SearchResult] = {}
        for walking, members in self._groups(options.mode, excluded):
            scoring = Scoring(scorer, [queries[i] for i in members], self._clock, self.n_items)
            answer = self._walk if walking else self._score_all
            found = answer(scoring, plan, [excluded[i] for i in members])
            results.update(zip(members, found, strict=True))
        return [results[i] for i in range(len(queries))]

    def _groups(
        self, mode: Mode, excluded: list[NDArray[np.int64]]
    ) -> Iterator[tuple[bool, list[int]]]:
        """Yield batches that are searched together: whether to walk, and which queries."""
        width = max(1, min(self.settings.max_lockstep, _MOST_CELLS // self.n_items))
        walking = [self._walks(mode, self._n_allowed(items)) for items in excluded]
        for wanted in (True, False):
            members = [query for query, walks in enumerate(walking) if walks is wanted]
            for start in range(0, len(members), width):
                yield wanted, members[start : start + width]

    def _n_allowed(self, excluded: NDArray[np.int64]) -> int:
        return self._n_alive - int(np.count_nonzero(self.graph.alive[excluded]))

    def _walks(self, mode: Mode, n_allowed: int) -> bool:
        if mode is Mode.AUTO:
            return n_allowed > self.settings.exhaustive_below
        return mode is Mode.WALK

    def _walk(
        self, scoring: Scoring, plan: Plan, excluded: list[NDArray[np.int64]]
    ) -> list[SearchResult]:
        marks = self._marks()
        seeds = proxy_seeds(scoring, self.graph, self._tables, plan, excluded, marks)
        marks.begin(scoring.n_queries * self.n_items)
        if any(map(len, excluded)):
            keys = [items + query * self.n_items for query, items in enumerate(excluded)]
            marks.block(np.concatenate(keys))
        wanted = [min(plan.k, self._n_allowed(items)) for items in excluded]
        return self.walk_class(self.graph, scoring, plan, marks, np.array(wanted)).run(seeds)

    def _score_all(
        self, scoring: Scoring, plan: Plan, excluded: list[NDArray[np.int64]]
    ) -> list[SearchResult]:
        allowed = allowed_items(self.graph.alive, excluded)
        chunk = self.settings.chunk_items
        return score_exhaustively(scoring, allowed, plan, self._item_vectors, chunk)

    def _marks(self) -> Workspace:
        """Return the calling thread's workspace, so that concurrent searches share nothing."""
        marks: Workspace | None = getattr(self._per_thread, "marks", None)
        if marks is None:
            marks = self._per_thread.marks = Workspace()
        return marks
