"""What is wrong with a graph that changes; the places of removed items are not errors in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from graph_index.check import outside
from graph_index.graph import Graph
from graph_index.reach import Reach

__all__ = ["LiveState", "live_problems"]

_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class LiveState:
    """A published state of a changing graph, and what the writer knows of its places.

    Attributes:
        graph: Over N places.
        item_vectors: ``(N, D)`` float32.
        present: ``(N,)`` bool, places of items in the catalogue.
        passed: ``(N,)`` bool, places of removed items that walks still pass through.
    """

    graph: Graph
    item_vectors: NDArray[np.float32]
    present: NDArray[np.bool_]
    passed: NDArray[np.bool_]


def live_problems(state: LiveState) -> list[str]:
    """Say what is wrong with a published state, one line each; empty when it is sound.

    Every item can be reached, also a paused one; no row names an item twice, or leads to a
    place that holds no item; only items of the catalogue are returned.

    Example:
        >>> graph = Graph(np.array([[1], [0], [1]], np.int32), np.array([0], np.int32), np.ones(3, bool))
        >>> none, all_ = np.zeros(3, bool), np.ones(3, bool)
        >>> live_problems(LiveState(graph, np.zeros((3, 1), np.float32), all_, none))
        ['1 of 3 items cannot be reached from the entry points, the first is at place 2']
    """
    graph = state.graph
    if wrong := outside(graph):
        return wrong
    held = state.present | state.passed
    unreached = Reach(graph.neighbors, graph.entry_points).unreached()
    lost = unreached[state.present[unreached]]
    dead_ends, repeated = _wrong_rows(graph, held)
    entries = graph.entry_points
    found: dict[str, NDArray[np.integer]] = {
        f"of {int(state.present.sum())} items cannot be reached from the entry points": lost,
        "rows lead to a place that holds no item": dead_ends,
        "rows name a neighbour twice": repeated,
        "entry points hold no item": entries[~held[entries]],
        "items are returned that are not in the catalogue": np.flatnonzero(
            graph.alive & ~state.present
        ),
        "vectors have NaN or infinity": np.flatnonzero(
            held & ~np.isfinite(state.item_vectors).all(axis=1)
        ),
    }
    return [
        f"{len(places)} {what}, the first is at place {places[0]}"
        for what, places in found.items()
        if len(places)
    ]


def _wrong_rows(
    graph: Graph, held: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places whose row leads nowhere, and those whose row repeats itself."""
    dead_ends, repeated = [], []
    for start in range(0, graph.n_items, _ROWS_AT_ONCE):
        rows = graph.neighbors[start : start + _ROWS_AT_ONCE]
        own = np.arange(start, start + len(rows))
        links = rows != own[:, None]
        dead_ends.append(own[held[own] & (links & ~held[rows]).any(axis=1)])
        ordered = np.sort(rows, axis=1)
        same = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != own[:, None])
        repeated.append(own[held[own] & same.any(axis=1)])
    return np.concatenate(dead_ends), np.concatenate(repeated)
