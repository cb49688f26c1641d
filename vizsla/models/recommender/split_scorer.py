"""A matcher's score in two processes: the user's side in one, the items' side in others.

Shapes: **B** queries, **C** candidates, **D** vector size, **L** history, **n** items of a shard.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.contracts.index import Query
from vizsla.contracts.tables import ItemTables
from vizsla.errors import ContractError
from vizsla.models.recommender.base import Matcher, UserState
from vizsla.models.recommender.loading import matcher_scorer
from vizsla.models.recommender.scorer import ScorerState, user_states

__all__ = ["ShardScorer", "ShippedUsers", "UserSideScorer", "unpacked"]

ShippedUsers = Mapping[str, NDArray[np.float32] | NDArray[np.bool_]]
"""``UserState`` as plain arrays by name, B rows each."""

_CPU = torch.device("cpu")


class UserSideScorer:
    """Folds users for scorers elsewhere, and holds no table of items.

    Implements ``ProxyScorer``: a score of its own computes the item's rows from the weights, so
    that a few items can be scored here too, slowly.

    Args:
        matcher: A trained matcher; put into evaluation mode.
        n_items: Number of items N.

    Example:
        >>> from vizsla.models.recommender.nann import Nann, NannConfig
        >>> scorer = UserSideScorer(Nann(NannConfig(n_items=5, embedding_size=8)), 5)
        >>> {name: array.shape for name, array in scorer.user_state([Query(np.array([3]))]).items()}
        {'user': (1, 8), 'values': (1, 1, 8), 'keys': (1, 1, 64), 'mask': (1, 1)}
    """

    def __init__(self, matcher: Matcher, n_items: int) -> None:
        self._matcher = matcher.eval()
        self._n_items = n_items

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self._n_items

    @torch.inference_mode()
    def user_state(self, queries: Sequence[Query]) -> ShippedUsers:
        """Return B users as arrays that can travel."""
        return _packed(user_states(self._matcher, queries, _CPU))

    @torch.inference_mode()
    def score(
        self, state: ShippedUsers, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score candidates from the weights alone; see ``Scorer.score``."""
        users, scores = unpacked(state), np.empty(len(item_nums), np.float32)
        for row in np.unique(query_of).tolist():
            mine = np.flatnonzero(query_of == row)
            vectors = self._matcher.item_vectors(torch.from_numpy(item_nums[mine]))
            folded = self._matcher.fold(users, row)
            found = self._matcher.folded_scores(folded, self._matcher.tables_of(vectors))
            scores[mine] = found.numpy()
        return scores

    @torch.inference_mode()
    def proxy(self, state: ShippedUsers) -> NDArray[np.float32]:
        """Return ``(B, D)`` two-sided user vectors."""
        proxies: NDArray[np.float32] = self._matcher.proxy(unpacked(state)).numpy()
        return proxies


class ShardScorer:
    """Scores a shard's items for users that a ``UserSideScorer`` of the same weights folded.

    Args:
        matcher: Of the whole catalogue; what it knows of other items is let go.
        item_vectors: ``(n, D)`` vectors of the shard's items; not copied, so they may be mapped.
        tables: Their item tables; None computes them.
    """

    def __init__(
        self, matcher: Matcher, item_vectors: NDArray[np.float32], tables: ItemTables | None
    ) -> None:
        with warnings.catch_warnings():
            # torch cannot mark a tensor read-only, and warns; nothing here writes
            warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
            vectors = torch.from_numpy(item_vectors)
        own = matcher.with_fixed_items(vectors, torch.empty(0, dtype=torch.int64))
        self._scorer = matcher_scorer(own, tables)
        self.score = self._scorer.score
        self.proxy = self._scorer.proxy

    @property
    def n_items(self) -> int:
        """Number of items n."""
        return self._scorer.n_items

    def user_state(self, queries: Sequence[Query]) -> ScorerState:
        """Refuse: histories are item numbers of the whole catalogue.

        Raises:
            ContractError: Always.
        """
        raise ContractError("a shard cannot fold users; resume what the coordinator folded")

    def resume(self, users: ShippedUsers) -> ScorerState:
        """Return the state of users that were shipped."""
        return self._scorer.fold(unpacked(users))


def unpacked(users: ShippedUsers) -> UserState:
    """Return the state that was shipped."""
    return UserState(*(_tensor(users[name]) for name in ("user", "values", "keys", "mask")))


def _packed(state: UserState) -> ShippedUsers:
    return {
        name: np.ascontiguousarray(getattr(state, name).numpy())
        for name in ("user", "values", "keys", "mask")
    }


def _tensor(array: NDArray[np.float32] | NDArray[np.bool_]) -> Tensor:
    """Arrays from another process are read-only, which torch does not know."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
