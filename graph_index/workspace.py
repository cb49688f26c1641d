"""Marks of what a walk has visited, reused between searches without clearing."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

__all__ = ["ThreadWorkspaces", "Workspace"]

_LARGEST_STAMP = 2**30


class Workspace:
    """One mark per (query, item) cell, told apart by search with a rising number.

    A cell's *key* is ``query * N + item``.  A cell is visited in this search when its
    stamp is the search's own number, so beginning a search is one addition.  One
    workspace serves one thread.

    Example:
        >>> marks = Workspace()
        >>> marks.begin(8)
        >>> marks.claim(np.array([5, 2, 5])).tolist(), marks.claim(np.array([2, 7])).tolist()
        ([5, 2], [7])
        >>> marks.begin(8)
        >>> marks.claim(np.array([2])).tolist()
        [2]
    """

    def __init__(self) -> None:
        self._stamps = np.zeros(0, np.int32)
        self._blocked = np.zeros(0, np.int32)
        self._base = 0

    def begin(self, n_cells: int) -> None:
        """Start a search over ``n_cells`` cells: nothing is visited, nothing blocked."""
        if n_cells > len(self._stamps) or self._base >= _LARGEST_STAMP:
            self._stamps = np.zeros(max(n_cells, len(self._stamps)), np.int32)
            self._blocked = np.zeros(0, np.int32)
            self._base = 0
        self._base += 1

    def claim(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Mark cells as visited and return those that were not, each once, in the order given."""
        from graph_index.kernels.compiled import claim

        claimed: NDArray[np.int64] = claim(self._stamps, keys, self._base)
        return claimed

    def is_unvisited(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which cells were not visited in this search."""
        unvisited: NDArray[np.bool_] = self._stamps[keys] < self._base
        return unvisited

    def row(self, query: int, n_items: int) -> tuple[NDArray[np.int32], int]:
        """Return one query's ``(N,)`` stamps and this search's number, for a kernel to mark."""
        return self._stamps[query * n_items : (query + 1) * n_items], self._base

    def block(self, keys: NDArray[np.int64]) -> None:
        """Mark cells that may be visited and never returned."""
        if len(self._blocked) < len(self._stamps):
            self._blocked = np.zeros(len(self._stamps), np.int32)
        self._blocked[keys] = self._base

    def is_blocked(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which cells are blocked."""
        if not len(self._blocked):
            return np.zeros(len(keys), np.bool_)
        blocked: NDArray[np.bool_] = self._blocked[keys] == self._base
        return blocked


class ThreadWorkspaces(threading.local):
    """Each thread's own workspace, so that concurrent searches share nothing.

    Whoever needs one holds this and not the retriever: a superseded state of a changing
    catalogue is then freed when its last search ends, not when the garbage collector comes.
    """

    def __init__(self) -> None:
        self.own = Workspace()
