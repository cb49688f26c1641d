"""A changed catalogue becomes arrays without gaps, as a bundle holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.live.items import LiveItems
from vizsla.errors import UsageError

__all__ = ["CompactItems", "compact"]


@dataclass(frozen=True, slots=True)
class CompactItems:
    """The items of a catalogue, numbered anew without gaps.

    Shapes: **N** items, **D** vector size.

    Attributes:
        item_ids: N identifiers in row order.
        known_as: ``(N,)`` int64 row of each item in the bundle before, -1 for none.
        keeps_vector: ``(N,)`` bool: whether the item has the vector it had there.
        item_vectors: ``(N, D)`` float32.
        graph: Over these rows; paused items are not alive.
        attributes: Row to the attributes that a change gave.
        offset: Log records below it are in.
    """

    item_ids: list[str]
    known_as: NDArray[np.int64]
    keeps_vector: NDArray[np.bool_]
    item_vectors: NDArray[np.float32]
    graph: Graph
    attributes: dict[int, dict[str, object]]
    offset: int


def compact(items: LiveItems) -> CompactItems:
    """Number the items of a catalogue anew, in the order of their places.

    Removed items are healed first, so that no row leads to one.

    Raises:
        UsageError: No item is left, or all of them are paused.
    """
    live = items.live
    while live.heal():
        pass
    live.refresh_entries()
    snapshot = items.publish()
    places = np.flatnonzero(live.present)
    if not len(places):
        raise UsageError("no item is left in the catalogue; there is nothing to make a bundle of")
    if not snapshot.graph.graph.alive.any():
        raise UsageError(
            "every item in the catalogue is paused; a bundle needs one that may be in an answer: "
            "resume one first"
        )
    names = snapshot.vocabulary.ids(places.tolist())
    base = snapshot.vocabulary.base
    known_as = base.nums(names)
    return CompactItems(
        item_ids=names,
        known_as=known_as,
        keeps_vector=np.array([not items.has_own_vector(name) for name in names], np.bool_),
        item_vectors=np.ascontiguousarray(snapshot.graph.item_vectors[places]),
        graph=_renumbered(snapshot.graph.graph, places),
        attributes={
            row: dict(snapshot.attributes[place])
            for row, place in enumerate(places.tolist())
            if place in snapshot.attributes
        },
        offset=snapshot.offset,
    )


def _renumbered(graph: Graph, places: NDArray[np.int64]) -> Graph:
    row_of = np.full(graph.n_items, -1, np.int32)
    row_of[places] = np.arange(len(places), dtype=np.int32)
    neighbors = row_of[graph.neighbors[places]]
    own = np.arange(len(places), dtype=np.int32)[:, None]
    return Graph(
        np.where(neighbors < 0, own, neighbors),
        row_of[graph.entry_points],
        graph.alive[places],
    )
