"""A rival of the walk for mixtures of dot products: score in the order of a bound, stop when sure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.candidates import CandidateSource, FixedOrder
from graph_index.plan import Plan
from graph_index.ranking import top_k
from graph_index.retriever import GraphRetriever
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.selection import largest
from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason

__all__ = ["RailsRetriever"]

_NO_BOUNDS = np.empty(0, np.float32)
_ROUNDING = 1e-5
"""Relative error of a bound and of a score in float32, with room."""


class RailsRetriever(GraphRetriever):
    """Component-wise retrieval with a bound, for a ``ComponentScorer``.

    A score is at most the proxy's product plus the largest product of two components: all those
    products are made by matrix products over the catalogue, which is much cheaper than its gates.
    The ``proxy_seeds`` items with the largest bounds are scored; then every item whose bound
    reaches the ``k``-th best score found, which makes the answer exact (``COMPLETE``).  With
    ``max_rounds = 0`` the second step is left out.

    A scorer without components is asked for every score.

    References:
        Ding and Zhai, "Efficient Retrieval with Learned Similarities", WWW 2025 (RAILS). There
        each component has an index of its own, and the bound is that of the component; here
        each item has its own, which is never looser.
    """

    def _open_source(self) -> CandidateSource:
        return FixedOrder(np.arange(self.n_items))

    @property
    def index_bytes(self) -> int:
        """Nothing: the components are the scorer's."""
        return 0

    def _walk(self, scoring: Scoring, plan: Plan, returnable: Returnable) -> list[SearchResult]:
        results = []
        for query in range(scoring.n_queries):
            allowed = returnable.items(query)[: 0 if scoring.overdue else None]
            bounds = self._bounds(scoring, query, allowed) if len(allowed) else _NO_BOUNDS
            if bounds is None:
                return self._score_all(scoring, plan, returnable)
            results.append(_answer(scoring, query, allowed, bounds, plan))
        return results

    def _bounds(
        self, scoring: Scoring, query: int, allowed: NDArray[np.int64]
    ) -> NDArray[np.float32] | None:
        bounds = scoring.component_bounds(query, self._item_vectors)
        return None if bounds is None else bounds[allowed]


def _answer(
    scoring: Scoring,
    query: int,
    allowed: NDArray[np.int64],
    bounds: NDArray[np.float32],
    plan: Plan,
) -> SearchResult:
    first = largest(bounds, min(max(plan.proxy_seeds, plan.k), plan.max_scored))
    scores = _scores(scoring, query, allowed[first], plan)
    rest = _could_be_better(bounds, first, scores, plan) if plan.max_rounds else first[:0]
    kept = rest[: plan.max_scored - len(first)]
    scores = np.concatenate([scores, _scores(scoring, query, allowed[kept], plan)])
    places = np.concatenate([first, kept])[: len(scores)]
    late = scoring.overdue
    work = SearchWork(
        mode=Mode.WALK,
        n_scored=len(scores),
        n_rounds=int(len(kept) > 0),
        n_proxy_scored=scoring.n_proxy_scored,
        stopped_by=StopReason.DEADLINE if late else _reason(plan, len(places), allowed),
        parts_us=scoring.parts_us(),
    )
    return SearchResult(*top_k(allowed[places], scores, plan.k), work)


def _scores(
    scoring: Scoring, query: int, items: NDArray[np.int64], plan: Plan
) -> NDArray[np.float32]:
    if not len(items) or scoring.overdue:
        return np.empty(0, np.float32)
    return scoring.score_in_time(np.full(len(items), query), items)


def _could_be_better(
    bounds: NDArray[np.float32],
    scored: NDArray[np.int64],
    scores: NDArray[np.float32],
    plan: Plan,
) -> NDArray[np.int64]:
    """Return the places, largest bound first, whose bound reaches the ``k``-th best score."""
    kth = np.sort(scores)[-plan.k :][:1] if len(scores) >= plan.k else -np.inf
    reaches = bounds + _ROUNDING * (1 + np.abs(bounds)) >= kth
    reaches[scored] = False
    places = np.flatnonzero(reaches)
    return places[np.argsort(-bounds[places], kind="stable")]


def _reason(plan: Plan, n_scored: int, allowed: NDArray[np.int64]) -> StopReason:
    """Tell an answer that is certain from one that was cut."""
    if n_scored < len(allowed) and not plan.max_rounds:
        return StopReason.ROUNDS
    cut = plan.max_scored < len(allowed) and n_scored == plan.max_scored
    return StopReason.BUDGET if cut else StopReason.COMPLETE
