"""A trained matcher as the ``ProxyScorer`` that graph search and serving ask.

Shapes: **B** queries, **C** candidates, **D** vector size, **L** history, **N** items.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.contracts.index import Query
from vizsla.models.recommender.base import Matcher, SequenceBatch, UserState
from vizsla.models.recommender.context import pad_histories
from vizsla.models.recommender.gradients import score_gradient

__all__ = ["ScorerState", "TorchScorer"]


SPARE_ROWS = 1024
CHUNK = 4096
"""Candidates scored at once: what their intermediate values need fits the processor's cache."""


@dataclass(frozen=True, slots=True)
class ScorerState:
    """The folded users of one batch of queries.

    Attributes:
        state: The matcher's own state of B users.
        folded: What ``Matcher.fold`` made of each.
    """

    state: UserState
    folded: tuple[Any, ...]


class TorchScorer:
    """Score items without gradients, with everything computed once that can be.

    Tables of all items are made on construction; a later change of the matcher's
    weights is not seen.  Implements ``ProxyScorer`` and
    ``UpdatableScorer`` of ``vizsla.contracts.index``.

    Args:
        matcher: A trained matcher; put into evaluation mode.
        device: Where to score.

    Example:
        >>> from vizsla.models.recommender.nann import Nann, NannConfig
        >>> scorer = TorchScorer(Nann(NannConfig(n_items=5, embedding_size=8)))
        >>> state = scorer.user_state([Query(np.array([0, 3]))])
        >>> scorer.score(state, np.array([0, 0]), np.array([1, 2])).shape
        (2,)
    """

    def __init__(self, matcher: Matcher, device: str = "cpu") -> None:
        self._matcher = matcher.eval().to(device)
        self._device = torch.device(device)
        with torch.inference_mode():
            self._tables = tuple(table.contiguous() for table in matcher.item_tables())
        self._room: tuple[Tensor, ...] = ()

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return len(self._tables[0])

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """``(N, D)`` float32 item vectors, as the graph is built from."""
        return _to_numpy(self._tables[0])

    @property
    def bytes_per_item(self) -> int:
        """Memory of one item's rows in all tables."""
        return sum(table[0].numel() * table.element_size() for table in self._tables)

    @torch.inference_mode()
    def with_items(self, item_nums: NDArray[np.int64], vectors: NDArray[np.float32]) -> TorchScorer:
        """Return a scorer that knows further items; see ``UpdatableScorer``.

        A matcher and tables with room for more are shared by all scorers made this way,
        so that a new item costs its own rows; they are made anew when the room is used up.
        """
        nums = torch.from_numpy(item_nums).to(self._device)
        rows = self._matcher.tables_of(torch.from_numpy(vectors.copy()).to(self._device))
        n_items = max(self.n_items, int(item_nums.max(initial=-1)) + 1)
        other = copy.copy(self)
        if not self._room or n_items > len(self._room[0]):
            other._make_room(n_items)
        for table, row in zip(other._room, rows, strict=True):
            table[nums] = row
        other._matcher.forget_items(nums)
        other._tables = tuple(table[:n_items] for table in other._room)
        return other

    def _make_room(self, n_items: int) -> None:
        n_more = n_items + n_items // 8 + SPARE_ROWS - self.n_items
        self._room = tuple(
            torch.cat([table, table.new_zeros(n_more, *table.shape[1:])]) for table in self._tables
        )
        known_as = torch.full((len(self._room[0]),), -1, device=self._device)
        known_as[: self.n_items] = torch.arange(self.n_items, device=self._device)
        self._matcher = self._matcher.with_fixed_items(self._room[0], known_as)

    @torch.inference_mode()
    def user_state(self, queries: Sequence[Query]) -> ScorerState:
        """Fold B queries; unknown items (-1) in a history count as not there."""
        histories = [query.history[query.history >= 0] for query in queries]
        batch = pad_histories(histories, self._matcher.max_history)
        batch = SequenceBatch(batch.item_nums.to(self._device), self._user_features(queries))
        state = self._matcher.final_states(batch)
        folded = tuple(self._matcher.fold(state, row) for row in range(len(queries)))
        return ScorerState(state, folded)

    @torch.inference_mode()
    def proxy(self, state: ScorerState) -> NDArray[np.float32]:
        """Return ``(B, D)`` two-sided user vectors."""
        return _to_numpy(self._matcher.proxy(state.state))

    @torch.inference_mode()
    def score(
        self, state: ScorerState, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score a ragged batch of candidates; see ``Scorer.score``."""
        if len(state.folded) == 1:
            return _to_numpy(self._slice(state.folded[0], item_nums))
        bounds = np.searchsorted(query_of, np.arange(len(state.folded) + 1))
        scores = np.empty(len(item_nums), np.float32)
        for row, folded in enumerate(state.folded):
            part = slice(bounds[row], bounds[row + 1])
            if part.start < part.stop:
                scores[part] = _to_numpy(self._slice(folded, item_nums[part]))
        return scores

    def gradient(
        self, state: ScorerState, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return ``(C, D)`` derivatives of the scores by the item vectors; see ``GradientScorer``."""
        made = np.empty((len(item_nums), self._tables[0].shape[1]), np.float32)
        for row in np.unique(query_of):
            mine = np.flatnonzero(query_of == row)
            vectors = self._tables[0][torch.from_numpy(item_nums[mine]).to(self._device)]
            made[mine] = _to_numpy(score_gradient(self._matcher, state.state, int(row), vectors))
        return made

    def _slice(self, folded: Any, item_nums: NDArray[np.int64]) -> Tensor:
        rows = torch.from_numpy(item_nums).to(self._device)
        starts = range(0, max(len(rows), 1), CHUNK)
        return torch.cat([self._scores_of(folded, rows[a : a + CHUNK]) for a in starts])

    def _scores_of(self, folded: Any, rows: Tensor) -> Tensor:
        tables = tuple(table.index_select(0, rows) for table in self._tables)
        return self._matcher.folded_scores(folded, tables)

    def _user_features(self, queries: Sequence[Query]) -> Tensor | None:
        n_features = self._matcher.n_user_features
        if not n_features:
            return None
        unknown = np.zeros(n_features, np.int64)
        rows = [unknown if q.user_features is None else q.user_features for q in queries]
        return torch.from_numpy(np.stack(rows)).to(self._device)


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.cpu().numpy()
    return array
