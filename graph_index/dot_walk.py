"""Seeds of a catalogue too large to multiply as a whole: walk the same graph under the proxy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.returnable import Returnable
from graph_index.scoring import Scoring
from graph_index.selection import largest
from graph_index.workspace import ThreadWorkspaces
from vizsla.contracts.tables import ItemTables, tables_of

__all__ = ["DotWalk"]

_BEAM_RATIO = 1.5
"""Least width of the walk, relative to the seeds wanted."""

_WALK_COST = 24
"""Time of a walk whose items are all allowed, in products of a scan, relative to its width.

Measured: 3 to 4 products an item of the width, each as long as 6 of a scan, whose rows lie in order.
"""

_GIVE_UP = 4
"""A filtered walk ends at a product for so many allowed items: all of them cost less by then."""


class DotWalk:
    """Approximate: best-first search over the graph by dot product, one query at a time.

    Items that may not be returned lead on and are not kept, so a walk goes as much further
    as a filter leaves out.  Where it would then take longer than multiplying every
    allowed item, that is done instead, and it is exact; a walk that turns out to take longer (the
    allowed items lie where the proxy is poor) is broken off for it.

    Args:
        graph: Over N items.
        item_vectors: ``(N, D)`` float32.
        workspaces: The threads' marks; whoever uses one next begins it again.
        tables: The first holds the item vectors, in fewer bytes maybe; None uses them as they are.
    """

    def __init__(
        self,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        workspaces: ThreadWorkspaces,
        tables: ItemTables | None = None,
    ) -> None:
        tables = tables or tables_of([item_vectors])
        self._links, self._starts = _read_only(graph.neighbors), _read_only(graph.entry_points)
        # side by side: multiplied in one call, where gathering them would cost more than the walk
        self._entries = tables.rows(0, graph.entry_points.astype(np.int64))
        self._table = tables.arrays[0], tables.scales[0]
        self._n_items = graph.n_items
        self._workspaces = workspaces
        self.n_bytes = int(self._entries.nbytes)

    def best(
        self, scoring: Scoring, width: int, returnable: Returnable, effort: int
    ) -> list[NDArray[np.int64]] | None:
        """Return nearly the best by the proxy; see ``CandidateSource``."""
        users = scoring.proxy_vectors(self._table[0].shape[1])
        if users is None:
            return None
        found, total = [_NONE] * len(users), 0
        with scoring.seeding():
            for query, user in enumerate(users):
                if scoring.overdue:
                    break
                beam = max(effort, math.ceil(_BEAM_RATIO * width))
                found[query], n_dots = self._of_query(user, query, (width, beam), returnable)
                total += n_dots
        scoring.n_proxy_scored = total // len(users)
        return found

    def _of_query(
        self, user: NDArray[np.float32], query: int, widths: tuple[int, int], returnable: Returnable
    ) -> tuple[NDArray[np.int64], int]:
        allowed, excluded = returnable.open_mask(query), returnable.excluded[query]
        width, beam = widths[0], widths[1] + len(excluded)
        n_allowed = self._n_items if allowed is None else int(returnable.counts[query])
        filtered, n_walked = bool(returnable.filtered[query]), 0
        # of the items walked over, one in N / n_allowed may be kept
        if not filtered or n_allowed**2 > _WALK_COST * beam * self._n_items:
            budget = n_allowed // _GIVE_UP if filtered else n_allowed
            items, n_walked = self._walked(user, beam, allowed, budget)
            if n_walked <= budget:
                return items[~np.isin(items, excluded)][:width], n_walked
        rows = returnable.items(query)
        return self._scanned(user, rows, width), n_walked + len(rows)

    def _walked(
        self,
        user: NDArray[np.float32],
        beam: int,
        allowed: NDArray[np.bool_] | None,
        budget: int,
    ) -> tuple[NDArray[np.int64], int]:
        from graph_index.kernels.compiled import walk_by_dot

        marks, width = self._workspaces.own, min(beam, self._n_items)
        marks.begin(self._n_items)
        mask = _read_only(_EVERYTHING if allowed is None else allowed)
        starts = self._best_entries(self._entries @ user, allowed, width)
        n_left_out = len(self._entries) - len(starts[0])
        items, n_walked = walk_by_dot(
            (self._links, *starts),
            self._table,
            user,
            width,
            marks.row(0, self._n_items),
            mask,
            budget - n_left_out,
        )
        return items, n_walked + n_left_out

    def _best_entries(
        self, products: NDArray[np.float32], allowed: NDArray[np.bool_] | None, width: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the entries that a walk of this width can keep or expand, with their products.

        Whatever is below the ``width`` best that may be kept is neither.
        """
        keepable = products if allowed is None else products[allowed[self._starts]]
        if len(keepable) <= width:
            return self._starts, products
        least = np.partition(keepable, len(keepable) - width)[len(keepable) - width]
        high = products >= least
        return _read_only(self._starts[high]), products[high]

    def _scanned(
        self, user: NDArray[np.float32], rows: NDArray[np.int64], width: int
    ) -> NDArray[np.int64]:
        from graph_index.kernels.compiled import dots_of_rows

        best: NDArray[np.int64] = rows[largest(dots_of_rows(self._table, rows, user), width)]
        return best


_EVERYTHING = np.empty(0, np.bool_)
_NONE = np.empty(0, np.int64)


def _read_only(links: NDArray[Any]) -> NDArray[Any]:
    """Return a view, mapped or not, so that the kernel is compiled for one kind of array."""
    view = np.asarray(links).view()
    view.setflags(write=False)
    return view
