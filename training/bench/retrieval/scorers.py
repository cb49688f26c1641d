"""The bundle's scorer, and stand-ins of it that show what one of its parts is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.contracts.index import ProxyScorer, Query
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.scorer import ScorerState, TorchScorer

__all__ = ["SAME_SCORES", "SCORERS", "DeepOnly", "HistoryProxy", "NoTables"]


class HistoryProxy:
    """A scorer whose dot product is hidden; in its place the mean of the history's item vectors.

    What anybody can try who has item vectors and histories and no two-sided model.

    Args:
        scorer: Gives the scores.
        item_vectors: ``(N, D)`` float32.
    """

    def __init__(self, scorer: ProxyScorer, item_vectors: NDArray[np.float32]) -> None:
        self._scorer = scorer
        self._vectors = item_vectors

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self._scorer.n_items

    def user_state(self, queries: Sequence[Query]) -> tuple[Any, Sequence[Query]]:
        """Keep the queries beside the scorer's own state."""
        return self._scorer.user_state(queries), queries

    def score(
        self,
        state: tuple[Any, Sequence[Query]],
        query_of: NDArray[np.int64],
        item_nums: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return the scorer's own scores."""
        return self._scorer.score(state[0], query_of, item_nums)

    def proxy(self, state: tuple[Any, Sequence[Query]]) -> NDArray[np.float32]:
        """Return ``(B, D)`` mean vectors of the histories, zero for an empty one."""
        means = np.zeros((len(state[1]), self._vectors.shape[1]), np.float32)
        for mean, query in zip(means, state[1], strict=True):
            known = query.history[query.history >= 0]
            if len(known):
                mean[:] = self._vectors[known].mean(axis=0)
        return means


class DeepOnly:
    """A scorer minus its own dot product: nothing cheap is near what is left.

    Its coverage and number of scores mean something, its time does not: the dot product
    is computed and then taken away.

    Args:
        scorer: Gives the scores.
        item_vectors: ``(N, D)`` float32.
    """

    def __init__(self, scorer: TorchScorer, item_vectors: NDArray[np.float32]) -> None:
        self._scorer = scorer
        self._vectors = item_vectors

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self._scorer.n_items

    def user_state(self, queries: Sequence[Query]) -> tuple[Any, NDArray[np.float32]]:
        """Keep the proxies beside the scorer's own state."""
        state = self._scorer.user_state(queries)
        return state, self._scorer.proxy(state)

    def score(
        self,
        state: tuple[Any, NDArray[np.float32]],
        query_of: NDArray[np.int64],
        item_nums: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return the scores without the dot product."""
        products = np.einsum("cd,cd->c", state[1][query_of], self._vectors[item_nums])
        scores = self._scorer.score(state[0], query_of, item_nums)
        return np.asarray(scores - products, np.float32)

    def gradient(
        self,
        state: tuple[Any, NDArray[np.float32]],
        query_of: NDArray[np.int64],
        item_nums: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return the derivatives without the dot product's."""
        return self._scorer.gradient(state[0], query_of, item_nums) - state[1][query_of]

    def proxy(self, state: tuple[Any, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return the scorer's own proxy, which is now off by all that is scored."""
        return state[1]


class NoTables(TorchScorer):
    """The scorer without what is computed once: item side and user side anew in every call."""

    def __init__(self, matcher: Matcher) -> None:
        super().__init__(matcher, compiled=False)
        self._vectors = torch.from_numpy(self.item_vectors.copy())

    @torch.inference_mode()
    def score(
        self, state: ScorerState, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the plain forward's scores."""
        scores = np.empty(len(item_nums), np.float32)
        for row in np.unique(query_of):
            mine = np.flatnonzero(query_of == row)
            vectors = self._vectors[torch.from_numpy(item_nums[mine])]
            own = Matcher.fold(self._matcher, state.state, int(row))
            scores[mine] = self._matcher.scores(own, vectors)[0].numpy()
        return scores


Make = Callable[[TorchScorer, Matcher, NDArray[np.float32]], ProxyScorer]

SCORERS: Mapping[str, Make] = {
    "own": lambda scorer, _matcher, _vectors: scorer,
    "history": lambda scorer, _matcher, vectors: HistoryProxy(scorer, vectors),
    "deep_only": lambda scorer, _matcher, vectors: DeepOnly(scorer, vectors),
    "no_tables": lambda _scorer, matcher, _vectors: NoTables(matcher),
}
"""Name to what makes it from the bundle's scorer, its matcher and the item vectors."""

SAME_SCORES: Mapping[str, str] = {"history": "own", "no_tables": "own"}
"""Scorers whose exhaustive lists are another one's."""
