"""A trained matcher as the ``ProxyScorer`` that graph search and serving ask.

Shapes: **B** queries, **C** candidates, **D** vector size, **L** history, **N** items.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.contracts.index import Query
from vizsla.contracts.tables import ItemTables, TableDtype, tables_of
from vizsla.models.recommender.base import CompiledScore, Matcher, SequenceBatch, UserState
from vizsla.models.recommender.context import pad_histories

__all__ = ["ScorerState", "TorchScorer"]


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
    Implements ``vizsla.contracts.index.ProxyScorer``.

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
        self._on_device = () if fused else self._resident()

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return self.tables.n_items

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """``(N, D)`` float32 item vectors, as the graph is built from."""
        return self.tables.rows(0, slice(None))

    @torch.inference_mode()
    def user_state(self, queries: Sequence[Query]) -> ScorerState:
        """Fold B queries; unknown items (-1) in a history count as not there."""
        histories = [query.history[query.history >= 0] for query in queries]
        batch = pad_histories(histories, self._matcher.max_history)
        batch = SequenceBatch(batch.item_nums.to(self._device), self._user_features(queries))
        state = self._matcher.final_states(batch)
        if self._fused is not None:
            return ScorerState(state, self._fused.fold(state))
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
        if self._fused is not None:
            return self._fused.score(state.folded, self.tables, query_of, item_nums)
        bounds = np.searchsorted(query_of, np.arange(len(state.folded) + 1))
        scores = np.empty(len(item_nums), np.float32)
        for row, folded in enumerate(state.folded):
            part = slice(bounds[row], bounds[row + 1])
            if part.start < part.stop:
                scores[part] = _to_numpy(self._slice(folded, item_nums[part]))
        return scores

    def _resident(self) -> tuple[Tensor, ...]:
        """Return the tables as tensors: float32 ones on the processor share the tables' memory."""
        with warnings.catch_warnings():
            # torch cannot mark a tensor read-only, and warns; nothing here writes
            warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
            tensors = [_tensor(table, self.tables.dtype) for table in self.tables.arrays]
        return tuple(tensor.to(self._device) for tensor in tensors)

    def _slice(self, folded: Any, item_nums: NDArray[np.int64]) -> Tensor:
        rows = torch.from_numpy(item_nums).to(self._device)
        starts = range(0, max(len(rows), 1), CHUNK)
        return torch.cat([self._scores_of(folded, rows[a : a + CHUNK]) for a in starts])

    def _scores_of(self, folded: Any, rows: Tensor) -> Tensor:
        tables = tuple(self._rows(number, rows) for number in range(len(self._on_device)))
        return self._matcher.folded_scores(folded, tables)

    def _rows(self, number: int, rows: Tensor) -> Tensor:
        found = self._on_device[number].index_select(0, rows).float()
        if self.tables.dtype != "int8":
            return found
        scales = torch.from_numpy(self.tables.scales[number][rows.cpu().numpy()]).to(self._device)
        return found * scales.view(-1, *[1] * (found.dim() - 1))

    def _user_features(self, queries: Sequence[Query]) -> Tensor | None:
        n_features = self._matcher.n_user_features
        if not n_features:
            return None
        unknown = np.zeros(n_features, np.int64)
        rows = [unknown if q.user_features is None else q.user_features for q in queries]
        return torch.from_numpy(np.stack(rows)).to(self._device)


def _tensor(table: NDArray[Any], dtype: TableDtype) -> Tensor:
    tensor = torch.from_numpy(table)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


def _to_numpy(tensor: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.cpu().numpy()
    return array
