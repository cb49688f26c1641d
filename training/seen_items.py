"""Which items a user already has, asked for millions of pairs at once.

Shapes: **P** positives of a batch, **S** negatives, **U** users, **N** items.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.data import Ragged

__all__ = ["SeenItems"]

MAX_TABLE_BYTES = 64_000_000
"""Up to this size every pair has a byte, and a lookup is a gather."""


class SeenItems:
    """The training items of every user as sorted keys ``user * N + item``.

    A pair is looked up by binary search, or in a table where that is small; a list of items
    shared by the whole batch is checked by walking the users' own rows, which is cheaper.

    Args:
        rows: U rows of item numbers; repeats within a row count once.
        n_items: Number of items N.

    Example:
        >>> seen = SeenItems(Ragged.from_lists([[1, 3], [0]]), n_items=4)
        >>> seen.contains(torch.tensor([0, 1]), torch.tensor([[1, 2], [0, 1]])).tolist()
        [[True, False], [True, False]]
        >>> seen.contains_shared(torch.tensor([0, 1]), torch.tensor([3, 0])).tolist()
        [[True, False], [False, True]]
    """

    def __init__(self, rows: Ragged, n_items: int) -> None:
        users = np.repeat(np.arange(len(rows), dtype=np.int64), rows.lengths)
        keys = np.unique(users * n_items + rows.values)
        counts = np.bincount(keys // n_items, minlength=len(rows))
        self.n_items = n_items
        self.keys = torch.from_numpy(keys)
        self.offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
        self._table: Tensor | None = None
        if len(rows) * n_items <= MAX_TABLE_BYTES:
            self._table = torch.zeros(len(rows) * n_items, dtype=torch.bool)
            self._table[self.keys] = True

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
            return self._table[wanted]
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
        own_users, user_of = torch.unique(users, return_inverse=True)
        own_items, item_of = torch.unique(item_nums, return_inverse=True)
        column = torch.full((self.n_items,), -1, dtype=torch.int64)
        column[own_items] = torch.arange(len(own_items))
        rows, items = self._rows(own_users)
        hit = column[items] >= 0
        found = torch.zeros(len(own_users), len(own_items), dtype=torch.bool)
        found[rows[hit], column[items[hit]]] = True
        return found[user_of][:, item_of]

    def _rows(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row in ``users`` and the item of all pairs of these users."""
        starts, ends = self.offsets[users], self.offsets[users + 1]
        lengths = ends - starts
        rows = torch.repeat_interleave(torch.arange(len(users)), lengths)
        before = torch.cumsum(lengths, 0) - lengths
        places = torch.arange(len(rows)) - before[rows] + starts[rows]
        return rows, self.keys[places] % self.n_items
