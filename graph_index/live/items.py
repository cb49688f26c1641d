"""The catalogue as the log says it is: changes applied in order, each event once."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.live.graph import LiveGraph
from graph_index.live.states import Applied, ItemsSnapshot, ItemState, Placed, state_after
from graph_index.live.vocabulary import LiveVocabulary
from vizsla.contracts.events import ItemChange
from vizsla.contracts.placing import ItemPlacer
from vizsla.vocabulary import UNKNOWN, Vocabulary

__all__ = ["LiveItems", "mean_vector"]

EVENTS_REMEMBERED = 1 << 16
"""Window within which an event that is delivered again is known."""

_ROUNDING = 1e-4

_log = logging.getLogger("vizsla.index")

_Row = Mapping[str, Any]


class LiveItems:
    """Applies item changes to a graph and its identifiers; one thread at a time.

    Changes are taken into account one after the other, each seeing what those before it made
    of every item, and reach the graph together.  So however a log is cut into reads, it gives
    the same catalogue.

    Args:
        vocabulary: Identifiers of the graph's items.
        graph: The bundle's graph.
        item_vectors: ``(N, D)`` float32.
        vector_space: Hash of the weights that the vectors belong to.
        offset: Changes below it are in the bundle already.
        item_net: Places items by their columns; None where the model reads none.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        graph: Graph,
        item_vectors: NDArray[np.float32],
        *,
        vector_space: str,
        offset: int = 0,
        item_net: ItemPlacer | None = None,
    ) -> None:
        self.live = LiveGraph(graph, item_vectors)
        self.vector_space = vector_space
        self.item_net = item_net
        self._vocabulary = LiveVocabulary(vocabulary)
        self._base_vectors = item_vectors
        self._attributes: dict[int, _Row] = {}
        self._placed: dict[str, Placed] = {}
        self._noted: dict[str, ItemState | None] = {}
        self._offset = offset
        head = item_vectors[:1000]
        self._usual_length = float(np.linalg.norm(head, axis=1).mean())
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._snapshot = self._taken()

    @property
    def offset(self) -> int:
        """Where to read the log on."""
        return self._offset

    @property
    def is_settled(self) -> bool:
        """False where a ``replay`` was broken off: what it had read is in no graph, so begin anew."""
        return not self._noted

    def snapshot(self) -> ItemsSnapshot:
        """Return what was last published."""
        return self._snapshot

    def publish(self) -> ItemsSnapshot:
        """Show everything applied so far to readers that ask from now on."""
        self.live.publish()
        self._snapshot = self._taken()
        return self._snapshot

    def apply(self, changes: Sequence[ItemChange], offset: int) -> Applied:
        """Apply changes in the order of the log.

        Args:
            changes: What the log had.
            offset: Where to read on after them.
        """
        return self.replay([(changes, offset)])

    def replay(self, reads: Iterable[tuple[Sequence[ItemChange], int]]) -> Applied:
        """Apply a long stretch of a log: the graph is touched once per item that changed.

        Args:
            reads: Changes in the order of the log, each part with where to read on after it.
        """
        applied = Applied(vectors=np.empty((0, self.live.embedding_size), np.float32))
        for changes, offset in reads:
            for change in changes:
                self._note(change, applied)
            self._offset = offset
        self._settle(applied)
        return applied

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._vocabulary

    def num(self, item_id: str) -> int:
        """Return an item's place, or ``UNKNOWN`` (-1)."""
        return self._vocabulary.num(item_id)

    def attributes_at(self, num: int) -> _Row | None:
        """Return what a change gave as the attributes of the item at a place, None for nothing."""
        return self._attributes.get(num)

    @property
    def usual_length(self) -> float:
        """Mean length of the first vectors: what a new one is compared with."""
        return self._usual_length

    def vector_of(self, item_id: str) -> NDArray[np.float32] | None:
        """Return the vector of an item as it is now, None if there is no such item."""
        state = self._state(item_id)
        return None if state is None else state.vector

    def has_own_vector(self, item_id: str) -> bool:
        """Return whether changes gave an item its vector, even if it equals the bundle's."""
        state = self._state(item_id)
        return state is not None and state.own

    def is_active(self, item_id: str) -> bool:
        """Return whether an item is in the catalogue and not paused."""
        num = self._vocabulary.num(item_id)
        return num != UNKNOWN and self.live.is_active(num)

    def similar_items(self, item_id: str) -> tuple[str, ...] | None:
        """Return the items that an item was placed by, None for none."""
        state = self._state(item_id)
        return None if state is None else state.similar_items

    def vector_by_columns(
        self, item_id: str, attributes: Mapping[str, Any]
    ) -> NDArray[np.float32] | None:
        """Return where the item net places an item; None where it knows nothing of it.

        An item that lies there already, but for rounding, keeps its vector to the bit.
        """
        if self.item_net is None:
            return None
        made = self.item_net.vector(self._vocabulary.base.num(item_id), attributes)
        now = self.vector_of(item_id)
        if made is None or now is None or not np.allclose(made, now, atol=_ROUNDING):
            return made
        return now

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > EVENTS_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _state(self, item_id: str) -> ItemState | None:
        """Return an item as the log says it is so far, None if it is not in the catalogue."""
        if item_id in self._noted:
            return self._noted[item_id]
        num = self._vocabulary.num(item_id)
        if num == UNKNOWN:
            return None
        placed = self._placed.get(item_id, Placed())
        return ItemState(self.live.vector(num), own=placed.own, similar_items=placed.similar_items)

    def _note(self, change: ItemChange, applied: Applied) -> None:
        """Take one change into account, seen from its place in the log."""
        if not self._is_new(change.event_id):
            applied.n_repeated += 1
            return
        before = self._state(change.item_id)
        vector = None
        if change.action == "put" and (vector := self._vector(change)) is None:
            applied.n_skipped += 1
            _log.warning("item %r: its change has no usable vector", change.item_id)
            return
        applied.n_changes += 1
        self._noted[change.item_id] = (
            None if vector is None else state_after(before, change, vector)
        )

    def _settle(self, applied: Applied) -> None:
        """Bring the graph to what was noted: each item once, however often it changed."""
        noted, self._noted = self._noted, {}
        applied.item_ids.update(noted)
        self._take_out([id_ for id_, state in noted.items() if state is None])
        there = {id_: state for id_, state in noted.items() if state is not None}
        moved = [(id_, state) for id_, state in there.items() if state.moved]
        if moved:
            self._place(moved, applied)
        self._describe(there)

    def _take_out(self, item_ids: Sequence[str]) -> None:
        known = [item_id for item_id in item_ids if item_id in self._vocabulary]
        self._forget(self._vocabulary.nums(known))
        for item_id in item_ids:
            self._placed.pop(item_id, None)
        self._vocabulary = self._vocabulary.changed(dict.fromkeys(known, UNKNOWN))

    def _forget(self, nums: NDArray[np.int64]) -> None:
        self.live.remove(nums)
        for num in nums.tolist():
            self._attributes.pop(num, None)

    def _place(self, moved: list[tuple[str, ItemState]], applied: Applied) -> None:
        """Give items a new place; the old one, if any, is removed in the same snapshot."""
        ids = [item_id for item_id, _ in moved]
        old = self._vocabulary.nums(ids)
        applied.vectors = np.stack([state.vector for _, state in moved])
        applied.nums = self.live.insert(applied.vectors)
        self._forget(old[old != UNKNOWN])
        self._vocabulary = self._vocabulary.changed(
            dict(zip(ids, applied.nums.tolist(), strict=True))
        )

    def _describe(self, states: Mapping[str, ItemState]) -> None:
        for item_id, state in states.items():
            num = self._vocabulary.num(item_id)
            self.live.set_active(np.array([num]), active=state.active)
            self._attributes.pop(num, None)
            if state.attributes is not None:
                self._attributes[num] = state.attributes
            self._placed[item_id] = Placed(state.own, state.similar_items)

    def _vector(self, change: ItemChange) -> NDArray[np.float32] | None:
        """Return the vector that a change gives its item, None if nothing says where it lies."""
        found = None
        if change.vector_space == self.vector_space:
            found = self._fitting(change.vector)
        if found is None and change.similar_items is not None:
            found = mean_vector(self, change.similar_items)
        if found is None and change.vector is not None:  # made for other weights
            found = self.vector_by_columns(change.item_id, change.attributes or {})
        return self._vector_kept(change.item_id) if found is None else found

    def _fitting(self, values: Sequence[float] | None) -> NDArray[np.float32] | None:
        vector = np.array(() if values is None else values, np.float32)
        fits = vector.shape == (self.live.embedding_size,) and np.isfinite(vector).all()
        return vector if fits else None

    def _vector_kept(self, item_id: str) -> NDArray[np.float32] | None:
        """Return the vector that an item has, or that the bundle has for it."""
        now = self.vector_of(item_id)
        num = self._vocabulary.base.num(item_id)
        if now is not None or num == UNKNOWN:
            return now
        return np.array(self._base_vectors[num], np.float32)

    def _taken(self) -> ItemsSnapshot:
        return ItemsSnapshot(
            self.live.snapshot(), self._vocabulary, dict(self._attributes), self._offset
        )


def mean_vector(items: LiveItems, similar_items: Sequence[str]) -> NDArray[np.float32] | None:
    """Return the mean of items' vectors at their mean length; None if none of them is known.

    The mean of unit vectors is shorter than they are, and a short vector scores low
    whatever its direction, so it is stretched to the length it comes from.
    """
    vectors = [vector for id_ in similar_items if (vector := items.vector_of(id_)) is not None]
    if not vectors:
        return None
    mean = np.mean(vectors, axis=0, dtype=np.float64)
    length = float(np.mean(np.linalg.norm(vectors, axis=1)))
    found = float(np.linalg.norm(mean))
    scaled = mean * (length / found) if found > 0 else np.asarray(vectors[0], np.float64)
    return np.asarray(scaled, np.float32)
