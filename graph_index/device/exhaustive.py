"""Score everything that may be returned, on a device.

Shapes: **A** most items that a query may be given, **B** queries, **K** results, **N** items.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from graph_index.device.compact import compacted
from graph_index.device.keys import EMPTY, items_of, joined
from graph_index.device.results import results_of
from graph_index.device.scoring import DeviceScoring
from graph_index.device.tables import Masks
from graph_index.plan import Plan
from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason

__all__ = ["score_exhaustively"]


def score_exhaustively(
    scoring: DeviceScoring, masks: Masks, counts: NDArray[np.int64], plan: Plan, chunk_items: int
) -> list[SearchResult]:
    """Do what ``graph_index.exhaustive.score_exhaustively`` does.

    Args:
        scoring: The batch of B queries.
        masks: What may be returned.
        counts: ``(B,)`` how many items that are.
        plan: For ``k``, the budget and the deadline.
        chunk_items: Items of all queries together per scoring call.
    """
    n_chosen = np.minimum(counts, plan.max_scored)
    chosen = _chosen(scoring, masks, counts, n_chosen)
    found, n_scored = _score_in_chunks(scoring, chosen, plan, chunk_items)
    scoring.check(unsound=bool(scoring.unsound))
    parts_us = scoring.parts_us()
    works = [
        SearchWork(
            mode=Mode.EXHAUSTIVE,
            n_scored=min(n_scored, wanted),
            n_rounds=0,
            n_proxy_scored=scoring.n_proxy_scored,
            stopped_by=_reason(n_allowed, wanted, min(n_scored, wanted)),
            parts_us=dict(parts_us),
        )
        for n_allowed, wanted in zip(counts.tolist(), n_chosen.tolist(), strict=True)
    ]
    return results_of(found, works)


def _chosen(
    scoring: DeviceScoring,
    masks: Masks,
    counts: NDArray[np.int64],
    n_chosen: NDArray[np.int64],
) -> Tensor:
    """Return ``(B, A)`` items to score, each query's own number of them, then N."""
    width = int(n_chosen.max())
    if (n_chosen < counts).any():
        keys = scoring.proxy_best(masks.returnable, width)
        if keys is not None:
            return items_of(keys).masked_fill(keys == EMPTY, scoring.n_items)
    item_nums = torch.arange(scoring.n_items + 1, device=scoring.device)
    returnable = masks.returnable
    return compacted(item_nums.expand_as(returnable), returnable, width, scoring.n_items)


def _score_in_chunks(
    scoring: DeviceScoring, chosen: Tensor, plan: Plan, chunk_items: int
) -> tuple[Tensor, int]:
    """Return ``(B, K)`` keys and how many columns were scored."""
    found = torch.empty((scoring.n_queries, 0), dtype=torch.int64, device=scoring.device)
    step = max(1, chunk_items // max(1, scoring.n_queries))
    for start in range(0, chosen.shape[1], step):
        if scoring.late(plan.deadline_s):
            return found, start
        found = joined(found, scoring.keys(chosen[:, start : start + step]), plan.k)
        if plan.deadline_s < math.inf:
            # the clock tells nothing about work that was only handed over
            scoring.check(unsound=bool(scoring.unsound))
    return found, chosen.shape[1]


def _reason(n_allowed: int, n_chosen: int, n_scored: int) -> StopReason:
    if n_scored < n_chosen:
        return StopReason.DEADLINE
    return StopReason.BUDGET if n_chosen < n_allowed else StopReason.COMPLETE
