"""Search a catalogue by walking its graph, or exhaustively where that is cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from graph_index.candidates import CandidateSource, FloatScan, open_source
from graph_index.dot_walk import DotWalk
from graph_index.exhaustive import score_exhaustively
from graph_index.graph import Graph
from graph_index.plan import Plan, checked_exclusions, plan_search
from graph_index.pruning import PrunedWalk
from graph_index.rescore import enough, rescore
from graph_index.returnable import Returnable, checked_allowed
from graph_index.scoring import Scoring
from graph_index.seeds import seed_keys
from graph_index.settings import SearchSettings
from graph_index.walk import BeamWalk
from graph_index.workspace import ThreadWorkspaces, Workspace
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import (
    Mode,
    Query,
    Scorer,
    SearchOptions,
    SearchResult,
    StopReason,
)
from vizsla.contracts.tables import ItemTables
from vizsla.errors import ContractError

__all__ = ["GraphRetriever"]

_ALL_PERCENT = 100

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
        self._tables = tables
        self._clock: Clock = clock or SystemClock()
        self._workspaces = ThreadWorkspaces()

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

    def over(self, graph: Graph, item_vectors: NDArray[np.float32]) -> GraphRetriever:
        """Return a retriever with the same settings over another state of the catalogue.

        The two share each thread's workspace, so that a new state costs no new marks.
        """
        other = type(self)(graph, item_vectors, self.settings, clock=self._clock)
        other._workspaces = self._workspaces
        # an index over the vectors would have to be built again for every change
        other.source = other._plain_source()
        return other

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return self.graph.n_items

    @property
    def index_bytes(self) -> int:
        """Memory of the index besides the item vectors and the scorer's tables."""
        arrays = (self.graph.neighbors, self.graph.entry_points, self.graph.alive)
        return self.source.n_bytes + sum(array.nbytes for array in arrays)

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """``(N, D)`` vectors that a scorer's proxy is multiplied with."""
        return self._item_vectors

    @property
    def walk_class(self) -> Callable[..., BeamWalk]:
        """The loop that moves on the graph."""
        if self.settings.keep_percent == _ALL_PERCENT:
            return BeamWalk
        return self._pruned(by_gradient=False)

    def _pruned(self, *, by_gradient: bool) -> Callable[..., BeamWalk]:
        return partial(
            PrunedWalk,
            item_vectors=self._item_vectors,
            keep_ratio=self.settings.keep_percent / _ALL_PERCENT,
            by_gradient=by_gradient,
        )

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
        plans = {
            filtered: plan_search(options, self.settings, self.n_items, filtered=filtered)
            for filtered in (False, True)
        }
        excluded = checked_exclusions(options, len(queries), self.n_items)
        allowed = checked_allowed(options, len(queries), self.n_items)
        returnable = Returnable(self.graph.alive, excluded, allowed)
        results: dict[int, SearchResult] = {}
        for walking, filtered, members in self._groups(options.mode, returnable):
            batch, part = [queries[i] for i in members], returnable.part(members)
            found = self._answer(scorer, batch, plans[filtered], part, walking=walking)
            results.update(zip(members, found, strict=True))
        return [results[i] for i in range(len(queries))]

    def _answer(
        self,
        scorer: Scorer,
        queries: Sequence[Query],
        plan: Plan,
        returnable: Returnable,
        *,
        walking: bool,
    ) -> list[SearchResult]:
        """Answer queries that go together."""
        scoring = Scoring(scorer, queries, self._clock, self.n_items, deadline_s=plan.deadline_s)
        answer = self._walk if walking else self._score_all
        return answer(scoring, plan, returnable)

    def _groups(self, mode: Mode, returnable: Returnable) -> Iterator[tuple[bool, bool, list[int]]]:
        """Yield batches that go together: whether to walk, whether filtered, and which queries."""
        width = max(1, min(self.settings.max_lockstep, _MOST_CELLS // self.n_items))
        kinds = [
            (self._walks(mode, n_allowed), bool(returnable.filtered[query]))
            for query, n_allowed in enumerate(returnable.counts.tolist())
        ]
        for wanted in sorted(set(kinds), reverse=True):
            members = [query for query, kind in enumerate(kinds) if kind == wanted]
            for start in range(0, len(members), width):
                yield *wanted, members[start : start + width]

    def _walks(self, mode: Mode, n_allowed: int) -> bool:
        if n_allowed == 0:
            return False
        if mode is Mode.AUTO:
            return n_allowed > self.settings.exhaustive_below
        return mode is Mode.WALK

    def _walk(self, scoring: Scoring, plan: Plan, returnable: Returnable) -> list[SearchResult]:
        found = None
        if plan.proxy_seeds:
            width = min(plan.proxy_seeds, plan.max_scored)
            found = self.source.best(scoring, width, returnable, plan.seed_effort)
        wanted = np.minimum(plan.k, returnable.counts)
        if found is not None and plan.rescores and enough(found, wanted):
            cut = plan.max_scored < plan.proxy_seeds
            reason = StopReason.BUDGET if cut else StopReason.ROUNDS
            return rescore(scoring, found, plan, [reason] * len(found))
        marks = self._begun_marks(scoring.n_queries, returnable)
        seeds = None if found is None else seed_keys(found, self.graph, plan)
        walk = BeamWalk if returnable.filtered.any() else self.walk_class
        return walk(self.graph, scoring, plan, marks, returnable).run(seeds)

    def _begun_marks(self, n_queries: int, returnable: Returnable) -> Workspace:
        marks = self._workspaces.own
        marks.begin(n_queries * self.n_items)
        if any(map(len, returnable.excluded)):
            excluded = enumerate(returnable.excluded)
            marks.block(np.concatenate([items + query * self.n_items for query, items in excluded]))
        return marks

    @cached_property
    def source(self) -> CandidateSource:
        """Where a search's first candidates come from; opened when it is first asked."""
        return self._open_source()

    def _open_source(self) -> CandidateSource:
        kind = self.settings.seed_search
        return open_source(kind, self._item_vectors) if kind else self._plain_source()

    def _plain_source(self) -> CandidateSource:
        """Return a source that needs no index but the graph."""
        if self.n_items > self.settings.proxy_scan_below:
            return DotWalk(self.graph, self._item_vectors, self._workspaces, self._tables)
        return FloatScan(self._item_vectors)

    def _score_all(
        self, scoring: Scoring, plan: Plan, returnable: Returnable
    ) -> list[SearchResult]:
        allowed = [returnable.items(query) for query in range(scoring.n_queries)]
        chunk = self.settings.chunk_items
        return score_exhaustively(scoring, allowed, plan, self._item_vectors, chunk)
