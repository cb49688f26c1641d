"""Score what a cheap source chose, and stop: the walk without its rounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.plan import Plan
from graph_index.ranking import top_k
from graph_index.scoring import Scoring
from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason

__all__ = ["enough", "rescore"]


def enough(found: list[NDArray[np.int64]], wanted: NDArray[np.int64]) -> bool:
    """Return whether every query has at least as many candidates as it wants results."""
    return all(len(items) >= n for items, n in zip(found, wanted, strict=True))


def rescore(
    scoring: Scoring,
    found: list[NDArray[np.int64]],
    plan: Plan,
    reasons: list[StopReason],
) -> list[SearchResult]:
    """Give every candidate a deep score, all queries together, and rank them.

    Args:
        scoring: The batch of B queries.
        found: Candidates of each query, distinct.
        plan: For ``k`` and the deadline.
        reasons: Why each query stops here, unless the deadline has come meanwhile.

    Returns:
        One result per query, best first, ties to the smaller item number; none when the
        deadline had passed before.
    """
    if scoring.overdue:
        found = [items[:0] for items in found]
    lengths = np.array([len(items) for items in found])
    scores = np.empty(0, np.float32)
    if lengths.sum():
        query_of = np.repeat(np.arange(len(found)), lengths)
        scores = scoring.score_in_time(query_of, np.concatenate(found))
    ends = np.minimum(np.cumsum(lengths), len(scores))
    found = [items[:n] for items, n in zip(found, np.diff(ends, prepend=0), strict=True)]
    if scoring.overdue:
        reasons = [StopReason.DEADLINE] * len(found)
    ranked = [
        top_k(items, own, plan.k)
        for items, own in zip(found, np.split(scores, ends[:-1]), strict=True)
    ]
    parts_us = scoring.parts_us()
    return [
        SearchResult(*best, _work(scoring, len(items), reason, parts_us))
        for best, items, reason in zip(ranked, found, reasons, strict=True)
    ]


def _work(
    scoring: Scoring, n_scored: int, reason: StopReason, parts_us: dict[str, int]
) -> SearchWork:
    return SearchWork(
        mode=Mode.WALK,
        n_scored=n_scored,
        n_rounds=0,
        n_proxy_scored=scoring.n_proxy_scored,
        stopped_by=reason,
        parts_us=dict(parts_us),
    )
