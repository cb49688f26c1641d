"""The entry set of a changing graph."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.nearest import nearest_rows

__all__ = ["MOST_NEW", "EntryGrowth", "EntrySet", "replaced"]

MOST_NEW = 4096
"""Inserted items that are remembered until entries are wanted."""


class EntrySet:
    """Items where a walk may start, kept in proportion to the root of the catalogue's size.

    Args:
        nums: ``(E,)`` int32 distinct items.
        n_items: Size of the catalogue that they were chosen for.

    Attributes:
        nums: The entries now; replaced, never changed.
    """

    def __init__(self, nums: NDArray[np.int32], n_items: int) -> None:
        self.nums = nums
        self._per_root = len(nums) / math.sqrt(n_items)
        self._new: dict[int, None] = {}

    def add(self, nums: NDArray[np.int64]) -> None:
        """Make items entries."""
        self.nums = np.concatenate([self.nums, nums]).astype(np.int32)

    def note_new(self, nums: NDArray[np.int64]) -> None:
        """Remember inserted items, from which further entries are chosen: the last ones."""
        self._new |= dict.fromkeys(nums.tolist())
        for num in list(self._new)[: max(0, len(self._new) - MOST_NEW)]:
            del self._new[num]

    def growth(
        self, present: NDArray[np.bool_], item_vectors: NDArray[np.float32]
    ) -> EntryGrowth | None:
        """Return the search for further entries, as many as the size asks for; None for none.

        The new items are forgotten: they are its candidates.
        """
        wanted = math.ceil(self._per_root * math.sqrt(np.count_nonzero(present))) - len(self.nums)
        if wanted <= 0 or not self._new:
            return None
        new = np.array([num for num in self._new if present[num]], np.int64)
        self._new = {}
        return EntryGrowth(self.nums, np.setdiff1d(new, self.nums), item_vectors, wanted)


@dataclass(frozen=True, slots=True)
class EntryGrowth:
    """A search for further entries that needs no lock: it reads one state, and writes nothing.

    Attributes:
        entry_points: ``(E,)`` int32 entries then.
        candidates: ``(C,)`` int64 items that were inserted, no entries.
        item_vectors: ``(N, D)`` float32.
        wanted: Most entries that are added.
    """

    entry_points: NDArray[np.int32]
    candidates: NDArray[np.int64]
    item_vectors: NDArray[np.float32]
    wanted: int

    def run(self) -> NDArray[np.int64]:
        """Return the candidates that are farthest from every entry: slow beside an insert."""
        if not len(self.candidates):
            return self.candidates
        vectors = self.item_vectors
        _, distances = nearest_rows(vectors[self.entry_points], vectors[self.candidates], 1)
        return self.candidates[np.argsort(-distances[:, 0], kind="stable")[: self.wanted]]


def replaced(
    nums: NDArray[np.int32],
    gone: NDArray[np.int64],
    present: NDArray[np.bool_],
    item_vectors: NDArray[np.float32],
) -> NDArray[np.int32]:
    """Return entries with the nearest item in the catalogue in place of each that is gone."""
    lost = nums[np.isin(nums, gone)]
    if not len(lost):
        return nums
    there = np.flatnonzero(present)
    rows, _ = nearest_rows(item_vectors[there], item_vectors[lost], 1)
    kept = nums[~np.isin(nums, gone)]
    return np.unique(np.concatenate([kept, there[rows[:, 0]]])).astype(np.int32)
