"""A matcher on one device, as ``graph_index.device.protocols.DeviceScores`` asks it.

Shapes: **B** queries, **C** candidates, **D** vector size, **N** items, **R** rows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vizsla.contracts.index import Query
from vizsla.contracts.tables import ItemTables
from vizsla.models.recommender.base import Matcher, SequenceBatch, UserState
from vizsla.models.recommender.context import pad_histories
from vizsla.models.recommender.resident import ResidentTables

__all__ = ["DeviceMatcher", "sequence_batch"]

_ROWS_AT_ONCE = {"cpu": 4096, "cuda": 2**18}
"""Candidates scored at once: on a processor their intermediate values should fit its cache, on a
GPU they should keep it busy (about 1 GiB of them with D = 64)."""


class DeviceMatcher:
    """Weights and item tables on a device, and the scores of many queries by batched products.

    Args:
        matcher: A trained matcher; copied where it is on another device.
        tables: What ``Matcher.item_tables`` gives, as a bundle stores it.
        device: Where.
    """

    def __init__(self, matcher: Matcher, tables: ItemTables, device: torch.device) -> None:
        own = next(matcher.parameters()).device
        self._matcher = matcher if own == device else copy.deepcopy(matcher).to(device)
        self._device = device
        self._n_items = tables.n_items
        self._tables = ResidentTables(tables, device)

    @torch.inference_mode()
    def user_state(self, queries: Sequence[Query]) -> UserState:
        """Return the state of B users."""
        return self._matcher.final_states(sequence_batch(self._matcher, queries, self._device))

    @torch.inference_mode()
    def scores(self, state: UserState, item_nums: Tensor) -> Tensor:
        """Return ``(B, C)`` scores of ``(B, C)`` items; N stands for no item."""
        nums = item_nums.clamp(max=self._n_items - 1)
        step = max(1, _ROWS_AT_ONCE[self._device.type] // max(1, len(nums)))
        parts = (nums[:, start : start + step] for start in range(0, max(nums.shape[1], 1), step))
        made = [self._matcher.batch_scores(state, self._tables.gathered(part)) for part in parts]
        return torch.cat(made, dim=1)

    @torch.inference_mode()
    def proxy(self, state: UserState) -> Tensor:
        """Return ``(B, D)`` two-sided user vectors."""
        return self._matcher.proxy(state)

    def item_vectors(self, start: int, stop: int) -> Tensor:
        """Return ``(R, D)`` item vectors from ``start`` to ``stop``."""
        return self._tables.block(start, stop)


def sequence_batch(
    matcher: Matcher, queries: Sequence[Query], device: torch.device
) -> SequenceBatch:
    """Return B queries as the matcher reads them; unknown items (-1) count as not there."""
    histories = [query.history[query.history >= 0] for query in queries]
    batch = pad_histories(histories, matcher.max_history)
    return SequenceBatch(batch.item_nums.to(device), _user_features(matcher, queries, device))


def _user_features(
    matcher: Matcher, queries: Sequence[Query], device: torch.device
) -> Tensor | None:
    if not matcher.n_user_features:
        return None
    unknown = np.zeros(matcher.n_user_features, np.int64)
    rows = [unknown if q.user_features is None else q.user_features for q in queries]
    return torch.from_numpy(np.stack(rows)).to(device)
