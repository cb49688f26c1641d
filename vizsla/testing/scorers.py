"""Scorers of a few lines in NumPy, for everything that needs a ``Scorer`` and no model.

Both give the same bits for a candidate whatever else is in the batch, so tests
can ask for equality.  Shapes as in ``vizsla.contracts.index``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.index import Query
from vizsla.rng import numpy_generator

__all__ = ["DotScorer", "MlpScorer"]


class DotScorer:
    """Dot product of an item's vector with the mean vector of the history.

    Args:
        item_vectors: ``(N, D)`` float32.

    Example:
        >>> scorer = DotScorer(np.eye(3, dtype=np.float32))
        >>> state = scorer.user_state([Query(np.array([1]))])
        >>> scorer.score(state, np.zeros(3, np.int64), np.arange(3)).tolist()
        [0.0, 1.0, 0.0]
    """

    def __init__(self, item_vectors: NDArray[np.float32]) -> None:
        self.item_vectors = item_vectors

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self.item_vectors)

    def with_items(self, item_nums: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Return a scorer with rows added or replaced; this one stays as it is."""
        other = copy.copy(self)
        other.item_vectors = _with_rows(self.item_vectors, item_nums, vectors)
        return other

    def user_state(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return ``(B, D)`` mean vectors of the histories, zero for an empty one."""
        users = np.zeros((len(queries), self.item_vectors.shape[1]), np.float32)
        for row, query in enumerate(queries):
            if len(query.history):
                users[row] = self.item_vectors[query.history].mean(axis=0)
        return users

    def score(
        self,
        state: NDArray[np.float32],
        query_of: NDArray[np.int64],
        item_nums: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return ``(C,)`` dot products."""
        products = state[query_of] * self.item_vectors[item_nums]
        return np.asarray(products.sum(axis=1), np.float32)

    def proxy(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the user vectors themselves: here the proxy is exact."""
        return state


class MlpScorer(DotScorer):
    """A small network on top of the dot product, so that the score is no metric.

    ``score = u . e + strength * w . tanh(A u + B e)`` with seeded random ``A``, ``B`` and ``w``.

    Args:
        item_vectors: ``(N, D)`` float32.
        hidden: Width of the hidden layer.
        strength: Weight of the part that is no dot product; 0 gives ``DotScorer``.
        seed: Of the network's weights.
    """

    def __init__(
        self,
        item_vectors: NDArray[np.float32],
        hidden: int = 16,
        strength: float = 1.0,
        seed: int = 0,
    ) -> None:
        super().__init__(item_vectors)
        draw = numpy_generator(seed, "mlp scorer").normal
        size = item_vectors.shape[1]
        self._of_user = draw(size=(size, hidden)).astype(np.float32)
        self._of_item: NDArray[np.float32] = draw(size=(size, hidden)).astype(np.float32)
        self._item_hidden: NDArray[np.float32] = item_vectors @ self._of_item
        self._output = (strength * draw(size=hidden)).astype(np.float32)

    def with_items(self, item_nums: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Return a scorer with rows added or replaced; this one stays as it is."""
        other = super().with_items(item_nums, vectors)
        other._item_hidden = _with_rows(self._item_hidden, item_nums, vectors @ self._of_item)
        return other

    def score(
        self,
        state: NDArray[np.float32],
        query_of: NDArray[np.int64],
        item_nums: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Return ``(C,)`` scores."""
        # One user at a time: a matrix product rounds differently for other batch sizes.
        user_hidden = np.stack([user @ self._of_user for user in state])
        hidden = np.tanh(user_hidden[query_of] + self._item_hidden[item_nums])
        deep = (hidden * self._output).sum(axis=1)
        return np.asarray(super().score(state, query_of, item_nums) + deep, np.float32)


def _with_rows(
    table: NDArray[np.float32], nums: NDArray[np.int64], rows: NDArray[np.float32]
) -> NDArray[np.float32]:
    n_more = max(0, int(nums.max(initial=-1)) + 1 - len(table))
    grown = np.concatenate([table, np.zeros((n_more, table.shape[1]), np.float32)])
    grown[nums] = rows
    return grown
