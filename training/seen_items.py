"""Which items a user already has, asked for millions of pairs at once.

Shapes: **P** positives of a batch, **S** negatives, **U** users, **N** items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.counting import mark_owners
from training.data import Ragged

__all__ = ["SeenItems"]

MAX_TABLE_BYTES = 64_000_000
"""Up to this size every pair has a byte, and a lookup is a gather."""


class SeenItems:
    """The training items of every user as sorted keys ``user * N + item``.

    Where a byte per pair is affordable a lookup is a gather.  Elsewhere a pair is looked up by
    binary search, and a list of items shared by the whole batch by walking the rows of its
    users, or those of its items where that is shorter (few items): the pairs are kept in both
    orders, at 8 bytes each.

    Args:
        rows: U rows of item numbers; repeats within a row count once.
        n_items: Number of items N.
        max_table_bytes: Largest table, one byte per pair.

    Example:
        >>> seen = SeenItems(Ragged.from_lists([[1, 3], [0]]), n_items=4)
        >>> seen.contains(torch.tensor([0, 1]), torch.tensor([[1, 2], [0, 1]])).tolist()
        [[True, False], [True, False]]
        >>> seen.contains_shared(torch.tensor([0, 1]), torch.tensor([3, 0])).tolist()
        [[True, False], [False, True]]
    """

    def __init__(
        self, rows: Ragged, n_items: int, *, max_table_bytes: int = MAX_TABLE_BYTES
    ) -> None:
        keys = rows.keys(n_items)
        self.n_items = n_items
        self._by_user = _Groups.of(keys // n_items, keys % n_items, len(rows))
        order = np.argsort(keys % n_items, kind="stable")
        self._by_item = _Groups.of((keys % n_items)[order], (keys // n_items)[order], n_items)
        self.keys = torch.from_numpy(keys)
        self.offsets = self._by_user.offsets
        self._all_items = torch.arange(n_items)
        self._table: Tensor | None = None
        if len(rows) * n_items <= max_table_bytes:
            self._table = torch.zeros(len(rows) * n_items, dtype=torch.bool)
            self._table[self.keys] = True
            self._table = self._table.view(len(rows), n_items)

    def items(self, user: int) -> Tensor:
        """Return the distinct items of one user, ascending, int64."""
        start, end = int(self.offsets[user]), int(self.offsets[user + 1])
        return self.keys[start:end] % self.n_items

    def contains(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return ``(P, S)`` bool: does user ``p`` have item ``(p, s)``?

        Args:
            users: ``(P,)`` int64.
            item_nums: ``(P, S)`` int64.
        """
        wanted = users[:, None] * self.n_items + item_nums
        if self._table is not None:
            return torch.index_select(self._table.view(-1), 0, wanted.flatten()).view_as(wanted)
        if not len(self.keys):
            return torch.zeros_like(wanted, dtype=torch.bool)
        places = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
        return self.keys[places] == wanted

    def contains_shared(self, users: Tensor, item_nums: Tensor) -> Tensor:
        """Return ``(P, S)`` bool: does user ``p`` have the shared item ``s``?

        Args:
            users: ``(P,)`` int64, repeats welcome.
            item_nums: ``(S,)`` int64, repeats welcome.
        """
        if self._table is not None:
            if torch.equal(item_nums, self._all_items):
                return self._table.index_select(0, users)
            return self.contains(users, item_nums.expand(len(users), -1))
        if self._by_item.size(item_nums) < self._by_user.size(users):
            return self._by_item.owners(item_nums, users, self._by_user.n_groups)
        own_users, user_of = torch.unique(users, return_inverse=True)
        own_items, item_of = torch.unique(item_nums, return_inverse=True)
        found = self._by_user.hold(own_users, own_items)
        return found.index_select(0, user_of).index_select(1, item_of)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Pairs ordered by one side: group ``g`` has ``members[offsets[g]:offsets[g + 1]]``."""

    offsets: Tensor
    members: Tensor

    @classmethod
    def of(cls, group_of: NDArray[np.int64], members: NDArray[np.int64], n_groups: int) -> _Groups:
        rows = Ragged.from_groups(group_of, members, n_groups)
        return cls(torch.from_numpy(rows.offsets), torch.from_numpy(rows.values))

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.offsets) - 1

    def owners(self, groups: Tensor, wanted: Tensor, n_members: int) -> Tensor:
        """Return ``(len(wanted), len(groups))`` bool: is the member in the group?"""
        found = mark_owners(
            self.offsets.numpy(), self.members.numpy(), groups.numpy(), wanted.numpy(), n_members
        )
        return torch.from_numpy(found)

    def size(self, groups: Tensor) -> int:
        """Return how many pairs these groups have."""
        return int((self.offsets[groups + 1] - self.offsets[groups]).sum())

    def hold(self, groups: Tensor, wanted: Tensor) -> Tensor:
        """Return ``(len(groups), len(wanted))`` bool; ``wanted`` is ascending and distinct."""
        starts = self.offsets[groups]
        lengths = self.offsets[groups + 1] - starts
        rows = torch.repeat_interleave(torch.arange(len(groups)), lengths)
        before = torch.cumsum(lengths, 0) - lengths
        members = self.members[torch.arange(len(rows)) + (starts - before)[rows]]
        places = torch.searchsorted(wanted, members).clamp_(max=len(wanted) - 1)
        hit = wanted[places] == members
        found = torch.zeros(len(groups), len(wanted), dtype=torch.bool)
        found[rows[hit], places[hit]] = True
        return found
