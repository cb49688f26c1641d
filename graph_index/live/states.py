"""What the log says of items, on its way to the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.live.graph import GraphSnapshot
from graph_index.live.vocabulary import LiveVocabulary
from vizsla.contracts.events import ItemChange

__all__ = ["Applied", "ItemState", "ItemsSnapshot", "Placed", "state_after"]

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
        item_ids: Items that may not be as they were.
        n_changes: Changes that took effect.
        n_repeated: Events that had been applied before.
        n_skipped: Changes that could not be used, see the log.
    """

    nums: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    item_ids: set[str] = field(default_factory=set)
    n_changes: int = 0
    n_repeated: int = 0
    n_skipped: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an item's vector comes from.

    Attributes:
        own: Whether changes gave it; False for that of the bundle.
        similar_items: What the item was placed by, None for none.
    """

    own: bool = False
    similar_items: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ItemState:
    """An item that is in the catalogue.

    Attributes:
        vector: ``(D,)`` float32.
        own: Whether changes gave it the vector; False for that of the bundle.
        similar_items: What it was placed by, None for none.
        moved: Whether it needs a new place in the graph.
        active: False for paused.
        attributes: What a change gave, None where the bundle's columns hold.
    """

    vector: NDArray[np.float32]
    own: bool
    similar_items: tuple[str, ...] | None
    moved: bool = False
    active: bool = True
    attributes: Mapping[str, Any] | None = None


def state_after(
    before: ItemState | None, change: ItemChange, vector: NDArray[np.float32]
) -> ItemState:
    """Return the state that a change leads to, given the vector that it comes to.

    A place is never taken back: an item that went away and came again, even to the same
    vector, is a new one to the model.
    """
    if before is None or not np.array_equal(before.vector, vector):
        before = ItemState(vector, own=True, similar_items=None, moved=True)
    similar = change.similar_items
    return ItemState(
        vector,
        own=before.own,
        similar_items=before.similar_items if similar is None else similar,
        moved=before.moved,
        active=change.active,
        attributes=change.attributes,
    )
