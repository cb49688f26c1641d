"""The catalogue as the log says it is: changes applied in order, each event once."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.live.graph import GraphSnapshot, LiveGraph
from graph_index.live.vocabulary import LiveVocabulary
from vizsla.contracts.events import ItemChange
from vizsla.contracts.placing import ItemPlacer
from vizsla.vocabulary import UNKNOWN, Vocabulary

__all__ = ["Applied", "ItemsSnapshot", "LiveItems", "mean_vector"]

EVENTS_REMEMBERED = 1 << 16
"""Window within which an event that is delivered again is known."""

_ROUNDING = 1e-4

_log = logging.getLogger("vizsla.index")

_Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ItemsSnapshot:
    """The catalogue at one moment.

    Attributes:
        graph: Graph and vectors; a paused item is not alive.
        vocabulary: Identifiers of the items in the catalogue, paused ones included.
        attributes: Place to the attributes that changes gave; elsewhere those of the bundle's
            item of that identifier hold.
        offset: Changes below it are in.
    """

    graph: GraphSnapshot
    vocabulary: LiveVocabulary
    attributes: Mapping[int, _Row]
    offset: int


@dataclass(slots=True)
class Applied:
    """What a batch of changes did.

    Attributes:
        nums: ``(R,)`` places whose vector is new; a scorer needs their rows before the
            snapshot is used.
        vectors: ``(R, D)`` float32 their vectors.
        n_changes: Changes that took effect.
        n_repeated: Events that had been applied before.
        n_skipped: Changes that could not be used, see the log.
    """

    nums: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    n_changes: int = 0
    n_repeated: int = 0
    n_skipped: int = 0


class LiveItems:
    """Applies item changes to a graph and its identifiers; one thread at a time.

    The last change of an item wins, in the order of the log.  Applying a log from its start, or from a snapshot's
    offset, gives the same catalogue.

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
        self._attributes: dict[int, _Row] = {}
        self._offset = offset
        head = item_vectors[:1000]
        self._usual_length = float(np.linalg.norm(head, axis=1).mean())
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._snapshot = self._taken()

    @property
    def offset(self) -> int:
        """Where to read the log on."""
        return self._offset

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
        new = [change for change in changes if self._is_new(change.event_id)]
        applied = self._apply(new)
        applied.n_repeated = len(changes) - len(new)
        self._offset = offset
        return applied

    def replay(self, reads: Iterable[tuple[Sequence[ItemChange], int]]) -> Applied:
        """Apply a long stretch of a log: of each item only the last change, which says it all.

        Args:
            reads: Changes in the order of the log, each part with where to read on after it.
        """
        last: dict[str, ItemChange] = {}
        n_changes = n_repeated = 0
        for changes, offset in reads:
            new = [change for change in changes if self._is_new(change.event_id)]
            for change in new:
                last.pop(change.item_id, None)
                last[change.item_id] = change
            n_changes, n_repeated = n_changes + len(new), n_repeated + len(changes) - len(new)
            self._offset = offset
        applied = self._apply(list(last.values()))
        applied.n_changes = n_changes - applied.n_skipped
        applied.n_repeated = n_repeated
        return applied

    def _apply(self, changes: Sequence[ItemChange]) -> Applied:
        applied = Applied(vectors=np.empty((0, self.live.embedding_size), np.float32))
        for run in self._runs(changes):
            self._take_out([change.item_id for change in run if change.action == "remove"])
            self._put([change for change in run if change.action == "put"], applied)
        applied.n_changes = len(changes) - applied.n_skipped
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
        num = self._vocabulary.num(item_id)
        return None if num == UNKNOWN else self.live.vector(num)

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

    def _runs(self, changes: Sequence[ItemChange]) -> Iterator[list[ItemChange]]:
        """Cut changes where their order matters: an item again, or one that reads another's vector."""
        run: dict[str, ItemChange] = {}
        for change in changes:
            if change.item_id in run or self._is_derived(change):
                yield list(run.values())
                run = {}
            run[change.item_id] = change
        yield list(run.values())

    def _is_derived(self, change: ItemChange) -> bool:
        return change.vector_space != self.vector_space and change.similar_items is not None

    def _take_out(self, item_ids: Iterable[str]) -> None:
        known = [item_id for item_id in item_ids if item_id in self._vocabulary]
        nums = self._vocabulary.nums(known)
        self.live.remove(nums)
        self._vocabulary = self._vocabulary.changed(dict.fromkeys(known, UNKNOWN))

    def _put(self, changes: list[ItemChange], applied: Applied) -> None:
        moved: list[tuple[ItemChange, NDArray[np.float32]]] = []
        for change in changes:
            vector = self._vector(change)
            if vector is None:
                applied.n_skipped += 1
                _log.warning("item %r: its change has no usable vector", change.item_id)
            elif self._is_where_it_was(change.item_id, vector):
                self._describe(self._vocabulary.num(change.item_id), change)
            else:
                moved.append((change, vector))
        if moved:
            self._place(moved, applied)

    def _place(self, moved: list[tuple[ItemChange, NDArray[np.float32]]], applied: Applied) -> None:
        """Give items a new place; the old one, if any, is removed in the same snapshot."""
        ids = [change.item_id for change, _ in moved]
        old = self._vocabulary.nums(ids)
        vectors = np.stack([vector for _, vector in moved])
        nums = self.live.insert(vectors)
        for (change, _), num in zip(moved, nums.tolist(), strict=True):
            self._describe(num, change)
        self.live.remove(old[old != UNKNOWN])
        self._vocabulary = self._vocabulary.changed(dict(zip(ids, nums.tolist(), strict=True)))
        applied.nums = np.concatenate([applied.nums, nums])
        applied.vectors = np.concatenate([applied.vectors, vectors])

    def _describe(self, num: int, change: ItemChange) -> None:
        self.live.set_active(np.array([num]), active=change.active)
        self._attributes.pop(num, None)
        if change.attributes is not None:
            self._attributes[num] = change.attributes

    def _vector(self, change: ItemChange) -> NDArray[np.float32] | None:
        """Return the vector that a change gives its item, None if it gives none that fits."""
        n_values = self.live.embedding_size
        if change.vector is not None and change.vector_space == self.vector_space:
            vector = np.array(change.vector, np.float32)
            return vector if vector.shape == (n_values,) and np.isfinite(vector).all() else None
        if change.similar_items is not None:
            return mean_vector(self, change.similar_items)
        if change.vector is not None:  # made for other weights
            return self.vector_by_columns(change.item_id, change.attributes or {})
        return self.vector_of(change.item_id)

    def _is_where_it_was(self, item_id: str, vector: NDArray[np.float32]) -> bool:
        now = self.vector_of(item_id)
        return now is not None and bool(np.array_equal(now, vector))

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
