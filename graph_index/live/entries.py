"""The entry set of a changing graph."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from graph_index.nearest import nearest_rows

__all__ = ["MOST_NEW", "EntrySet", "replaced"]

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

    def add(self, num: int) -> None:
        """Make an item an entry."""
        self.nums = np.append(self.nums, np.int32(num))

    def note_new(self, nums: NDArray[np.int64]) -> None:
        """Remember inserted items, from which further entries are chosen: the last ones."""
        self._new |= dict.fromkeys(nums.tolist())
        for num in list(self._new)[: max(0, len(self._new) - MOST_NEW)]:
            del self._new[num]

    def grow(
        self, present: NDArray[np.bool_], item_vectors: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """Add the new items that are farthest from every entry, as many as the size asks for."""
        wanted = math.ceil(self._per_root * math.sqrt(np.count_nonzero(present))) - len(self.nums)
        if wanted <= 0 or not self._new:
            return np.empty(0, np.int64)
        new = np.array([num for num in self._new if present[num]], np.int64)
        new = np.setdiff1d(new, self.nums)
        self._new = {}
        if not len(new):
            return new
        _, distances = nearest_rows(item_vectors[self.nums], item_vectors[new], 1)
        added = new[np.argsort(-distances[:, 0], kind="stable")[:wanted]]
        self.nums = np.concatenate([self.nums, added]).astype(np.int32)
        return added


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
