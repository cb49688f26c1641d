"""Where a walk starts when the scorer has a cheap stand-in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.plan import Plan
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring

__all__ = ["proxy_seeds"]


def proxy_seeds(
    scoring: Scoring,
    graph: Graph,
    item_vectors: NDArray[np.float32],
    plan: Plan,
    returnable: Returnable,
) -> NDArray[np.int64] | None:
    """Return the keys of each query's best items by the proxy, or None to start at the entry set.

    One matrix product for the batch.  Items that may not be returned are passed
    over: a deep score spent on a seed should be able to pay.

    Args:
        scoring: The batch.
        graph: For the entry set, if the plan says so.
        item_vectors: ``(N, D)`` float32.
        plan: How many seeds; never more than the budget of scores.
        returnable: What may be returned; nothing else is seeded.

    Returns:
        Keys ``query * N + item``, grouped by query ascending, in no order within one.
    """
    if not plan.proxy_seeds:
        return None
    scores = scoring.proxy_scores(item_vectors)
    if scores is None:
        return None
    with scoring.seeding():
        returnable.hide(scores)
        best = _best_columns(scores, min(plan.proxy_seeds, plan.max_scored))
        hidden = np.isneginf(np.take_along_axis(scores, best, axis=1))
        if plan.use_entry_points:
            entries = np.broadcast_to(graph.entry_points, (len(best), len(graph.entry_points)))
            best = np.concatenate([best, entries], axis=1)
            hidden = np.concatenate([hidden, np.zeros(entries.shape, np.bool_)], axis=1)
        return (best + np.arange(len(best))[:, None] * graph.n_items)[~hidden]


def _best_columns(scores: NDArray[np.float32], width: int) -> NDArray[np.int64]:
    cut = scores.shape[1] - width
    if cut <= 0:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, cut, axis=1)[:, cut:]
