"""The scorer as the search sees it: one batch's state, checked answers, counted time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.timed import Timed
from vizsla.clock import Clock
from vizsla.contracts.index import ComponentScorer, GradientScorer, ProxyScorer, Query, Scorer
from vizsla.errors import ContractError
from vizsla.vocabulary import UNKNOWN

__all__ = ["Scoring", "check_histories"]

_CALL = 16_384
"""Candidates of one call: about 20 ms, and so how finely a search sees its deadline."""

_LARGEST_PROXY = 1e30
"""A product with a larger one may overflow, and infinities of both signs have no sum."""


class Scoring(Timed):
    """One batch of queries under a scorer.

    Args:
        scorer: Scores items of a catalogue of ``n_items``.
        queries: The batch of B queries; their state is computed here, once.
        clock: For deadlines and times.
        n_items: Items of the index; the scorer must have as many.
        deadline_s: Monotonic second of the batch; infinity for none.

    Attributes:
        n_queries: B.
        n_proxy_scored: Dot products computed per query so far.

    Raises:
        ContractError: The scorer was made for another number of items, or a history names an
            item that is none.
    """

    def __init__(
        self,
        scorer: Scorer,
        queries: Sequence[Query],
        clock: Clock,
        n_items: int,
        *,
        deadline_s: float = math.inf,
    ) -> None:
        if scorer.n_items != n_items:
            raise ContractError(f"the scorer has {scorer.n_items} items, the index {n_items}")
        check_histories(queries, n_items)
        super().__init__(clock)
        self.n_queries = len(queries)
        self.n_proxy_scored = 0
        self._scorer = scorer
        self._deadline_s = deadline_s
        with self._timed("state"):
            self._state: Any = scorer.user_state(queries)

    @property
    def overdue(self) -> bool:
        """Whether the deadline has come; asked between pieces of work."""
        return self.late(self._deadline_s)

    def score_in_time(
        self, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score candidates in calls of bounded length, as far as the deadline lets.

        Returns:
            ``(C',)`` scores of the first candidates; C' is C unless the deadline came between
            two calls.  The first call is made whatever the time is.
        """
        if len(item_nums) <= _CALL:
            return self.score(query_of, item_nums)
        scores = []
        for start in range(0, len(item_nums), _CALL):
            if start and self.overdue:
                break
            part = slice(start, start + _CALL)
            scores.append(self.score(query_of[part], item_nums[part]))
        return np.concatenate(scores)

    def score(
        self, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score candidates in one call.

        Raises:
            ContractError: The scorer returned the wrong length, a NaN or an infinity.
        """
        with self._timed("score"):
            scores = np.asarray(
                self._scorer.score(self._state, query_of, item_nums), dtype=np.float32
            )
        if scores.shape != item_nums.shape:
            raise ContractError(
                f"the scorer returned shape {scores.shape} for {len(item_nums)} candidates"
            )
        if not np.isfinite(scores).all():
            worst = int(item_nums[np.argmin(np.isfinite(scores))])
            raise ContractError(f"the scorer returned NaN or infinity, first for item {worst}")
        return scores

    def proxy_vectors(self, size: int) -> NDArray[np.float32] | None:
        """Return ``(B, D)`` proxies of the queries, or None where the scorer has none.

        Args:
            size: D, that of the item vectors.

        Raises:
            ContractError: They have a wrong shape, a NaN, or a value whose products overflow.
        """
        if not isinstance(self._scorer, ProxyScorer):
            return None
        with self._timed("seed"):
            proxy = np.ascontiguousarray(self._scorer.proxy(self._state), np.float32)
        expected = (self.n_queries, size)
        usable = np.abs(proxy) <= _LARGEST_PROXY
        if proxy.shape != expected or not usable.all():
            raise ContractError(
                f"the proxy must be {expected} and within {_LARGEST_PROXY:g}, it is {proxy.shape} "
                f"with {int(np.count_nonzero(~usable))} values that are not"
            )
        return proxy

    def proxy_scores(self, item_vectors: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Return ``(B, N)`` proxy scores by one matrix product, or None without a proxy.

        Raises:
            ContractError: The proxy has a wrong shape, or a NaN or infinity.
        """
        proxy = self.proxy_vectors(item_vectors.shape[1])
        if proxy is None:
            return None
        with self._timed("seed"):
            self.n_proxy_scored = len(item_vectors)
            scores: NDArray[np.float32] = proxy @ item_vectors.T
            return scores

    def component_bounds(
        self, query: int, item_vectors: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Return ``(N,)`` scores that no item of a query exceeds, or None without components."""
        if not isinstance(self._scorer, ComponentScorer):
            return None
        proxies = self.proxy_vectors(item_vectors.shape[1])
        if proxies is None:
            return None
        with self._timed("seed"):
            items, own = self._scorer.item_components, self._scorer.components(self._state)[query]
            _check_finite("component", own)
            products = items.reshape(-1, items.shape[2]) @ own.T
            self.n_proxy_scored = products.size
            bounds: NDArray[np.float32] = products.reshape(len(items), -1).max(axis=1)
            bounds += item_vectors @ proxies[query]
            return bounds

    def gradient(
        self, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32] | None:
        """Return ``(C, D)`` derivatives by the item vectors, or None where the scorer has none."""
        if not isinstance(self._scorer, GradientScorer):
            return None
        with self._timed("score"):
            gradient = np.asarray(
                self._scorer.gradient(self._state, query_of, item_nums), dtype=np.float32
            )
        _check_finite("gradient", gradient)
        return gradient

    def seeding(self) -> AbstractContextManager[None]:
        """Count the time of a ``with`` block as ``seed``."""
        return self._timed("seed")


def check_histories(queries: Sequence[Query], n_items: int) -> None:
    """Refuse item numbers out of range, which would read foreign memory; -1 is an unknown item.

    Raises:
        ContractError: A history has one.
    """
    for row, query in enumerate(queries):
        history = query.history
        if len(history) and (history.min() < UNKNOWN or history.max() >= n_items):
            raise ContractError(
                f"query {row}: history: item numbers {history.min()} to {history.max()} are not "
                f"within 0 to {n_items - 1}"
            )


def _check_finite(name: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise ContractError(f"the scorer's {name} has NaN or infinity")
