"""Seeds of a catalogue too large to multiply as a whole: walk the same graph under the proxy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from graph_index.candidates import FloatScan
from graph_index.graph import Graph
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.workspace import Workspace
from vizsla.contracts.tables import ItemTables, tables_of

__all__ = ["DotWalk"]

_BEAM_RATIO = 2
"""Width of the walk, relative to the seeds wanted."""


class DotWalk:
    """Approximate: best-first search over the graph by dot product, one query at a time.

    Where a filter is set or an item is dead, all items are scanned instead: what may be
    returned can then lie anywhere, and a walk that passes over the rest finds too little.

    Args:
        graph: Over N items.
        item_vectors: ``(N, D)`` float32, for the scan.
        workspace: Returns the calling thread's marks; whoever uses them next begins them again.
        tables: The first holds the item vectors, in fewer bytes maybe; None uses them as they are.
    """

    def __init__(
        self,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        workspace: Callable[[], Workspace],
        tables: ItemTables | None = None,
    ) -> None:
        tables = tables or tables_of([item_vectors])
        self._links = _read_only(graph.neighbors), _read_only(graph.entry_points)
        self._table = tables.arrays[0], tables.scales[0]
        self._all_alive = bool(graph.alive.all())
        self._scan = FloatScan(item_vectors)
        self._workspace = workspace
        self.n_bytes = 0

    def best(
        self, scoring: Scoring, width: int, returnable: Returnable, effort: int
    ) -> list[NDArray[np.int64]] | None:
        """Return nearly the best by the proxy; see ``CandidateSource``."""
        if not self._all_alive or returnable.filtered.any():
            return self._scan.best(scoring, width, returnable, effort)
        users = scoring.proxy_vectors(self._table[0].shape[1])
        if users is None:
            return None
        found, most = [], 0
        with scoring.seeding():
            for user, excluded in zip(users, returnable.excluded, strict=True):
                items, n_dots = self._walked(user, _BEAM_RATIO * width + len(excluded))
                found.append(items[~np.isin(items, excluded)][:width])
                most = max(most, n_dots)
        scoring.n_proxy_scored = most
        return found

    def _walked(self, user: NDArray[np.float32], width: int) -> tuple[NDArray[np.int64], int]:
        from graph_index.kernels.compiled import walk_by_dot

        n_items, marks = len(self._table[0]), self._workspace()
        marks.begin(n_items)
        found: tuple[NDArray[np.int64], int] = walk_by_dot(
            self._links, self._table, user, min(width, n_items), marks.row(0, n_items)
        )
        return found


def _read_only(links: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return a view, mapped or not, so that the kernel is compiled for one kind of array."""
    view = np.asarray(links).view()
    view.setflags(write=False)
    return view
