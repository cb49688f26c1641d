"""Link every item that no walk could reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.nearest import nearest_rows
from graph_index.reach import Reach

__all__ = ["repair"]

_CANDIDATES = 16


def repair(
    neighbors: NDArray[np.int32],
    entry_points: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
) -> int:
    """Add links, in place, until every item is reachable from the entry items.

    An unreachable item gets a slot of the nearest reachable item that has one to
    give: a padded slot, or one whose edge no shortest path from the entries uses,
    so that no other item becomes unreachable.  One link often brings in a whole
    island of items, and then the others need none.

    Args:
        neighbors: ``(N, M)`` int32, changed in place.
        entry_points: ``(E,)`` int32.
        item_vectors: ``(N, D)`` float32, for "nearest".

    Returns:
        How many links were added.
    """
    reach = Reach(neighbors, entry_points)
    n_links = 0
    while len(lost := reach.unreached()):
        n_links += _link_islands(neighbors, item_vectors, reach, lost)
    return n_links


def _link_islands(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    reach: Reach,
    lost: NDArray[np.int64],
) -> int:
    hosts = reach.reached()
    near, distances = nearest_rows(item_vectors[hosts], item_vectors[lost], _CANDIDATES)
    linked = 0
    for row in np.argsort(distances[:, 0], kind="stable"):
        item = int(lost[row])
        if reach.parent[item] < -1:
            _link(neighbors, item_vectors, reach, item, hosts[near[row]])
            linked += 1
    return linked


def _link(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    reach: Reach,
    item: int,
    candidates: NDArray[np.int64],
) -> None:
    for host in candidates:
        slot = _free_slot(neighbors, item_vectors, reach, int(host))
        if slot is not None:
            break
    else:
        host, slot = _any_free_slot(neighbors, reach)
    neighbors[host, slot] = item
    reach.adopt(item, int(host))


def _free_slot(
    neighbors: NDArray[np.int32], item_vectors: NDArray[np.float32], reach: Reach, host: int
) -> int | None:
    """Return a padded slot, else the one of the farthest neighbour nobody depends on."""
    row = neighbors[host]
    padded = np.flatnonzero(row == host)
    if len(padded):
        return int(padded[0])
    spare = np.flatnonzero(reach.parent[row] != host)
    if not len(spare):
        return None
    gaps = item_vectors[row[spare]] - item_vectors[host]
    return int(spare[np.argmax(np.einsum("md,md->m", gaps, gaps))])


def _any_free_slot(neighbors: NDArray[np.int32], reach: Reach) -> tuple[int, int]:
    """Return the first slot of any reached item that nobody depends on.

    There always is one: a forest over R items has fewer than R edges, and R rows
    have at least four slots each.
    """
    hosts = reach.reached()
    rows, slots = np.nonzero(reach.parent[neighbors[hosts]] != hosts[:, None])
    return int(hosts[rows[0]]), int(slots[0])
