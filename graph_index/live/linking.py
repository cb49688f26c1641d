"""Link a new item both ways, without cutting anybody off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.live.rows import RowVersions
from graph_index.live.select import padded, select_diverse, squared_distances
from graph_index.repair import any_free_slot, free_slot

__all__ = ["Linker"]


class Linker:
    """Links items of one batch.

    Args:
        rows: Neighbour rows; those of the new items are already there, empty.
        parent: ``(N,)`` int32 forest over the rows (see ``Reach``); written.
        item_vectors: ``(N, D)`` float32, the new ones included.
        ef: Most candidates that are considered.
    """

    def __init__(
        self,
        rows: RowVersions,
        parent: NDArray[np.int32],
        item_vectors: NDArray[np.float32],
        ef: int,
    ) -> None:
        self._rows = rows
        self._parent = parent
        self._vectors = item_vectors
        self._ef = ef
        self._degree = rows.latest.shape[1]

    def link(self, num: int, near: NDArray[np.int64]) -> bool:
        """Choose neighbours of an item among its near ones, and link back.

        Returns:
            Whether the item can be reached now; False without any candidate.
        """
        if not len(near):
            return False
        own = np.array([num])
        near, distances = self._nearest_first(num, near)
        chosen = select_diverse(distances, self._vectors[near][None], self._degree)
        self._rows.write(own, padded(near[None], chosen, own, self._degree))
        self._link_back(num, near[chosen[0]])
        if self._parent[num] < -1:
            self._force(num, near)
        return True

    def _nearest_first(
        self, num: int, near: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        distances = squared_distances(self._vectors[num][None], self._vectors[near][None])[0]
        order = np.lexsort((near, distances))[: self._ef]
        return near[order], distances[order][None]

    def _link_back(self, num: int, hosts: NDArray[np.int64]) -> None:
        """Offer the item to each host, nearest first; a full row is chosen anew."""
        table = self._rows.current()[hosts]
        empty = table == hosts[:, None]
        has_room = empty.any(axis=1)
        table[has_room, empty.argmax(axis=1)[has_room]] = num
        full = np.flatnonzero(~has_room)
        if len(full):
            table[full] = self._chosen_anew(hosts[full], table[full], num)
        self._rows.write(hosts, table)
        takers = hosts[(table == num).any(axis=1)]
        if len(takers) and self._parent[num] < -1:
            self._parent[num] = takers[0]

    def _chosen_anew(
        self, hosts: NDArray[np.int64], table: NDArray[np.int32], num: int
    ) -> NDArray[np.int32]:
        nums = np.concatenate([table, np.full((len(hosts), 1), num)], axis=1).astype(np.int64)
        vectors = self._vectors[nums]
        distances = squared_distances(self._vectors[hosts], vectors)
        children = self._parent[nums] == hosts[:, None]
        chosen = select_diverse(distances, vectors, self._degree, children)
        return padded(nums, chosen, hosts, self._degree)

    def _force(self, num: int, near: NDArray[np.int64]) -> None:
        """Give the item a slot that nobody depends on, in the nearest row that has one."""
        table = self._rows.current()
        for host in near.tolist():
            slot = free_slot(table, self._vectors, self._parent, host)
            if slot is not None:
                break
        else:
            host, slot = any_free_slot(table, self._parent)
        row = table[host].copy()
        row[slot] = num
        self._rows.write(np.array([host]), row[None])
        self._parent[num] = host
