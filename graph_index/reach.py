"""Which items a walk can reach, and links to those it cannot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["UNREACHED", "Reach"]

UNREACHED = -2
_ROOT = -1


class Reach:
    """A breadth-first forest over a neighbour table, grown from the entry items.

    The forest's edges are the ones that must stay: any other slot can be
    overwritten and every reached item is still reachable.

    Args:
        neighbors: ``(N, M)`` int32; read again at each growth, so edges may be added.
        entry_points: ``(E,)`` int32 roots.

    Attributes:
        parent: ``(N,)`` int32: the item it was reached from, -1 for a root, ``UNREACHED``.

    Complexity:
        ``O(N * M)`` in all, in NumPy operations over whole frontiers.

    Example:
        >>> reach = Reach(np.array([[1], [0], [2]], np.int32), np.array([0], np.int32))
        >>> reach.parent.tolist(), reach.unreached().tolist()
        ([-1, 0, -2], [2])
    """

    def __init__(self, neighbors: NDArray[np.int32], entry_points: NDArray[np.int32]) -> None:
        self._neighbors = neighbors
        self.parent = np.full(len(neighbors), UNREACHED, np.int32)
        self.parent[entry_points] = _ROOT
        self._grow(np.asarray(entry_points, np.int32))

    def adopt(self, item: int, parent: int) -> None:
        """Count ``item`` as reached from ``parent``, and all it leads to."""
        self.parent[item] = parent
        self._grow(np.array([item], np.int32))

    def unreached(self) -> NDArray[np.int64]:
        """Return the items that no path leads to, ascending."""
        return np.flatnonzero(self.parent == UNREACHED)

    def reached(self) -> NDArray[np.int64]:
        """Return the items that some path leads to, ascending."""
        return np.flatnonzero(self.parent != UNREACHED)

    def _grow(self, frontier: NDArray[np.int32]) -> None:
        while len(frontier):
            frontier = self._step(frontier)

    def _step(self, frontier: NDArray[np.int32]) -> NDArray[np.int32]:
        found = self._neighbors[frontier].ravel()
        sources = np.repeat(frontier, self._neighbors.shape[1])
        fresh = self.parent[found] == UNREACHED
        found, sources = found[fresh], sources[fresh]
        self.parent[found] = sources  # the last writer of a duplicate wins ...
        # ... and only its slot stays, once even when a row names an item twice
        return np.unique(found)
