"""Recommenders that are one item-item matrix, applied to the items of the history."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.baselines.base import history_matrix
from training.data import Ragged, Split

__all__ = ["ItemItem"]


class ItemItem(ABC):
    """Scores an item by its weights from the items of the history, summed.

    Where the data has an order the newest items can count more.  Without order
    every item counts the same and both settings are ignored.

    Args:
        history_limit: Newest items that vote; None for all.
        history_decay: Weight per place further back, in (0, 1].
    """

    def __init__(self, *, history_limit: int | None = None, history_decay: float = 1.0) -> None:
        self._limit, self._decay = history_limit, history_decay

    @abstractmethod
    def item_weights(self, split: Split) -> sparse.csr_array | NDArray[np.float32]:
        """Return ``(N, N)`` float32: what an item of the history (row) says for each item."""

    def fit(self, split: Split) -> None:
        """Compute the item-item matrix from ``split.train``.

        Raises:
            DoesNotFitError: The catalogue is too large for this baseline.
        """
        self._n_items, self._ordered = split.n_items, split.order != "none"
        self._weights = self.item_weights(split)

    def scores(self, histories: Ragged) -> NDArray[np.float32]:
        """Return ``(Q, N)`` float32 sums of weights; zeros for an empty history."""
        limit, decay = (self._limit, self._decay) if self._ordered else (None, 1.0)
        votes = history_matrix(histories, self._n_items, limit=limit, decay=decay)
        found = votes @ self._weights
        return np.asarray(found.toarray() if sparse.issparse(found) else found, np.float32)

    def with_decay(self, history_decay: float) -> ItemItem:
        """Return the same fitted recommender with another ``history_decay``; shares the matrix."""
        other = copy.copy(self)
        other._decay = history_decay
        return other
