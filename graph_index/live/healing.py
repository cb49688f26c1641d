"""Link the neighbours of removed items with each other, so that nobody needs them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.live.entries import replaced
from graph_index.live.select import padded, select_diverse, squared_distances
from graph_index.reach import Reach
from graph_index.repair import link_lost

__all__ = ["Healed", "Healing", "heal"]

_ROWS_AT_ONCE = 256
_MOST_CANDIDATES = 96


@dataclass(frozen=True, slots=True)
class Healed:
    """What ``Healing`` came to.

    Attributes:
        entry_points: ``(E,)`` int32, none of them gone.
        nums: ``(R,)`` int64 rows that changed.
        rows: ``(R, M)`` int32.
        parent: ``(N,)`` int32, the forest of the new table.
    """

    entry_points: NDArray[np.int32]
    nums: NDArray[np.int64]
    rows: NDArray[np.int32]
    parent: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Healing:
    """A pass over the whole table that needs no lock: it reads one state, and writes nothing.

    Attributes:
        neighbors: ``(N, M)`` int32 as it was published.
        entry_points: ``(E,)`` int32 entries then.
        item_vectors: ``(N, D)`` float32.
        gone: Items to take out.
        present: ``(N,)`` bool, in the catalogue then.
        wanted: ``(N,)`` bool: items that must stay reachable.
        n_inserts: Inserts until then; another one, and the result is of no use.
    """

    neighbors: NDArray[np.int32]
    entry_points: NDArray[np.int32]
    item_vectors: NDArray[np.float32]
    gone: NDArray[np.int64]
    present: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    n_inserts: int

    def run(self) -> Healed:
        """Compute it: slow beside an insert."""
        entries = replaced(self.entry_points, self.gone, self.present, self.item_vectors)
        table = self.neighbors.copy()
        nums, parent = heal(table, entries, self.item_vectors, self.gone, self.wanted)
        return Healed(entries, nums, table[nums], parent)


def heal(
    neighbors: NDArray[np.int32],
    entry_points: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    gone: NDArray[np.int64],
    wanted: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Take items out of a neighbour table, in place.

    A row that led to a removed item keeps its other links and chooses further ones among that
    item's own neighbours (FreshDiskANN chooses all anew, with a milder rule than ours, which would
    drop links that lead back and are not chosen themselves); rows of removed items become empty.  Then whoever cannot be reached any more gets a link.

    Args:
        neighbors: ``(N, M)`` int32, changed in place.
        entry_points: ``(E,)`` int32; none of them gone.
        item_vectors: ``(N, D)`` float32.
        gone: The removed items.
        wanted: ``(N,)`` bool: items that must stay reachable.

    Returns:
        The rows that changed, ascending, and the ``(N,)`` int32 forest of the new table.

    References:
        Singh et al., "FreshDiskANN", 2021, Algorithm 4.
    """
    is_gone = np.zeros(len(neighbors), np.bool_)
    is_gone[gone] = True
    hit = np.flatnonzero(is_gone[neighbors].any(axis=1) & ~is_gone)
    for start in range(0, len(hit), _ROWS_AT_ONCE):
        rows = hit[start : start + _ROWS_AT_ONCE]
        neighbors[rows] = _chosen_anew(neighbors, item_vectors, rows, is_gone)
    neighbors[gone] = gone[:, None]
    reach = Reach(neighbors, entry_points)
    hosts = link_lost(neighbors, item_vectors, reach, wanted)
    return np.unique(np.concatenate([hit, gone, np.array(hosts, np.int64)])), reach.parent


def _chosen_anew(
    neighbors: NDArray[np.int32],
    item_vectors: NDArray[np.float32],
    rows: NDArray[np.int64],
    is_gone: NDArray[np.bool_],
) -> NDArray[np.int32]:
    candidates = [_candidates(neighbors, num, is_gone) for num in rows.tolist()]
    width = max(map(len, candidates))
    nums = np.repeat(rows[:, None], max(width, 1), axis=1)
    known = np.zeros(nums.shape, np.bool_)
    for row, found in enumerate(candidates):
        nums[row, : len(found)], known[row, : len(found)] = found, True
    distances = squared_distances(item_vectors[rows], item_vectors[nums])
    distances[~known] = np.inf
    own = known & (nums[:, :, None] == neighbors[rows][:, None]).any(axis=2)
    order = np.argsort(np.where(own, -1, distances), axis=1, kind="stable")[:, :_MOST_CANDIDATES]
    nums, distances, own = (np.take_along_axis(a, order, axis=1) for a in (nums, distances, own))
    chosen = select_diverse(distances, item_vectors[nums], neighbors.shape[1], own)
    return padded(nums, chosen, rows, neighbors.shape[1])


def _candidates(
    neighbors: NDArray[np.int32], num: int, is_gone: NDArray[np.bool_]
) -> NDArray[np.int32]:
    row = neighbors[num]
    found = np.unique(np.concatenate([row, neighbors[row[is_gone[row]]].ravel()]))
    kept: NDArray[np.int32] = found[~is_gone[found] & (found != num)]
    return kept
