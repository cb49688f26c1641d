"""Accuracy of ranked lists, per query, always over the full catalogue.

Shapes: **Q** queries, **K** length of the lists, **N** items.  A list is a row of
item numbers, best first, no item twice, short rows padded at the end with -1.
Every accuracy function returns one float64 per query, so that intervals and
paired differences can be computed from it (``training.bootstrap``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.data import Ragged
from vizsla.errors import ContractError

__all__ = [
    "METRICS",
    "catalogue_coverage_ratio",
    "coverage_at_k",
    "evaluate_ranking",
    "gini",
    "hit_matrix",
    "hit_rate_at_k",
    "mrr_at_k",
    "ndcg_at_k",
    "overlap_ratio",
    "precision_at_k",
    "recall_at_k",
]

METRICS = ("recall", "ndcg", "hit_rate", "mrr", "precision")
"""Names that ``evaluate_ranking`` computes, each with ``_at_K`` behind it."""

Floats = NDArray[np.float64]


def evaluate_ranking(
    top_items: NDArray[np.int64], targets: Ragged, ks: Sequence[int]
) -> dict[str, Floats]:
    """Compute every metric at every k, per query.

    Args:
        top_items: ``(Q, K)`` int64, best first, padded with -1.
        targets: Q rows of item numbers, any order, none of them empty.
        ks: List lengths, each between 1 and K.

    Returns:
        ``recall_at_20`` and the like to ``(Q,)`` float64.

    Raises:
        ContractError: A k is larger than K or less than 1, Q disagrees, or a query has no target.

    Example:
        Targets 7 and 9; the list finds 7 in place two:

        >>> found = evaluate_ranking(np.array([[3, 7]]), Ragged.from_lists([[7, 9]]), [2])
        >>> found["recall_at_2"].tolist() == [1 / 2], found["mrr_at_2"].tolist() == [1 / 2]
        (True, True)
    """
    hits, n_targets = hit_matrix(top_items, targets), _n_targets(targets)
    _check(hits, n_targets, ks)
    return {
        f"{name}_at_{k}": values
        for k in ks
        for name, values in _metrics_of_hits(hits[:, :k], n_targets, k).items()
    }


def hit_matrix(top_items: NDArray[np.int64], targets: Ragged) -> NDArray[np.bool_]:
    """Return ``(Q, K)`` bool: whether the item in that place is a target of its query.

    Complexity:
        ``O((QK + T) log T)`` for T targets in all, memory ``O(QK)``.

    Example:
        >>> hit_matrix(np.array([[3, 7, -1]]), Ragged.from_lists([[7, 9]])).tolist()
        [[False, True, False]]
    """
    if len(top_items) != len(targets):
        raise ContractError(f"{len(top_items)} lists for {len(targets)} queries")
    stride = max(_stride(top_items), _stride(targets.values))
    wanted = _target_keys(targets, stride)
    keys = np.arange(len(top_items))[:, None] * stride + top_items
    place = np.searchsorted(wanted, keys).clip(max=max(len(wanted) - 1, 0))
    found = wanted[place] == keys if len(wanted) else np.zeros(keys.shape, np.bool_)
    return np.asarray(found & (top_items >= 0), np.bool_)


def recall_at_k(top_items: NDArray[np.int64], targets: Ragged, k: int) -> Floats:
    """Return the share of a query's targets among its first k, ``(Q,)``.

    Example:
        One of two targets found, then all of one:

        >>> lists = np.array([[3, 7], [5, 1]])
        >>> recall_at_k(lists, Ragged.from_lists([[7, 9], [5]]), 2).tolist() == [1 / 2, 1 / 1]
        True
    """
    return evaluate_ranking(top_items, targets, [k])[f"recall_at_{k}"]


def precision_at_k(top_items: NDArray[np.int64], targets: Ragged, k: int) -> Floats:
    """Return hits among the first k divided by k, ``(Q,)``; padding counts as a miss.

    Example:
        >>> precision_at_k(np.array([[3, 7, 9, 2]]), Ragged.from_lists([[7, 9]]), 4).tolist()
        [0.5]
    """
    return evaluate_ranking(top_items, targets, [k])[f"precision_at_{k}"]


def hit_rate_at_k(top_items: NDArray[np.int64], targets: Ragged, k: int) -> Floats:
    """Return 1 where at least one target is among the first k, else 0, ``(Q,)``.

    Example:
        >>> hit_rate_at_k(np.array([[3, 7], [5, 1]]), Ragged.from_lists([[7, 9], [2]]), 2).tolist()
        [1.0, 0.0]
    """
    return evaluate_ranking(top_items, targets, [k])[f"hit_rate_at_{k}"]


def mrr_at_k(top_items: NDArray[np.int64], targets: Ragged, k: int) -> Floats:
    """Return 1 over the place of the first hit within k, 0 without a hit, ``(Q,)``.

    Example:
        >>> lists = np.array([[3, 7, 9], [5, 1, 2], [4, 6, 8]])
        >>> reciprocal = mrr_at_k(lists, Ragged.from_lists([[9], [5, 2], [0]]), 3)
        >>> bool(np.isclose(reciprocal.mean(), 1 / 3 * (1 / 3 + 1 / 1 + 0)))
        True
    """
    return evaluate_ranking(top_items, targets, [k])[f"mrr_at_{k}"]


def ndcg_at_k(top_items: NDArray[np.int64], targets: Ragged, k: int) -> Floats:
    """Return discounted gain over the best possible one, ``(Q,)``.

    A hit in place r (from 1) gains ``1 / log2(r + 1)``; the ideal list has
    ``min(k, number of targets)`` hits in front (as in LightGCN's evaluation).

    Example:
        Targets 7 and 9, found 7 in place two of three:

        >>> gain = ndcg_at_k(np.array([[3, 7, 1]]), Ragged.from_lists([[7, 9]]), 3)
        >>> bool(np.isclose(gain[0], (1 / np.log2(3)) / (1 / np.log2(2) + 1 / np.log2(3))))
        True
    """
    return evaluate_ranking(top_items, targets, [k])[f"ndcg_at_{k}"]


def coverage_at_k(walk: NDArray[np.int64], exhaustive: NDArray[np.int64]) -> Floats:
    """Return how much of the exhaustive top k the walk found, ``(Q,)``.

    ``|walk top k intersected with exhaustive top k| / |exhaustive top k|`` (Chen et al.,
    CIKM 2022, 5.1.2).  Both searches must have used the same scorer and the same
    candidates.  High coverage says nothing about accuracy: a popularity model is easy to search.

    Args:
        walk: ``(Q, k)`` int64, padded with -1.
        exhaustive: ``(Q, k)`` int64, padded with -1; a wholly padded row counts as covered.

    Example:
        >>> coverage_at_k(np.array([[1, 2, 3]]), np.array([[3, 1, 9]])).tolist() == [2 / 3]
        True
    """
    wanted = np.maximum((exhaustive >= 0).sum(axis=1), 1)
    empty = (exhaustive < 0).all(axis=1)
    found = hit_matrix(walk, _rows(exhaustive)).sum(axis=1)
    return np.asarray(np.where(empty, 1.0, found / wanted), np.float64)


def catalogue_coverage_ratio(top_items: NDArray[np.int64], n_items: int) -> float:
    """Return the share of the catalogue that is in at least one list.

    Example:
        >>> catalogue_coverage_ratio(np.array([[0, 1], [1, -1]]), 4)
        0.5
    """
    return float(np.count_nonzero(_times_listed(top_items, n_items)) / n_items)


def gini(top_items: NDArray[np.int64], n_items: int) -> float:
    """Return how unequally often the items are listed: 0 all alike, towards 1 a few take all.

    Example:
        Two of four items share all places: the Lorenz curve gives 1/2.

        >>> gini(np.array([[0, 1], [1, 0]]), 4), gini(np.array([[0, 1], [2, 3]]), 4)
        (0.5, 0.0)
    """
    times = np.sort(_times_listed(top_items, n_items))
    if times[-1] == 0:
        return 0.0
    ranks = np.arange(1, n_items + 1)
    return float(((2 * ranks - n_items - 1) * times).sum() / (n_items * times.sum()))


def overlap_ratio(top_items: NDArray[np.int64], n_items: int) -> float:
    """Return the mean share of their lists that two different queries have in common.

    1 means that everybody gets the same items, which makes any search look good.
    Exact over all pairs of queries in ``O(QK + N)``; lists are taken as K long.

    Example:
        Three lists of two; only the first two share an item, so the pairs share 1/2, 0, 0:

        >>> shared = overlap_ratio(np.array([[0, 1], [1, 2], [3, 4]]), 5)
        >>> bool(np.isclose(shared, 1 / 3 * (1 / 2 + 0 + 0)))
        True
    """
    n_queries, k = top_items.shape
    if n_queries < 2:
        return 0.0
    times = _times_listed(top_items, n_items).astype(np.float64)
    return float((times * (times - 1)).sum() / (n_queries * (n_queries - 1) * k))


def _metrics_of_hits(
    hits: NDArray[np.bool_], n_targets: NDArray[np.int64], k: int
) -> dict[str, Floats]:
    n_hits = hits.sum(axis=1)
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(n_targets, k) - 1]
    reciprocal = (hits / np.arange(1, k + 1)).max(axis=1)
    return {
        "recall": n_hits / n_targets,
        "ndcg": (hits @ discounts) / ideal,
        "hit_rate": (n_hits > 0).astype(np.float64),
        "mrr": reciprocal,
        "precision": n_hits / k,
    }


def _check(hits: NDArray[np.bool_], n_targets: NDArray[np.int64], ks: Sequence[int]) -> None:
    wrong = [k for k in ks if not 1 <= k <= hits.shape[1]]
    if wrong:
        raise ContractError(f"k = {wrong[0]} for lists of {hits.shape[1]}")
    if (n_targets == 0).any():
        raise ContractError(f"query {int(np.argmin(n_targets))} has no target")


def _n_targets(targets: Ragged) -> NDArray[np.int64]:
    """Distinct targets per query."""
    stride = _stride(targets.values)
    keys = _target_keys(targets, stride)
    return np.bincount(keys // stride, minlength=len(targets))


def _target_keys(targets: Ragged, stride: int) -> NDArray[np.int64]:
    """One sorted key per distinct (query, target)."""
    query_of = np.repeat(np.arange(len(targets)), targets.lengths)
    return np.unique(query_of * stride + targets.values)


def _stride(items: NDArray[np.int64]) -> int:
    return int(items.max(initial=0)) + 1


def _rows(top_items: NDArray[np.int64]) -> Ragged:
    kept = top_items >= 0
    offsets = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    return Ragged(offsets, top_items[kept])


def _times_listed(top_items: NDArray[np.int64], n_items: int) -> NDArray[np.int64]:
    return np.bincount(top_items[top_items >= 0], minlength=n_items)
