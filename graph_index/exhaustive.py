"""Score everything that may be returned: the exact answer, and the oracle of every walk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.plan import Plan
from graph_index.ranking import top_k
from graph_index.scoring import Scoring
from vizsla.contracts.index import Mode, SearchResult, SearchWork, StopReason

__all__ = ["score_exhaustively"]


def score_exhaustively(
    scoring: Scoring,
    allowed: list[NDArray[np.int64]],
    plan: Plan,
    item_vectors: NDArray[np.float32],
    chunk_items: int,
) -> list[SearchResult]:
    """Score each query's allowed items, in calls of at most ``chunk_items``, and rank them.

    All queries advance together, so a deadline leaves each with the best of an equal
    share.  With ``plan.max_scored`` below the number of allowed items the scorer's
    proxy chooses which are scored (re-ranking); without a proxy, the first ones.

    Returns:
        One result per query; ``COMPLETE`` when every allowed item was scored, else
        ``BUDGET`` or ``DEADLINE``.
    """
    chosen = _within_budget(scoring, allowed, plan, item_vectors)
    scores = _score_in_chunks(scoring, chosen, plan, chunk_items)
    parts_us = scoring.parts_us()
    return [
        _result(allowed[query], chosen[query], scores[query], plan, scoring, parts_us)
        for query in range(scoring.n_queries)
    ]


def _within_budget(
    scoring: Scoring,
    allowed: list[NDArray[np.int64]],
    plan: Plan,
    item_vectors: NDArray[np.float32],
) -> list[NDArray[np.int64]]:
    if all(len(items) <= plan.max_scored for items in allowed):
        return allowed
    proxy = scoring.proxy_scores(item_vectors)
    if proxy is None:
        return [items[: plan.max_scored] for items in allowed]
    return [
        top_k(items, proxy[query, items], plan.max_scored)[0] for query, items in enumerate(allowed)
    ]


def _score_in_chunks(
    scoring: Scoring, chosen: list[NDArray[np.int64]], plan: Plan, chunk_items: int
) -> list[NDArray[np.float32]]:
    found: list[list[NDArray[np.float32]]] = [[] for _ in chosen]
    step = max(1, chunk_items // max(1, len(chosen)))
    for start in range(0, max(map(len, chosen)), step):
        if scoring.overdue:
            break
        parts = [items[start : start + step] for items in chosen]
        lengths = [len(part) for part in parts]
        scores = scoring.score(np.repeat(np.arange(len(parts)), lengths), np.concatenate(parts))
        for query, piece in enumerate(np.split(scores, np.cumsum(lengths)[:-1])):
            found[query].append(piece)
    return [np.concatenate([np.empty(0, np.float32), *pieces]) for pieces in found]


def _result(
    allowed: NDArray[np.int64],
    chosen: NDArray[np.int64],
    scores: NDArray[np.float32],
    plan: Plan,
    scoring: Scoring,
    parts_us: dict[str, int],
) -> SearchResult:
    items, best = top_k(chosen[: len(scores)], scores, plan.k)
    work = SearchWork(
        mode=Mode.EXHAUSTIVE,
        n_scored=len(scores),
        n_rounds=0,
        n_proxy_scored=scoring.n_proxy_scored,
        stopped_by=_reason(len(allowed), len(chosen), len(scores)),
        parts_us=dict(parts_us),
    )
    return SearchResult(items, best, work)


def _reason(n_allowed: int, n_chosen: int, n_scored: int) -> StopReason:
    if n_scored < n_chosen:
        return StopReason.DEADLINE
    return StopReason.BUDGET if n_chosen < n_allowed else StopReason.COMPLETE
