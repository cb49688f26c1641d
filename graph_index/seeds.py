"""Where a walk starts when the scorer has a cheap stand-in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.plan import Plan

__all__ = ["seed_keys"]


def seed_keys(found: list[NDArray[np.int64]], graph: Graph, plan: Plan) -> NDArray[np.int64]:
    """Return the keys of the items that a walk scores first.

    Args:
        found: What a ``CandidateSource`` chose for each query; it passes over items that may not
            be returned, since a deep score spent on a seed should be able to pay.
        graph: For its entry set, if the plan adds it.
        plan: Of the search.

    Returns:
        Keys ``query * N + item``, grouped by query ascending, in no order within one.
    """
    if plan.use_entry_points:
        found = [np.concatenate([items, graph.entry_points]) for items in found]
    keys = [items + query * graph.n_items for query, items in enumerate(found)]
    return np.concatenate([np.empty(0, np.int64), *keys])
