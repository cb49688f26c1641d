"""The graph as arrays: a fixed-degree neighbour table, an entry set and an alive mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vizsla.errors import ContractError

__all__ = ["Graph"]


@dataclass(frozen=True, slots=True)
class Graph:
    """A proximity graph over N items, independent of any scorer.

    A row with fewer than M neighbours is padded with its own item number: the item
    itself is always visited when its row is read, so a walk needs no special case.

    Attributes:
        neighbors: ``(N, M)`` int32 out-edges, each in [0, N).
        entry_points: ``(E,)`` int32 distinct items where a walk may start, ``E >= 1``.
        alive: ``(N,)`` bool; an item that is not alive is walked through, never returned.

    Raises:
        ContractError: Shapes or dtypes are not as above.

    Example:
        >>> path = Graph(
        ...     np.array([[1, 0], [0, 2], [1, 2]], np.int32), np.array([0], np.int32), np.ones(3, bool)
        ... )
        >>> path.n_items, path.max_degree, path.out_degrees().tolist()
        (3, 2, [1, 2, 1])
    """

    neighbors: NDArray[np.int32]
    entry_points: NDArray[np.int32]
    alive: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shapes = self.neighbors.ndim == 2 and self.entry_points.ndim == 1 <= len(self.entry_points)
        if not shapes or self.alive.shape != self.neighbors.shape[:1]:
            raise ContractError(
                f"graph arrays do not fit together: neighbors {self.neighbors.shape}, "
                f"entry_points {self.entry_points.shape}, alive {self.alive.shape}"
            )
        arrays = (self.neighbors, self.entry_points, self.alive)
        dtypes = [array.dtype.name for array in arrays]
        if dtypes != ["int32", "int32", "bool"]:
            raise ContractError(f"graph arrays must be int32, int32, bool, not {dtypes}")

    @property
    def n_items(self) -> int:
        """Number of items N."""
        return int(self.neighbors.shape[0])

    @property
    def max_degree(self) -> int:
        """Columns M of the neighbour table."""
        return int(self.neighbors.shape[1])

    def out_degrees(self) -> NDArray[np.int64]:
        """Return ``(N,)`` int64 number of neighbours of each item, padding not counted."""
        degrees: NDArray[np.int64] = np.count_nonzero(~self.padding(), axis=1)
        return degrees

    def in_degrees(self) -> NDArray[np.int64]:
        """Return ``(N,)`` int64 number of rows that each item occurs in, its own not counted."""
        counts: NDArray[np.int64] = np.bincount(
            self.neighbors[~self.padding()], minlength=self.n_items
        )
        return counts

    def padding(self) -> NDArray[np.bool_]:
        """Return ``(N, M)`` bool, True where a slot holds the row's own number."""
        own: NDArray[np.bool_] = self.neighbors == np.arange(self.n_items, dtype=np.int32)[:, None]
        return own
