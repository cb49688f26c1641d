"""Steps of a walk past items that a filter does not allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.returnable import Returnable
from graph_index.workspace import Workspace

__all__ = ["BEHIND", "through"]

BEHIND = 2
"""Allowed neighbours that stand in for one item that is not; one loses up to a point of coverage."""


def through(
    keys: NDArray[np.int64], graph: Graph, marks: Workspace, returnable: Returnable
) -> NDArray[np.int64]:
    """Replace each item outside its query's filter by the next allowed items behind it.

    An item outside is passed once per query and never scored, so every deep score is spent
    on an item that may be returned, and a walk costs no more than the allowed items.

    Args:
        keys: ``query * N + item``, grouped by query ascending.
        graph: For the neighbours.
        marks: Passed items are marked as visited.
        returnable: The filters.

    Returns:
        Keys of allowed items, grouped by query ascending; some may be visited already.
    """
    query_of, item_nums = np.divmod(keys, graph.n_items)
    inside = returnable.passes(query_of, item_nums)
    outside = marks.claim(keys[~inside])
    if not len(outside):
        return keys[inside]
    passing, blocked = np.divmod(outside, graph.n_items)
    behind = graph.neighbors[blocked] + (passing * graph.n_items)[:, None]
    owners = np.repeat(passing, graph.max_degree)
    good = returnable.passes(owners, behind.ravel() - owners * graph.n_items)
    good = (good & marks.is_unvisited(behind.ravel())).reshape(behind.shape)
    good &= np.cumsum(good, axis=1) <= BEHIND
    together = np.concatenate([keys[inside], behind[good]])
    return together[np.argsort(together // graph.n_items, kind="stable")]
