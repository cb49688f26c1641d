"""The beam search of ``graph_index.walk`` in tensors of one device.

Shapes: **B** queries, **C** candidates, **E** entry points, **F** frontier, **M** degree, **N** items,
**T** items scored so far, **W** beam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graph_index.device.compact import compacted
from graph_index.device.keys import EMPTY, best, items_of, joined, rank_of
from graph_index.device.results import results_of
from graph_index.device.scoring import DeviceScoring
from graph_index.device.tables import DeviceGraph, Masks
from graph_index.device.through import through
from graph_index.plan import Plan
from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason

__all__ = ["DeviceWalk"]

_REASONS = tuple(StopReason)
_WIDTH_STEP = 64
"""Candidate lists get a multiple of so many columns, so that their shapes repeat."""


@dataclass(slots=True)
class _Fresh:
    """Candidates of one round before they are scored.

    Attributes:
        item_nums: ``(B, C)`` int64, N for no item.
        marked: ``(B, C)`` bool, those to score: not visited, each once, within the budget.
        counts: ``(B,)`` int64 how many those are.
    """

    item_nums: Tensor
    marked: Tensor
    counts: Tensor


class _Seen(NamedTuple):
    """What the host learns once a round, when it waits for the device."""

    width: int
    running: bool
    entering: bool
    stranded: bool
    unsound: bool


class DeviceWalk:
    """Find high-scoring items of B queries by walking a graph together, as ``BeamWalk`` does.

    Every step is an operation over ``(B, ...)`` tensors, also for queries that have stopped; the
    host waits for the device once a round, and once more in the rare round in which a query starts
    again from the entry set.  Item number N stands for "no item" throughout.

    Args:
        graph: What to walk.
        scoring: The batch and its scorer.
        plan: Widths and bounds.
        masks: What may be returned, and what a filter lets pass.
        counts: ``(B,)`` how many items may be returned to each query.
    """

    def __init__(
        self,
        graph: DeviceGraph,
        scoring: DeviceScoring,
        plan: Plan,
        masks: Masks,
        counts: NDArray[np.int64],
    ) -> None:
        self._graph = graph
        self._scoring = scoring
        self._plan = plan
        self._masks = masks
        n_queries, device = scoring.n_queries, scoring.device
        allowed = torch.from_numpy(counts).to(device)
        self._wanted = allowed.clamp(max=plan.k)
        self._fillable = allowed.clamp(max=plan.beam_width)
        self._visited = torch.zeros((n_queries, graph.n_items + 1), dtype=torch.bool, device=device)
        self._visited[:, -1] = True
        self._beam = torch.full((n_queries, plan.beam_width), EMPTY, device=device)
        self._log = torch.empty((n_queries, 0), dtype=torch.int64, device=device)
        self._expanded = torch.empty((n_queries, 0), dtype=torch.bool, device=device)
        self._since = 0
        self._running = torch.ones(n_queries, dtype=torch.bool, device=device)
        self._entries_used = torch.zeros_like(self._running)
        self._entering = torch.zeros_like(self._running)
        self._stranded = torch.zeros_like(self._running)
        numbers = torch.zeros((5, n_queries), dtype=torch.int64, device=device)
        self._reason, self._rounds, self._n_scored, self._n_returnable, self._n_new = numbers

    def run(self, seeds: Tensor | None) -> list[SearchResult]:
        """Walk until every query has stopped.

        Args:
            seeds: ``(B, C)`` int64 items to score first, N for none; None for the entry set alone.

        Returns:
            One result per query, best first, ties to the smaller item number.
        """
        fresh = self._fresh(self._entries(self._running) if seeds is None else seeds)
        self._score(fresh, self._see(fresh))
        frontier = self._frontier(self._plan.entry_width)
        while True:
            fresh = self._fresh(self._around(frontier))
            seen = self._see(fresh)
            if seen.entering or seen.stranded:
                fresh = self._fresh(torch.cat([fresh.item_nums, self._restarts(seen)], dim=1))
                seen = self._see(fresh)
            if not seen.running:
                return self._results()
            self._score(fresh, seen, rounds=1)
            frontier = self._frontier(self._plan.beam_width, may_stop=True)

    def _fresh(self, item_nums: Tensor) -> _Fresh:
        """Mark what is new among the candidates; the first of equal ones, as far as the budget goes."""
        ordered, order = item_nums.sort(dim=1, stable=True)
        first = torch.ones_like(ordered, dtype=torch.bool)
        first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        first &= ~self._visited.gather(1, ordered)
        marked = torch.zeros_like(first).scatter_(1, order, first)
        if self._plan.max_scored < self._graph.n_items:
            left = self._plan.max_scored - self._n_scored
            marked &= marked.cumsum(1) <= left[:, None]
        return _Fresh(item_nums, marked, marked.sum(1))

    def _see(self, fresh: _Fresh) -> _Seen:
        """Wait for the device."""
        facts = (
            fresh.counts.max(),
            self._running.any(),
            self._entering.any(),
            self._stranded.any(),
            self._scoring.unsound,
        )
        width, *flags = torch.stack([fact.long() for fact in facts]).tolist()
        seen = _Seen(width, *map(bool, flags))
        self._scoring.check(unsound=seen.unsound)
        return seen

    def _score(self, fresh: _Fresh, seen: _Seen, rounds: int = 0) -> None:
        """Score what is marked and put it into log and beam; then see who has had enough."""
        self._since = self._log.shape[1]
        if self._scoring.late(self._plan.deadline_s):
            self._n_new.zero_()
            self._stop(self._running, StopReason.DEADLINE)
        else:
            self._n_new = fresh.counts
            if seen.width:
                self._take(fresh, seen.width)
        self._rounds += rounds * self._running
        self._stop_at_bounds()

    def _take(self, fresh: _Fresh, width: int) -> None:
        width = min(-(-width // _WIDTH_STEP) * _WIDTH_STEP, self._graph.n_items)
        item_nums = compacted(fresh.item_nums, fresh.marked, width, self._graph.n_items)
        self._visited.scatter_(1, item_nums, value=True)
        keys = self._scoring.keys(item_nums)
        returnable = self._masks.returnable.gather(1, item_nums)
        offered = keys.masked_fill(~returnable, EMPTY)
        self._beam = joined(self._beam, offered, self._plan.beam_width)
        self._log = torch.cat([self._log, keys], dim=1)
        self._expanded = torch.cat([self._expanded, keys == EMPTY], dim=1)
        self._n_scored = self._n_scored + fresh.counts
        self._n_returnable = self._n_returnable + returnable.sum(1)

    def _frontier(self, width: int, *, may_stop: bool = False) -> Tensor:
        """Take each running query's best unexpanded items inside the beam; mark them expanded.

        Of a query that met new items those alone count; one that met none goes on with what is left
        inside the beam, then with the entry set.

        Returns:
            ``(B, F)`` item numbers, N for none.
        """
        dry = self._running & (self._n_new == 0)
        keys, places = self._inside(dry).topk(
            min(max(width, self._plan.entry_width), self._log.shape[1]), dim=1
        )
        most = torch.where(dry, self._plan.entry_width, width)
        ranks = torch.arange(keys.shape[1], device=keys.device)
        taken = (keys != EMPTY) & (ranks < most[:, None])
        already = self._expanded.gather(1, places)
        self._expanded.scatter_(1, places, already | taken)
        empty = ~taken.any(1)
        if may_stop:
            self._stop(empty & ~dry, StopReason.NO_IMPROVEMENT)
        self._restart_or_stop(dry & empty)
        return items_of(keys).masked_fill(~taken, self._graph.n_items)

    def _inside(self, dry: Tensor) -> Tensor:
        """Return the ``(B, T)`` log with ``EMPTY`` wherever an item is no choice for the frontier."""
        inside = rank_of(self._log) >= rank_of(self._beam[:, -1:])
        inside &= ~self._expanded & self._running[:, None]
        inside[:, : self._since] &= dry[:, None]
        return self._log.masked_fill(~inside, EMPTY)

    def _restart_or_stop(self, empty: Tensor) -> None:
        """Let queries with nothing to expand start again, or stop."""
        lacking = self._masks.filtered[:, 0] & (self._n_returnable < self._fillable)
        self._entering = empty & ~self._entries_used
        self._stranded = empty & self._entries_used & lacking
        self._stop(empty & ~self._entering & ~self._stranded, StopReason.EXHAUSTED)

    def _restarts(self, seen: _Seen) -> Tensor:
        """Return the entry set for the queries that enter it, and all that is left for the stranded."""
        parts = []
        if seen.entering:
            parts.append(self._entries(self._entering))
        if seen.stranded:
            left = self._masks.returnable & ~self._visited & self._stranded[:, None]
            item_nums = torch.arange(self._graph.n_items + 1, device=left.device)
            parts.append(item_nums.masked_fill(~left, self._graph.n_items))
        return torch.cat(parts, dim=1)

    def _entries(self, queries: Tensor) -> Tensor:
        self._entries_used = self._entries_used | queries
        entries = self._graph.entry_points.expand(len(queries), -1)
        return self._allowed(entries.masked_fill(~queries[:, None], self._graph.n_items))

    def _around(self, frontier: Tensor) -> Tensor:
        return self._allowed(self._graph.around(frontier))

    def _allowed(self, item_nums: Tensor) -> Tensor:
        """Leave out what a filter does not allow, and look behind it."""
        if not self._masks.any_filtered:
            return item_nums
        return through(item_nums, self._graph, self._visited, self._masks)

    def _stop(self, queries: Tensor, reason: StopReason) -> None:
        stopping = queries & self._running
        self._reason.masked_fill_(stopping, _REASONS.index(reason))
        self._running = self._running & ~stopping

    def _stop_at_bounds(self) -> None:
        if self._plan.max_scored < self._graph.n_items:
            self._stop(self._n_scored >= self._plan.max_scored, StopReason.BUDGET)
        enough = self._n_returnable >= self._wanted
        self._stop(enough & (self._rounds >= self._plan.max_rounds), StopReason.ROUNDS)

    def _results(self) -> list[SearchResult]:
        item_nums = items_of(self._log).masked_fill(self._log == EMPTY, self._graph.n_items)
        returnable = self._masks.returnable.gather(1, item_nums)
        found = best(self._log.masked_fill(~returnable, EMPTY), self._plan.k)
        parts_us = self._scoring.parts_us()
        numbers = torch.stack([self._reason, self._n_scored, self._rounds], dim=1).tolist()
        works = [
            SearchWork(
                mode=Mode.WALK,
                n_scored=n_scored,
                n_rounds=n_rounds,
                n_proxy_scored=self._scoring.n_proxy_scored,
                stopped_by=_REASONS[reason],
                parts_us=dict(parts_us),
            )
            for reason, n_scored, n_rounds in numbers
        ]
        return results_of(found, works)
