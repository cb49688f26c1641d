"""Beam search of a batch of queries over a graph, in lockstep, under any scorer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.beam import Beams
from graph_index.graph import Graph
from graph_index.plan import Plan
from graph_index.ranking import group_ranks, ranked_per_query
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.through import through
from graph_index.workspace import Workspace
from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason

__all__ = ["BeamWalk", "ScoredItems"]

_REASONS = tuple(StopReason)
_NO_KEYS = np.empty(0, np.int64)


@dataclass(slots=True)
class ScoredItems:
    """Items with their scores, of several queries; keys are ``query * N + item``."""

    keys: NDArray[np.int64]
    query_of: NDArray[np.int64]
    item_nums: NDArray[np.int64]
    scores: NDArray[np.float32]
    expanded: NDArray[np.bool_]

    def take(self, where: NDArray[np.bool_] | NDArray[np.int64]) -> ScoredItems:
        """Return the items at some places."""
        return ScoredItems(
            self.keys[where],
            self.query_of[where],
            self.item_nums[where],
            self.scores[where],
            self.expanded[where],
        )


class BeamWalk:
    """Find high-scoring items of B queries by walking a graph together.

    The seeds are scored first and all of them are in the beam.  Each round expands a
    frontier: its unvisited neighbours are scored, of all queries in one call, and
    those of them that are inside the beam become the next frontier.  A query leaves
    the lockstep when

    - none of its new items is inside the beam (``NO_IMPROVEMENT``), the usual end;
    - it has had ``max_rounds`` rounds and has the ``wanted`` items (``ROUNDS``);
    - ``max_scored`` items are scored (``BUDGET``) or the deadline has come (``DEADLINE``);
    - nothing is left to expand (``EXHAUSTED``): a round that meets no new item goes on
      with the beam's items that were not expanded, then with the entry set.

    The answer is the best of *all* scored items, not of the last beam.  Items that may
    not be returned (excluded, or not alive) are expanded when they are inside the
    beam but take no place in it, so they never crowd out results.  The scorer need
    not be a metric: then the result has no recall guarantee, and coverage against
    exhaustive scoring is what to measure.

    Args:
        graph: What to walk.
        scoring: The batch and its scorer.
        plan: Widths and bounds; ``plan.beam_width >= plan.k``.
        marks: Visited marks, begun for ``B * N`` cells, blocked cells already blocked.
        returnable: What may be returned to each query.  The bound on rounds yields to ``k``
            results, or all that may be returned where those are fewer.

    Complexity:
        ``O(rounds * beam_width * M)`` scored items per query; all else is array
        operations over them, with no loop over items or queries.

    References:
        Chen et al., CIKM 2022, Algorithms 1 and 2; the whole entry set in the beam and
        no upper levels, as measured in ``docs/graph-index.md``.
    """

    def __init__(
        self,
        graph: Graph,
        scoring: Scoring,
        plan: Plan,
        marks: Workspace,
        returnable: Returnable,
    ) -> None:
        self._graph = graph
        self._scoring = scoring
        self._plan = plan
        self._marks = marks
        self._returnable_items = returnable
        self._wanted = np.minimum(plan.k, returnable.counts)
        n_queries = scoring.n_queries
        self._beams = Beams(n_queries, plan.beam_width)
        self._log: list[ScoredItems] = []
        self._running = np.ones(n_queries, np.bool_)
        self._reason = np.zeros(n_queries, np.int8)
        self._rounds = np.zeros(n_queries, np.int64)
        self._n_scored = np.zeros(n_queries, np.int64)
        self._n_returnable = np.zeros(n_queries, np.int64)
        self._entries_used = np.zeros(n_queries, np.bool_)

    def run(self, seeds: NDArray[np.int64] | None) -> list[SearchResult]:
        """Walk until every query has stopped.

        Args:
            seeds: Keys ``query * N + item`` to score first, grouped by query ascending;
                None for the entry set alone.

        Returns:
            One result per query, best first, ties to the smaller item number.
        """
        keys = self._entry_keys(self._running) if seeds is None else seeds
        latest = self._score(keys)
        self._stop_at_bounds()
        pending = self._pending(self._frontier(latest, self._plan.entry_width))
        while self._running.any():
            latest = self._score(pending)
            self._rounds += self._running
            self._stop_at_bounds()
            pending = self._pending(self._next_frontier(latest))
        return self._results()

    def _score(self, keys: NDArray[np.int64]) -> ScoredItems:
        """Score what is new among the keys and put all of it into log and beam."""
        if self._scoring.overdue:
            self._stop(self._running, StopReason.DEADLINE)
            keys = _NO_KEYS
        keys = self._within_budget(self._marks.claim(keys))
        query_of, item_nums = np.divmod(keys, self._graph.n_items)
        scores = self._scoring.score_in_time(query_of, item_nums) if len(keys) else _no_scores()
        if len(scores) < len(keys):
            self._stop(self._running, StopReason.DEADLINE)
            keys, query_of, item_nums = (a[: len(scores)] for a in (keys, query_of, item_nums))
        latest = ScoredItems(keys, query_of, item_nums, scores, np.zeros(len(keys), np.bool_))
        self._log.append(latest)
        self._n_scored += np.bincount(query_of, minlength=len(self._running))
        self._add_to_beams(latest)
        return latest

    def _add_to_beams(self, latest: ScoredItems) -> None:
        returnable = self._returnable(latest)
        query_of = latest.query_of[returnable]
        self._n_returnable += np.bincount(query_of, minlength=len(self._running))
        self._beams.add(query_of, latest.scores[returnable])

    def _within_budget(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._plan.max_scored >= self._graph.n_items:
            return keys
        query_of = keys // self._graph.n_items
        left = self._plan.max_scored - self._n_scored
        return keys[group_ranks(query_of) < left[query_of]]

    def _returnable(self, scored: ScoredItems) -> NDArray[np.bool_]:
        returnable = ~self._marks.is_blocked(scored.keys)
        within = self._returnable_items.within_masks(scored.query_of, scored.item_nums)
        return returnable if within is None else returnable & within

    def _frontier(self, scored: ScoredItems, width: int) -> ScoredItems:
        """Take each running query's best unexpanded items inside the beam; mark them expanded."""
        inside = self._running[scored.query_of] & ~scored.expanded
        inside &= scored.scores >= self._beams.worst[scored.query_of]
        where = np.flatnonzero(inside)
        best = ranked_per_query(
            scored.query_of[where], scored.item_nums[where], scored.scores[where], width
        )
        scored.expanded[where[best]] = True
        return scored.take(where[best])

    def _next_frontier(self, latest: ScoredItems) -> ScoredItems:
        """Take the new items inside the beam; a query that met new ones but none inside stops."""
        frontier = self._frontier(latest, self._plan.beam_width)
        n_queries = len(self._running)
        below = _has_any(latest, n_queries) & ~_has_any(frontier, n_queries)
        self._stop(below, StopReason.NO_IMPROVEMENT)
        return frontier

    def _pending(self, frontier: ScoredItems) -> NDArray[np.int64]:
        """Return the keys of the next round: the frontier's neighbours, or a dry query's rest."""
        keys = self._neighbor_keys(frontier)
        dry = self._running & ~_has_any(frontier, len(self._running))
        if not dry.any():
            return keys
        rest = self._rest_of_beam(dry)
        empty = dry & ~_has_any(rest, len(dry))
        entering = empty & ~self._entries_used
        stranded = empty & self._is_stranded()
        self._stop(empty & ~entering & ~stranded, StopReason.EXHAUSTED)
        more = self._entry_keys(entering), self._unvisited_keys(stranded & ~entering)
        keys = np.concatenate([keys, self._neighbor_keys(rest), *more])
        return keys[np.argsort(keys // self._graph.n_items, kind="stable")]

    def _rest_of_beam(self, dry: NDArray[np.bool_]) -> ScoredItems:
        """Take the best unexpanded items inside the beam from all rounds, of some queries."""
        self._log = [_joined(self._log)]
        everything = self._log[0]
        mine = dry[everything.query_of]
        sub = everything.take(mine)
        rest = self._frontier(sub, self._plan.entry_width)
        everything.expanded[mine] = sub.expanded
        return rest

    def _neighbor_keys(self, frontier: ScoredItems) -> NDArray[np.int64]:
        offsets = frontier.query_of * self._graph.n_items
        return self._allowed((self._graph.neighbors[frontier.item_nums] + offsets[:, None]).ravel())

    def _entry_keys(self, queries: NDArray[np.bool_]) -> NDArray[np.int64]:
        self._entries_used |= queries
        offsets = np.flatnonzero(queries) * self._graph.n_items
        return self._allowed((self._graph.entry_points[None, :] + offsets[:, None]).ravel())

    def _is_stranded(self) -> NDArray[np.bool_]:
        """Tell which filtered queries have allowed items left that no way leads to, and a beam to fill."""
        counts = self._returnable_items.counts
        reached = np.minimum(counts, self._plan.beam_width)
        return self._returnable_items.filtered & (self._n_returnable < reached)

    def _unvisited_keys(self, queries: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return all that may be returned and was not scored yet."""
        keys = [
            self._returnable_items.items(query) + query * self._graph.n_items
            for query in np.flatnonzero(queries).tolist()
        ]
        return np.concatenate([_NO_KEYS, *keys])

    def _allowed(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Leave out what a filter does not allow, and look behind it."""
        if not self._returnable_items.filtered.any():
            return keys
        return through(keys, self._graph, self._marks, self._returnable_items)

    def _stop(self, queries: NDArray[np.bool_], reason: StopReason) -> None:
        stopping = queries & self._running
        self._reason[stopping] = _REASONS.index(reason)
        self._running = self._running & ~stopping

    def _stop_at_bounds(self) -> None:
        if self._plan.max_scored < self._graph.n_items:
            self._stop(self._n_scored >= self._plan.max_scored, StopReason.BUDGET)
        enough = self._n_returnable >= self._wanted
        self._stop(enough & (self._rounds >= self._plan.max_rounds), StopReason.ROUNDS)

    def _results(self) -> list[SearchResult]:
        everything = _joined(self._log)
        kept = everything.scores >= self._beams.kth_best(self._plan.k)[everything.query_of]
        kept &= self._returnable(everything)
        best = everything.take(kept)
        best = best.take(ranked_per_query(best.query_of, best.item_nums, best.scores, self._plan.k))
        ends = np.cumsum(np.bincount(best.query_of, minlength=len(self._running)))[:-1]
        items, scores = np.split(best.item_nums, ends), np.split(best.scores, ends)
        parts_us = self._scoring.parts_us()
        return [
            SearchResult(items[query], scores[query], self._work(query, parts_us))
            for query in range(len(self._running))
        ]

    def _work(self, query: int, parts_us: dict[str, int]) -> SearchWork:
        return SearchWork(
            mode=Mode.WALK,
            n_scored=int(self._n_scored[query]),
            n_rounds=int(self._rounds[query]),
            n_proxy_scored=self._scoring.n_proxy_scored,
            stopped_by=_REASONS[self._reason[query]],
            parts_us=dict(parts_us),
        )


def _no_scores() -> NDArray[np.float32]:
    return np.empty(0, np.float32)


def _has_any(scored: ScoredItems, n_queries: int) -> NDArray[np.bool_]:
    has: NDArray[np.bool_] = np.bincount(scored.query_of, minlength=n_queries) > 0
    return has


def _joined(log: list[ScoredItems]) -> ScoredItems:
    """Concatenate rounds; grouped by query only within each round."""
    if len(log) == 1:
        return log[0]
    return ScoredItems(
        np.concatenate([part.keys for part in log]),
        np.concatenate([part.query_of for part in log]),
        np.concatenate([part.item_nums for part in log]),
        np.concatenate([part.scores for part in log]),
        np.concatenate([part.expanded for part in log]),
    )
