"""What one search will do: the caller's options over the index's settings, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.settings import SearchSettings
from vizsla.contracts.index import Mode, SearchOptions
from vizsla.errors import ContractError

__all__ = ["Plan", "checked_exclusions", "plan_search"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers of one search, none left open; meanings as in ``SearchOptions``.

    Attributes:
        k: Results wanted, at most N.
        beam_width: At least ``k``, at most N.
        max_scored: At most N.
        seed_effort: Candidates that an approximate source keeps; at least 1.
        deadline_s: Monotonic second, infinity for none.
        use_entry_points: Whether the entry set is scored beside proxy seeds.
    """

    k: int
    beam_width: int
    entry_width: int
    max_rounds: int
    max_scored: int
    deadline_s: float
    proxy_seeds: int
    seed_effort: int
    use_entry_points: bool

    @property
    def rescores(self) -> bool:
        """Whether the proxy's best are scored and nothing is walked."""
        return self.max_rounds == 0 and self.proxy_seeds > 0 and not self.use_entry_points


def plan_search(
    options: SearchOptions, settings: SearchSettings, n_items: int, *, filtered: bool = False
) -> Plan:
    """Fill what the options leave open, and bound it by the catalogue.

    Args:
        options: The caller's.
        settings: The index's own.
        n_items: N.
        filtered: Whether the plan is for queries with a filter.

    Raises:
        ContractError: A number is below 1 (below 0 for rounds and seeds).
    """
    _check("k", options.k, 1)
    width = settings.filtered_beam_width if filtered else settings.beam_width
    rounds = settings.filtered_max_rounds if filtered else settings.max_rounds
    entries = settings.filtered_entry_width if filtered else settings.entry_width
    # a proxy that is switched off stays off
    seeds = (
        settings.filtered_proxy_seeds if filtered and settings.proxy_seeds else settings.proxy_seeds
    )
    beam_width = _chosen("beam_width", options.beam_width, width, 1)
    max_scored = _chosen("max_scored", options.max_scored, n_items, 1)
    # what a filter allows may lie where the proxy is poor: then auto walks all the same
    if options.mode is Mode.AUTO and settings.auto_rescores > 0 and not filtered:
        rounds, seeds = 0, settings.auto_rescores
    effort = _chosen("seed_effort", options.seed_effort, settings.seed_effort, 0)
    beam_width = min(max(beam_width, options.k), n_items)
    return Plan(
        k=min(options.k, n_items),
        beam_width=beam_width,
        entry_width=_chosen("entry_width", options.entry_width, entries, 1),
        max_rounds=_chosen("max_rounds", options.max_rounds, rounds, 0),
        max_scored=min(max_scored, n_items),
        deadline_s=math.inf if options.deadline_s is None else options.deadline_s,
        proxy_seeds=min(_chosen("proxy_seeds", options.proxy_seeds, seeds, 0), n_items),
        seed_effort=effort or beam_width,
        use_entry_points=bool(
            settings.entry_points_with_proxy or (filtered and settings.filtered_entry_points)
        ),
    )


def checked_exclusions(
    options: SearchOptions, n_queries: int, n_items: int
) -> list[NDArray[np.int64]]:
    """Return one array of excluded items per query, each item once, ascending.

    Raises:
        ContractError: Not one array per query, or an item number out of range.
    """
    if not options.excluded:
        return [np.empty(0, np.int64)] * n_queries
    if len(options.excluded) != n_queries:
        raise ContractError(f"excluded: {len(options.excluded)} arrays for {n_queries} queries")
    excluded = [np.unique(np.asarray(items, np.int64)) for items in options.excluded]
    for items in excluded:
        if len(items) and (items[0] < 0 or items[-1] >= n_items):
            raise ContractError(f"excluded: an item number is outside 0 to {n_items - 1}")
    return excluded


def _chosen(name: str, asked: int | None, setting: int, least: int) -> int:
    return _check(name, setting if asked is None else asked, least)


def _check(name: str, value: int, least: int) -> int:
    if value < least:
        raise ContractError(f"{name} must be at least {least}, not {value}")
    return value
