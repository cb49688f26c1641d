"""A scorer in NumPy behind tensors, for tests of what searches on a torch device.

Shapes: **B** queries, **C** candidates, **D** vector size, **R** rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.contracts.index import ProxyScorer, Query, Scorer

__all__ = ["HostScorer"]


class HostScorer:
    """Lets a search on a device ask any scorer: what is asked and answered goes through the host.

    Args:
        scorer: Gives the answers; each call of it has the queries ascending, and is never empty.
        item_vectors: ``(N, D)`` float32, what its proxy is multiplied with.

    Example:
        >>> from vizsla.testing.scorers import DotScorer
        >>> vectors = np.eye(3, dtype=np.float32)
        >>> there = HostScorer(DotScorer(vectors), vectors).on_device("cpu")
        >>> state = there.user_state([Query(np.array([1]))])
        >>> there.scores(state, torch.tensor([[1, 2, 3]])).tolist()
        [[1.0, 0.0, 0.0]]
    """

    def __init__(self, scorer: Scorer, item_vectors: NDArray[np.float32]) -> None:
        self._scorer = scorer
        self._vectors = item_vectors
        self._device = "cpu"

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self._scorer.n_items

    def on_device(self, device: str) -> HostScorer:
        """Return a scorer that gives tensors of a device."""
        other = HostScorer(self._scorer, self._vectors)
        other._device = device
        return other

    def user_state(self, queries: Sequence[Query]) -> Any:
        """Return the scorer's own state."""
        return self._scorer.user_state(queries)

    def score(
        self, state: Any, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the scorer's own scores."""
        return self._scorer.score(state, query_of, item_nums)

    def scores(self, state: Any, item_nums: Tensor) -> Tensor:
        """Return ``(B, C)`` scores, 0 for no item; what has a wrong length is passed on as it is."""
        nums = item_nums.cpu().numpy()
        query_of, places = np.nonzero(nums < self._scorer.n_items)
        made = np.zeros(nums.shape, np.float32)
        if len(query_of):
            scores = self._scorer.score(state, query_of, nums[query_of, places])
            if len(scores) != len(query_of):
                return torch.from_numpy(scores).to(self._device)
            made[query_of, places] = scores
        return torch.from_numpy(made).to(self._device)

    def proxy(self, state: Any) -> Tensor | None:
        """Return the scorer's proxy, None where it has none."""
        if not isinstance(self._scorer, ProxyScorer):
            return None
        return torch.from_numpy(self._scorer.proxy(state)).to(self._device)

    def item_vectors(self, start: int, stop: int) -> Tensor:
        """Return ``(R, D)`` vectors from ``start`` to ``stop``."""
        return torch.from_numpy(self._vectors[start:stop]).to(self._device)
