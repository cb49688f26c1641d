"""A similarity graph that grows, shrinks and heals while others walk it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.live.candidates import near_items
from graph_index.live.check import LiveState
from graph_index.live.entries import EntryGrowth, EntrySet
from graph_index.live.healing import Healed, Healing
from graph_index.live.linking import Linker
from graph_index.live.rows import GrowingRows, RowVersions
from graph_index.reach import Reach
from vizsla.errors import DataError

__all__ = ["HEALED_TOGETHER", "GraphSnapshot", "LiveGraph"]

_INSERTED_TOGETHER = 64
_EF = 100

HEALED_TOGETHER = 4096
"""Most removed items that one pass takes out."""


@dataclass(frozen=True, slots=True)
class GraphSnapshot:
    """The graph at one moment; it never changes, however long it is held.

    Attributes:
        graph: Over N places; a place whose item is gone is not alive.
        item_vectors: ``(N, D)`` float32.
    """

    graph: Graph
    item_vectors: NDArray[np.float32]


class LiveGraph:
    """The writer's side of a changing graph; one thread at a time.

    Readers hold snapshots and take no lock.  In every snapshot each item in the catalogue
    can be reached from the entries: an edge that is somebody's only known way in (it is in
    a forest grown from the entries) is never dropped.  A removed item is walked through,
    not returned, until ``heal`` has linked its neighbours with each other; its place is
    used again when no snapshot that knew it is held.

    Args:
        graph: The immutable first version; items that are not alive count as paused.
        item_vectors: ``(N, D)`` float32.
        ef: Candidates considered as neighbours of a new item.

    Example:
        >>> line = np.arange(6, dtype=np.float32)[:, None]
        >>> from graph_index.build import build_graph
        >>> live = LiveGraph(build_graph(line), line)
        >>> before = live.snapshot()
        >>> live.insert(np.array([[2.5]], np.float32)).tolist()
        [6]
        >>> live.remove(np.array([0]))
        >>> live.publish().graph.alive.tolist(), before.graph.n_items
        ([False, True, True, True, True, True, True], 6)
    """

    def __init__(self, graph: Graph, item_vectors: NDArray[np.float32], *, ef: int = _EF) -> None:
        self._rows = RowVersions(graph.neighbors)
        self._vectors = GrowingRows(item_vectors)
        self._alive = graph.alive.copy()
        self._present = np.ones(graph.n_items, np.bool_)
        self._entries = EntrySet(graph.entry_points, graph.n_items)
        self._parent: GrowingRows | None = None
        self._ef = ef
        self._n_inserts = 0
        self._gone: list[int] = []
        self._free: list[tuple[int, int]] = []
        self._snapshot = self._taken()
        self._shown = self.present, self._gone.copy()

    @property
    def n_places(self) -> int:
        """N: places of items, those of removed ones included."""
        return len(self._vectors)

    @property
    def embedding_size(self) -> int:
        """D of the item vectors."""
        return int(self._vectors.view().shape[1])

    @property
    def n_present(self) -> int:
        """Items in the catalogue, paused ones included."""
        return int(np.count_nonzero(self._present))

    @property
    def n_unhealed(self) -> int:
        """Removed items that walks still pass through."""
        return len(self._gone)

    @property
    def n_buffers(self) -> int:
        """Neighbour tables held beside the first; two unless a reader holds one for long."""
        return self._rows.n_buffers

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(N,)`` bool, items in the catalogue."""
        return self._present.copy()

    def vector(self, num: int) -> NDArray[np.float32]:
        """Return a copy of the vector at a place."""
        vector: NDArray[np.float32] = self._vectors.view()[num].copy()
        return vector

    def snapshot(self) -> GraphSnapshot:
        """Return what was last published."""
        return self._snapshot

    def state(self) -> LiveState:
        """Return what was last published with what is known of its places, to be checked."""
        last = self._snapshot
        present, gone = self._shown
        passed = np.zeros(last.graph.n_items, np.bool_)
        passed[gone] = True
        return LiveState(last.graph, last.item_vectors, present, passed)

    def publish(self) -> GraphSnapshot:
        """Show all changes since the last time to readers that ask from now on."""
        self._rows.publish()
        self._snapshot = self._taken()
        self._shown = self.present, self._gone.copy()
        return self._snapshot

    def insert(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Add R items, linked both ways, and return their numbers.

        Raises:
            DataError: Not ``(R, D)``, or a vector with NaN or infinity.
        """
        expected = self.embedding_size
        if vectors.ndim != 2 or vectors.shape[1] != expected or not np.isfinite(vectors).all():
            raise DataError(f"new item vectors must be finite (R, {expected}), not {vectors.shape}")
        parts = [
            self._insert(vectors[start : start + _INSERTED_TOGETHER])
            for start in range(0, len(vectors), _INSERTED_TOGETHER)
        ]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def is_active(self, num: int) -> bool:
        """Return whether the item at a place may be returned."""
        return bool(self._alive[num])

    def set_active(self, nums: NDArray[np.int64], *, active: bool) -> None:
        """Pause items, or let them be returned again."""
        self._alive[nums] = active

    def remove(self, nums: NDArray[np.int64]) -> None:
        """Take items out: from the next snapshot on they are walked through and never returned."""
        self._alive[nums] = False
        self._present[nums] = False
        self._gone += nums.tolist()

    def heal(self, at_most: int = HEALED_TOGETHER) -> int:
        """Link the neighbours of removed items with each other; return how many were healed.

        Slow beside an insert (a pass over the whole table), so it is for the background and
        takes many removals at once.
        """
        healing = self.healing(at_most)
        return 0 if healing is None else self.finish(healing, healing.run())

    def healing(self, at_most: int = HEALED_TOGETHER) -> Healing | None:
        """Return the work of ``heal``, to be run beside further changes; None for none.

        What was written must be published.
        """
        gone = np.array(self._gone[:at_most], np.int64)
        if not len(gone) or not self._present.any():
            return None
        wanted = self._present.copy()
        wanted[self._gone[at_most:]] = True
        vectors, present = self._vectors.view(), self._present.copy()
        return Healing(
            self._rows.current(),
            self._entries.nums,
            vectors,
            gone,
            present,
            wanted,
            self._n_inserts,
        )

    def finish(self, healing: Healing, healed: Healed) -> int:
        """Take over what healing came to; return how many were healed, 0 if it is outdated.

        It is after an insert.  Items that were removed since are walked through as before.
        """
        if healing.n_inserts != self._n_inserts:
            return 0
        self._entries.nums = healed.entry_points
        self._rows.write(healed.nums, healed.rows)
        self._parent = GrowingRows(healed.parent)
        # no version from the next one on leads to these places
        self._free += [(self._rows.version + 1, num) for num in healing.gone.tolist()]
        self._gone = self._gone[len(healing.gone) :]
        return len(healing.gone)

    def entry_growth(self) -> EntryGrowth | None:
        """Return the search for further entries, to be run beside further changes; None for none.

        As the catalogue grows, the new items that are farthest from any entry join.
        """
        return self._entries.growth(self._present, self._vectors.view())

    def add_entries(self, nums: NDArray[np.int64]) -> int:
        """Make items entries, unless they are gone by now, or entries; return how many."""
        added = np.setdiff1d(nums[self._present[nums]], self._entries.nums)
        if len(added):
            self._n_inserts += 1
            self._entries.add(added)
            self._forest().put(added, np.full(len(added), -1, np.int32))
        return len(added)

    def refresh_entries(self) -> int:
        """Add entries as the catalogue grows; return how many."""
        growth = self.entry_growth()
        return 0 if growth is None else self.add_entries(growth.run())

    def _insert(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        self._n_inserts += 1
        near = near_items(
            Graph(self._rows.current(), self._entries.nums, self._present),
            self._vectors.view(),
            vectors,
            self._ef,
        )
        forest = self._forest()
        nums = self._places(len(vectors))
        self._vectors.put(nums, vectors)
        self._rows.write(nums, np.repeat(nums[:, None], self._rows.latest.shape[1], axis=1))
        forest.put(nums, np.full(len(nums), -2, np.int32))
        linker = Linker(self._rows, forest.view(), self._vectors.view(), self._ef)
        for row, num in enumerate(nums.tolist()):
            if not linker.link(num, np.concatenate([near[row], nums[:row]])):
                self._entries.add(nums[row : row + 1])
                forest.put(nums[row : row + 1], np.array([-1], np.int32))
        self._present = _with_marks(self._present, nums)
        self._alive = _with_marks(self._alive, nums)
        self._entries.note_new(nums)
        return nums

    def _places(self, count: int) -> NDArray[np.int64]:
        """Take places that no held snapshot knows, then new ones at the end."""
        oldest = self._rows.oldest_held()
        ready = [num for version, num in self._free if version <= oldest][:count]
        taken = set(ready)
        self._free = [place for place in self._free if place[1] not in taken]
        fresh = range(self.n_places, self.n_places + count - len(ready))
        return np.array([*ready, *fresh], np.int64)

    def _forest(self) -> GrowingRows:
        if self._parent is None:
            self._parent = GrowingRows(Reach(self._rows.current(), self._entries.nums).parent)
        return self._parent

    def _taken(self) -> GraphSnapshot:
        graph = Graph(self._rows.latest, self._entries.nums, self._alive.copy())
        return GraphSnapshot(graph, self._vectors.view())


def _with_marks(mask: NDArray[np.bool_], nums: NDArray[np.int64]) -> NDArray[np.bool_]:
    n_more = max(0, int(nums.max(initial=-1)) + 1 - len(mask))
    longer = np.concatenate([mask, np.zeros(n_more, np.bool_)]) if n_more else mask
    longer[nums] = True
    return longer
