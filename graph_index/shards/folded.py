"""A scorer whose users were folded beforehand, so that no shard folds them again.

Shapes: **B** queries, **C** candidates, **D** vector size, **n** items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.index import ProxyScorer, Query, Scorer

__all__ = ["folded", "rows"]


def rows(n_queries: int) -> list[Query]:
    """Return queries that stand for the rows of a folded batch."""
    return [Query(np.array([row])) for row in range(n_queries)]


def folded(scorer: Scorer, state: Any, item_nums: NDArray[np.int64] | None = None) -> Scorer:
    """Return a scorer of ``rows(B)`` over some items.

    Args:
        scorer: What scores.
        state: Its state of B queries.
        item_nums: ``(n,)`` the scorer's numbers of the items; None for all as they are.
    """
    if isinstance(scorer, ProxyScorer):
        return _FoldedProxy(scorer, state, item_nums)
    return _Folded(scorer, state, item_nums)


class _Folded:
    def __init__(self, scorer: Any, state: Any, item_nums: NDArray[np.int64] | None) -> None:
        self._scorer = scorer
        self._state = state
        self._item_nums = item_nums

    @property
    def n_items(self) -> int:
        return int(self._scorer.n_items) if self._item_nums is None else len(self._item_nums)

    def user_state(self, queries: Sequence[Query]) -> NDArray[np.int64]:
        return np.array([query.history[0] for query in queries], np.int64)

    def score(
        self,
        state: NDArray[np.int64],
        query_of: NDArray[np.int64],
        item_nums: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        nums = item_nums if self._item_nums is None else self._item_nums[item_nums]
        scores: NDArray[np.float32] = self._scorer.score(self._state, state[query_of], nums)
        return scores


class _FoldedProxy(_Folded):
    def proxy(self, state: NDArray[np.int64]) -> NDArray[np.float32]:
        proxies: NDArray[np.float32] = self._scorer.proxy(self._state)[state]
        return proxies
