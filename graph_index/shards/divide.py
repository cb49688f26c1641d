"""A search divided among shards, and their answers merged.

Shapes: **B** queries, **K** results, **S** shards, **N** items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from graph_index.ranking import top_k
from vizsla.contracts.index import (
    MissingShard,
    Mode,
    SearchOptions,
    SearchResult,
    SearchWork,
    StopReason,
)

__all__ = ["local_options", "merge", "most_in_one", "shares"]

_WORST_FIRST = (
    StopReason.DEADLINE,
    StopReason.BUDGET,
    StopReason.ROUNDS,
    StopReason.NO_IMPROVEMENT,
    StopReason.EXHAUSTED,
    StopReason.COMPLETE,
)


def shares(total: int | None, sizes: Sequence[int]) -> list[int | None]:
    """Divide a budget of deep scores by the shards' sizes; no more in sum than there is.

    Example:
        >>> shares(10, [300, 100, 200]), shares(None, [1, 2])
        ([6, 1, 3], [None, None])
    """
    if total is None:
        return [None] * len(sizes)
    n_items = sum(sizes)
    given = [total * size // n_items for size in sizes]
    largest = sorted(range(len(sizes)), key=lambda shard: -sizes[shard])
    for shard in largest[: min(total, n_items) - sum(given)]:
        given[shard] += 1
    return list(given)


def most_in_one(n_best: int, n_shards: int) -> int:
    """Return how many of the ``n`` best items of a catalogue are in one shard, at most.

    A hash spreads them like throws of a die; three standard deviations above ``n / S`` leave out
    one item in 10,000 or fewer.

    Example:
        >>> most_in_one(200, 4), most_in_one(1, 4), most_in_one(0, 4)
        (72, 1, 0)
    """
    mean = n_best / n_shards
    return min(n_best, math.ceil(mean + 3 * math.sqrt(mean)))


def local_options(
    options: SearchOptions,
    excluded: Sequence[NDArray[np.int64]],
    allowed: Sequence[NDArray[np.bool_] | None],
    item_nums: NDArray[np.int64],
    share: tuple[int, int | None],
) -> SearchOptions:
    """Return what one shard is asked, in its own item numbers; equal filters stay one array.

    Args:
        options: The caller's.
        excluded: One array per query.
        allowed: One bitmap per query.
        item_nums: Of the shard.
        share: The shard's ``k`` and ``max_scored``.
    """
    own: dict[int, NDArray[np.bool_] | None] = {
        id(bitmap): None if bitmap is None else bitmap[item_nums] for bitmap in allowed
    }
    return replace(
        options,
        k=share[0],
        max_scored=share[1],
        excluded=tuple(_within(items, item_nums) for items in excluded),
        allowed=tuple(own[id(bitmap)] for bitmap in allowed),
    )


def merge(
    answers: Mapping[int, Sequence[SearchResult]],
    item_nums: Sequence[NDArray[np.int64]],
    missing: tuple[MissingShard, ...],
    n_queries: int,
    k: int,
) -> list[SearchResult]:
    """Merge the shards' results: best first, ties to the smaller item number.

    Args:
        answers: Shard number to its B results, in its own item numbers.
        item_nums: Of every shard, local row to item number.
        missing: Shards without an answer.
        n_queries: B.
        k: Results wanted.
    """
    return [
        _merged({shard: found[query] for shard, found in answers.items()}, item_nums, missing, k)
        for query in range(n_queries)
    ]


def _merged(
    found: Mapping[int, SearchResult],
    item_nums: Sequence[NDArray[np.int64]],
    missing: tuple[MissingShard, ...],
    k: int,
) -> SearchResult:
    nums = [item_nums[shard][result.item_nums] for shard, result in found.items()]
    scores = [result.scores for result in found.values()]
    items, best = top_k(
        np.concatenate([np.empty(0, np.int64), *nums]),
        np.concatenate([np.empty(0, np.float32), *scores]),
        k,
    )
    return SearchResult(items, best, _work([r.work for r in found.values()], missing), missing)


def _work(works: Sequence[SearchWork], missing: tuple[MissingShard, ...]) -> SearchWork:
    """Sum what the shards did; their rounds go on side by side."""
    late = any(shard.reason == "late" for shard in missing) or not works
    reasons = {work.stopped_by for work in works} | ({StopReason.DEADLINE} if late else set())
    walked = not works or any(work.mode is Mode.WALK for work in works)
    parts = sorted({part for work in works for part in work.parts_us})
    return SearchWork(
        mode=Mode.WALK if walked else Mode.EXHAUSTIVE,
        n_scored=sum(work.n_scored for work in works),
        n_rounds=max((work.n_rounds for work in works), default=0),
        n_proxy_scored=sum(work.n_proxy_scored for work in works),
        stopped_by=next(reason for reason in _WORST_FIRST if reason in reasons),
        parts_us={part: sum(work.parts_us.get(part, 0) for work in works) for part in parts},
    )


def _within(items: NDArray[np.int64], item_nums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the local rows of those items that the shard has."""
    places = np.minimum(np.searchsorted(item_nums, items), len(item_nums) - 1)
    own: NDArray[np.int64] = places[item_nums[places] == items]
    return own
