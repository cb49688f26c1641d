"""What a graph looks like: degrees, reachability, duplicates; and what is wrong with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from graph_index.duplicates import duplicated_rows
from graph_index.graph import Graph
from graph_index.reach import Reach

__all__ = ["graph_report", "outside", "problems"]

_NEAR = 1e-4
_ROWS_AT_ONCE = 8192


def graph_report(graph: Graph, item_vectors: NDArray[np.float32]) -> dict[str, float]:
    """Count what tells a good graph from a bad one.

    Args:
        graph: A graph whose rows are in range, see ``problems``.
        item_vectors: ``(N, D)`` float32.

    Returns:
        ``out_degree_*`` and ``in_degree_*`` (min, mean, max), ``zero_in_degree`` items that
        are no entry and occur in no row, ``reachable_ratio`` of items that some path from
        the entries leads to, ``duplicate_items`` whose vector another item has exactly,
        ``near_duplicate_items`` nearer to a neighbour than a ten-thousandth of the mean
        vector length, ``alive_items`` and ``entry_points``.

    Example:
        >>> line = np.array([[0.0], [1.0], [1.0]], np.float32)
        >>> path = Graph(np.array([[1], [2], [1]], np.int32), np.array([0], np.int32), np.ones(3, bool))
        >>> report = graph_report(path, line)
        >>> report["reachable_ratio"], report["duplicate_items"], report["in_degree_max"]
        (1.0, 2.0, 2.0)
    """
    in_degrees = graph.in_degrees()
    is_entry = np.isin(np.arange(graph.n_items), graph.entry_points)
    unreached = Reach(graph.neighbors, graph.entry_points).unreached()
    return {
        **_spread("out_degree", graph.out_degrees()),
        **_spread("in_degree", in_degrees),
        "zero_in_degree": float(np.count_nonzero((in_degrees == 0) & ~is_entry)),
        "reachable_ratio": 1.0 - len(unreached) / graph.n_items,
        "duplicate_items": float(np.count_nonzero(duplicated_rows(item_vectors))),
        "near_duplicate_items": float(_near_duplicates(graph, item_vectors)),
        "alive_items": float(np.count_nonzero(graph.alive)),
        "entry_points": float(len(graph.entry_points)),
    }


def problems(graph: Graph) -> list[str]:
    """Say what makes a graph unusable, one line each; empty when it is sound."""
    if wrong := outside(graph):
        return wrong
    found = []
    unreached = Reach(graph.neighbors, graph.entry_points).unreached()
    if len(unreached):
        found.append(
            f"{len(unreached)} of {graph.n_items} items cannot be reached from the "
            f"entry points, the first is item {unreached[0]}"
        )
    if len(np.unique(graph.entry_points)) < len(graph.entry_points):
        found.append("an entry point occurs twice")
    if not graph.alive.any():
        found.append("no item is alive")
    return found


def outside(graph: Graph) -> list[str]:
    """Name the arrays that hold item numbers out of range; nothing else can be asked of them."""
    tables = {"neighbors": graph.neighbors, "entry_points": graph.entry_points}
    return [
        f"{name}: item numbers {table.min()} to {table.max()} are not within "
        f"0 to {graph.n_items - 1}"
        for name, table in tables.items()
        if table.size and (table.min() < 0 or table.max() >= graph.n_items)
    ]


def _spread(name: str, degrees: NDArray[np.int64]) -> dict[str, float]:
    return {
        f"{name}_min": float(degrees.min()),
        f"{name}_mean": float(degrees.mean()),
        f"{name}_max": float(degrees.max()),
    }


def _near_duplicates(graph: Graph, item_vectors: NDArray[np.float32]) -> int:
    lengths = np.sqrt(np.einsum("nd,nd->n", item_vectors, item_vectors))
    limit = np.square(_NEAR * float(lengths.mean()))
    padding = graph.padding()
    count = 0
    for start in range(0, graph.n_items, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        count += int(np.count_nonzero(_nearest_gap(graph, item_vectors, rows, padding) <= limit))
    return count


def _nearest_gap(
    graph: Graph,
    item_vectors: NDArray[np.float32],
    rows: slice,
    padding: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return each row's squared distance to its nearest neighbour, one slot at a time."""
    own = item_vectors[rows]
    nearest = np.full(len(own), np.inf, np.float32)
    for slot in range(graph.max_degree):
        gaps = item_vectors[graph.neighbors[rows, slot]] - own
        distances = np.einsum("nd,nd->n", gaps, gaps)
        distances[padding[rows, slot]] = np.inf
        np.minimum(nearest, distances, out=nearest)
    return nearest
