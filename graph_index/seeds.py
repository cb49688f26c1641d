"""Where a walk starts when the scorer has a cheap stand-in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.plan import Plan
from graph_index.scoring import Scoring
from graph_index.workspace import Workspace
from vizsla.contracts.tables import ItemTables

__all__ = ["proxy_seeds"]

_BEAM_RATIO = 2
"""Width of the walk under the proxy, relative to the seeds wanted."""


def proxy_seeds(
    scoring: Scoring,
    graph: Graph,
    tables: ItemTables,
    plan: Plan,
    excluded: list[NDArray[np.int64]],
    marks: Workspace,
) -> NDArray[np.int64] | None:
    """Return the keys of each query's best items by the proxy, or None to start at the entry set.

    A catalogue small enough is multiplied with the proxies as a whole, one matrix product
    for the batch; in a larger one each query walks the graph under its proxy.  Items
    that may not be returned are passed over: a deep score spent on a seed should be
    able to pay.

    Args:
        scoring: The batch.
        graph: For the alive mask and, if the plan says so, the entry set.
        tables: The first of them holds the item vectors.
        plan: How many seeds; never more than the budget of scores.
        excluded: Items per query that may not be returned.
        marks: Scratch; begin it again afterwards.

    Returns:
        Keys ``query * N + item``, grouped by query ascending, in no order within one.
    """
    if not plan.proxy_seeds:
        return None
    n_seeds = min(plan.proxy_seeds, plan.max_scored)
    find = _scanned if plan.scan_proxy else _walked
    best = find(scoring, graph, tables, n_seeds, excluded, marks)
    if best is None:
        return None
    with scoring.seeding():
        if plan.use_entry_points:
            best = [np.concatenate([items, graph.entry_points]) for items in best]
        keys = [items + query * graph.n_items for query, items in enumerate(best)]
        return np.concatenate([np.empty(0, np.int64), *keys])


def _scanned(
    scoring: Scoring,
    graph: Graph,
    tables: ItemTables,
    n_seeds: int,
    excluded: list[NDArray[np.int64]],
    marks: Workspace,
) -> list[NDArray[np.int64]] | None:
    from graph_index.kernels.compiled import best_columns

    scores = scoring.proxy_scores(tables.rows(0, slice(None)))
    if scores is None:
        return None
    with scoring.seeding():
        _hide(scores, graph, excluded)
        return list(best_columns(scores, min(n_seeds, graph.n_items)))


def _walked(
    scoring: Scoring,
    graph: Graph,
    tables: ItemTables,
    n_seeds: int,
    excluded: list[NDArray[np.int64]],
    marks: Workspace,
) -> list[NDArray[np.int64]] | None:
    from graph_index.kernels.compiled import walk_by_dot

    proxies = scoring.proxies(tables.arrays[0].shape[1])
    if proxies is None:
        return None
    best, n_scored = [], 0
    with scoring.seeding():
        marks.begin(scoring.n_queries * graph.n_items)
        links, table = (graph.neighbors, graph.entry_points), (tables.arrays[0], tables.scales[0])
        for query, proxy in enumerate(proxies):
            width = _BEAM_RATIO * n_seeds + len(excluded[query])
            own = marks.row(query, graph.n_items)
            items, n_dots = walk_by_dot(links, table, proxy, min(width, graph.n_items), own)
            allowed = graph.alive[items] & ~np.isin(items, excluded[query])
            best.append(items[allowed][:n_seeds])
            n_scored = max(n_scored, n_dots)
    scoring.n_proxy_scored = n_scored
    return best


def _hide(scores: NDArray[np.float32], graph: Graph, excluded: list[NDArray[np.int64]]) -> None:
    for query, items in enumerate(excluded):
        scores[query, items] = -np.inf
    if not graph.alive.all():
        scores[:, ~graph.alive] = -np.inf
