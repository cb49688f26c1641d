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
from vizsla.contracts.tables import GrowingTables, ItemTables, tables_of
from vizsla.models.recommender.base import CompiledScore, Matcher, UserState
from vizsla.models.recommender.device_scorer import DeviceMatcher, sequence_batch
from vizsla.models.recommender.gradients import score_gradient
from vizsla.models.recommender.resident import ResidentTables

__all__ = ["ScorerState", "TorchScorer", "user_states"]


SPARE_ROWS = 1024
CHUNK = 4096
"""Candidates scored at once: what their intermediate values need fits the processor's cache."""


@dataclass(frozen=True, slots=True)
class ScorerState:
    """The folded users of one batch of queries.

    Attributes:
        state: The matcher's own state of B users.
        folded: What the compiled score made of all of them, or ``Matcher.fold`` of each.
    """

    state: UserState
    folded: Any


class TorchScorer:
    """Score items without gradients, with everything computed once that can be.

    A later change of the matcher's weights is not seen.  Where the matcher has a compiled
    score and the device is the processor, that one is used; it gives the same scores.
    Implements ``ProxyScorer`` and ``UpdatableScorer`` of ``vizsla.contracts.index``, and
    ``DeviceScorer`` of ``graph_index.device.protocols``.

    Args:
        matcher: A trained matcher; put into evaluation mode.
        device: Where to score.
        tables: What ``Matcher.item_tables`` gives, as a bundle stores it; None computes it.
        compiled: False scores with torch alone.

    Example:
        >>> from vizsla.models.recommender.nann import Nann, NannConfig
        >>> scorer = TorchScorer(Nann(NannConfig(n_items=5, embedding_size=8)))
        >>> state = scorer.user_state([Query(np.array([0, 3]))])
        >>> scorer.score(state, np.array([0, 0]), np.array([1, 2])).shape
        (2,)
    """

    def __init__(
        self,
        matcher: Matcher,
        device: str = "cpu",
        *,
        tables: ItemTables | None = None,
        compiled: bool = True,
    ) -> None:
        self._matcher = matcher.eval().to(device)
        self._device = torch.device(device)
        with torch.inference_mode():
            self.tables = tables or tables_of([_to_numpy(t) for t in matcher.item_tables()])
            fused = matcher.compiled() if compiled and self._device.type == "cpu" else None
        self._fused: CompiledScore | None = fused
        self._resident = None if fused else ResidentTables(self.tables, self._device)
        self._elsewhere: dict[str, DeviceMatcher] = {}
        self._room: _Room | None = None

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self.tables.n_items

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """``(N, D)`` float32 item vectors, as the graph is built from."""
        return self.tables.rows(0, slice(None))

    @property
    def bytes_per_item(self) -> int:
        """Memory of one item's rows in all tables."""
        return self.tables.n_bytes // max(self.n_items, 1)

    @torch.inference_mode()
    def with_items(self, item_nums: NDArray[np.int64], vectors: NDArray[np.float32]) -> TorchScorer:
        """Return a scorer that knows further items; see ``UpdatableScorer``.

        A matcher and tables with room for more are shared by all scorers made this way,
        so that a new item costs its own rows; they are made anew when the room is used up.
        New rows are stored as the tables are, and so the compiled score reads them too.
        """
        nums = torch.from_numpy(item_nums).to(self._device)
        given = torch.from_numpy(vectors.copy()).to(self._device)
        n_items = max(self.n_items, int(item_nums.max(initial=-1)) + 1)
        other = copy.copy(self)
        room = self._room
        if room is None or n_items > room.n_rows:
            room = other._make_room(n_items)
        room.vectors[nums] = given
        room.rows.put(item_nums, [_to_numpy(rows) for rows in self._matcher.tables_of(given)])
        other._matcher.forget_items(nums)
        other.tables = room.rows.first(n_items)
        other._resident = None if self._fused else ResidentTables(other.tables, self._device)
        other._elsewhere = {}
        return other

    @torch.inference_mode()
    def vectors_of_columns(
        self, codes: NDArray[np.int64], weights: NDArray[np.float32], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return ``(R, D)`` vectors of items with given columns; see ``ColumnScorer``."""
        return _to_numpy(self._matcher.vectors_of_columns(codes, weights, item_nums))

    def _make_room(self, n_items: int) -> _Room:
        """Copy everything into more room; the bundle's own tables are mapped read-only."""
        n_rows = n_items + n_items // 8 + SPARE_ROWS
        rows = GrowingTables(self.tables, n_rows)
        vectors = self._exact_vectors(rows, n_rows)
        known_as = torch.full((n_rows,), -1, device=self._device)
        known_as[: self.n_items] = torch.arange(self.n_items, device=self._device)
        self._matcher = self._matcher.with_fixed_items(vectors, known_as)
        self._room = _Room(rows, vectors)
        return self._room

    def _exact_vectors(self, rows: GrowingTables, n_rows: int) -> Tensor:
        """Return ``(R, D)`` vectors for histories, which are not folded from rounded tables."""
        if self.tables.dtype == "float32" and self._device.type == "cpu":
            return torch.from_numpy(rows.arrays[0])
        known = self._matcher.item_vectors()[: self.n_items]
        return torch.cat([known, known.new_zeros(n_rows - self.n_items, known.shape[1])])

    def on_device(self, device: str) -> DeviceMatcher:
        """Return the matcher with its tables on a device; made at the first call and kept.

        What ``with_items`` returns begins without any: its tables are other ones.
        """
        if device not in self._elsewhere:
            made = DeviceMatcher(self._matcher, self.tables, torch.device(device))
            self._elsewhere.setdefault(device, made)
        return self._elsewhere[device]

    @torch.inference_mode()
    def user_state(self, queries: Sequence[Query]) -> ScorerState:
        """Fold B queries; unknown items (-1) in a history count as not there."""
        return self.fold(user_states(self._matcher, queries, self._device))

    @torch.inference_mode()
    def fold(self, state: UserState) -> ScorerState:
        """Fold the users of a state, which another process may have made of the same weights."""
        if self._fused is not None:
            return ScorerState(state, self._fused.fold(state))
        folded = tuple(self._matcher.fold(state, row) for row in range(len(state.user)))
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
        if self._fused is not None:
            return self._fused.score(state.folded, self.tables, query_of, item_nums)
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
        made = np.empty((len(item_nums), self.tables.arrays[0].shape[1]), np.float32)
        for row in np.unique(query_of):
            mine = np.flatnonzero(query_of == row)
            vectors = torch.from_numpy(self.tables.rows(0, item_nums[mine])).to(self._device)
            made[mine] = _to_numpy(score_gradient(self._matcher, state.state, int(row), vectors))
        return made

    def _slice(self, folded: Any, item_nums: NDArray[np.int64]) -> Tensor:
        rows = torch.from_numpy(item_nums).to(self._device)
        starts = range(0, max(len(rows), 1), CHUNK)
        return torch.cat([self._scores_of(folded, rows[a : a + CHUNK]) for a in starts])

    def _scores_of(self, folded: Any, rows: Tensor) -> Tensor:
        assert self._resident is not None
        return self._matcher.folded_scores(folded, self._resident.gathered(rows))


@dataclass(frozen=True, slots=True)
class _Room:
    """What scorers made by ``with_items`` share: tables, and the exact ``(R, D)`` item vectors."""

    rows: GrowingTables
    vectors: Tensor

    @property
    def n_rows(self) -> int:
        """Number of items that fit."""
        return len(self.vectors)


def user_states(matcher: Matcher, queries: Sequence[Query], device: torch.device) -> UserState:
    """Return the states of B queries; unknown items (-1) in a history count as not there."""
    return matcher.final_states(sequence_batch(matcher, queries, device))


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.cpu().numpy()
    return array
