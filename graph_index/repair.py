"""Link every item that no walk could reach, without cutting another one off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.nearest import nearest_rows
from graph_index.reach import UNREACHED, Reach

__all__ = ["any_free_slot", "free_slot", "link_lost", "repair"]

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
    return len(link_lost(neighbors, item_vectors, reach, np.ones(len(neighbors), np.bool_)))


def link_lost(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    reach: Reach,
    wanted: NDArray[np.bool_],
) -> list[int]:
    """Add links, in place, until every wanted item is reached; return the rows changed.

    Args:
        neighbors: ``(N, M)`` int32, changed in place.
        item_vectors: ``(N, D)`` float32.
        reach: Over ``neighbors``; grows with each link.
        wanted: ``(N,)`` bool: items that must be reached.
    """
    hosts: list[int] = []
    while len(lost := np.flatnonzero((reach.parent == UNREACHED) & wanted)):
        hosts += _link_islands(neighbors, item_vectors, reach, lost)
    return hosts


def _link_islands(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    reach: Reach,
    lost: NDArray[np.int64],
) -> list[int]:
    hosts = reach.reached()
    near, distances = nearest_rows(item_vectors[hosts], item_vectors[lost], _CANDIDATES)
    linked: list[int] = []
    for row in np.argsort(distances[:, 0], kind="stable"):
        item = int(lost[row])
        if reach.parent[item] == UNREACHED:
            linked.append(_link(neighbors, item_vectors, reach, item, hosts[near[row]]))
    return linked


def _link(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    reach: Reach,
    item: int,
    candidates: NDArray[np.int64],
) -> int:
    for host in candidates:
        slot = free_slot(neighbors, item_vectors, reach.parent, int(host))
        if slot is not None:
            break
    else:
        host, slot = any_free_slot(neighbors, reach.parent)
    neighbors[host, slot] = item
    reach.adopt(item, int(host))
    return int(host)


def free_slot(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    parent: NDArray[np.int32],
    host: int,
) -> int | None:
    """Return a padded slot, else the one of the farthest neighbour nobody depends on."""
    row = neighbors[host]
    padded = np.flatnonzero(row == host)
    if len(padded):
        return int(padded[0])
    spare = np.flatnonzero(parent[row] != host)
    if not len(spare):
        return None
    gaps = item_vectors[row[spare]] - item_vectors[host]
    return int(spare[np.argmax(np.einsum("md,md->m", gaps, gaps))])


def any_free_slot(neighbors: NDArray[np.int32], parent: NDArray[np.int32]) -> tuple[int, int]:
    """Return the first slot of any reached item that nobody depends on.

    There always is one: a forest over R items has fewer than R edges, and R rows
    have at least four slots each.
    """
    hosts = np.flatnonzero(parent != UNREACHED)
    rows, slots = np.nonzero(parent[neighbors[hosts]] != hosts[:, None])
    return int(hosts[rows[0]]), int(slots[0])
