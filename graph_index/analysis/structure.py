"""A graph in figures: degrees, components, hops from the entries, and how long its edges are.

Shapes: **N** items, **M** degree, **D** vector size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graph_index.graph import Graph
from vizsla.rng import numpy_generator

__all__ = ["MOST_COUNTED", "Structure", "structure"]

MOST_COUNTED = 5_000_000
"""Components of larger graphs are not counted: that takes about 300 bytes an item."""

_MEASURED = 20_000
_QUANTILES = {"p10": 0.1, "median": 0.5, "p90": 0.9}


@dataclass(frozen=True, slots=True)
class Structure:
    """What ``structure`` found.

    Attributes:
        out_degrees: ``(N,)`` neighbours of each item.
        in_degrees: ``(N,)`` rows that each item is in.
        hops: ``(N,)`` edges from the nearest entry, -1 where no path leads.
        facts: Name to figure, in the order to show.
    """

    out_degrees: NDArray[np.int64]
    in_degrees: NDArray[np.int64]
    hops: NDArray[np.int64]
    facts: dict[str, float | int | str]


def structure(graph: Graph, item_vectors: NDArray[np.float32], seed: int = 0) -> Structure:
    """Measure a graph.

    Lengths are measured on at most 20,000 items that the seed chooses.

    Args:
        graph: A sound graph.
        item_vectors: ``(N, D)`` float32.
        seed: Chooses items to measure edges of.

    Example:
        >>> line = np.array([[0.0], [1.0], [3.0]], np.float32)
        >>> path = Graph(np.array([[1], [2], [1]], np.int32), np.array([0], np.int32), np.ones(3, bool))
        >>> found = structure(path, line)
        >>> found.hops.tolist(), found.facts["weak_components"], found.facts["strong_components"]
        ([0, 1, 2], 1, 2)
    """
    out_degrees, in_degrees = graph.out_degrees(), graph.in_degrees()
    hops = hops_from_entries(graph)
    facts: dict[str, float | int | str] = {
        "n_items": graph.n_items,
        "n_edges": int(out_degrees.sum()),
        "entry_points": len(graph.entry_points),
        **_spread("out_degree", out_degrees),
        **_spread("in_degree", in_degrees),
        "items_in_no_row": int(np.count_nonzero(in_degrees == 0)),
        **_components(graph, "weak"),
        **_components(graph, "strong"),
        "reachable_ratio": float(np.mean(hops >= 0)),
        "hops_mean": float(hops[hops >= 0].mean()),
        "hops_max": int(hops.max()),
        **_lengths(graph, item_vectors, seed),
    }
    return Structure(out_degrees, in_degrees, hops, facts)


def hops_from_entries(graph: Graph) -> NDArray[np.int64]:
    """Return ``(N,)`` edges on a shortest path from any entry; -1 where there is none."""
    hops = np.full(graph.n_items, -1, np.int64)
    frontier = np.unique(graph.entry_points).astype(np.int64)
    level = 0
    while len(frontier):
        hops[frontier] = level
        found = np.unique(graph.neighbors[frontier])
        frontier = found[hops[found] < 0].astype(np.int64)
        level += 1
    return hops


def _spread(name: str, values: NDArray[np.int64]) -> dict[str, float | int]:
    quantiles = {
        f"{name}_{label}": float(np.quantile(values, share)) for label, share in _QUANTILES.items()
    }
    ends = {f"{name}_min": int(values.min()), f"{name}_max": int(values.max())}
    return {f"{name}_mean": float(values.mean()), **ends, **quantiles}


def _components(
    graph: Graph, connection: Literal["weak", "strong"]
) -> dict[str, float | int | str]:
    """Count components; scipy, because networkx takes a kilobyte an edge."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    name = f"{connection}_components"
    if graph.n_items > MOST_COUNTED:
        return {name: f"not counted above {MOST_COUNTED:,} items"}
    starts = np.arange(0, graph.neighbors.size + 1, graph.max_degree)
    edges = np.ones(graph.neighbors.size, np.int8)
    # the padding of short rows is an edge to the item itself, which joins nothing
    matrix = csr_array(
        (edges, graph.neighbors.ravel(), starts), shape=(graph.n_items, graph.n_items)
    )
    count, labels = connected_components(matrix, directed=True, connection=connection)
    largest = int(np.bincount(labels).max())
    return {name: int(count), f"{connection}_largest_ratio": largest / graph.n_items}


def _lengths(
    graph: Graph, item_vectors: NDArray[np.float32], seed: int
) -> dict[str, float | int | str]:
    """Compare edges with the distance of any two items."""
    generator = numpy_generator(seed, "measured edges")
    n_measured = min(_MEASURED, graph.n_items)
    rows = np.sort(generator.choice(graph.n_items, n_measured, replace=False))
    others = generator.integers(graph.n_items, size=n_measured)
    total = np.zeros(n_measured)
    count = np.zeros(n_measured, np.int64)
    for slot in range(graph.max_degree):
        ends = graph.neighbors[rows, slot]
        real = ends != rows
        total += np.where(real, _distances(item_vectors, rows, ends), 0)
        count += real
    edges = max(1, int(count.sum()))
    return {
        "edge_length_mean": float(total.sum()) / edges,
        "any_two_items_mean": float(_distances(item_vectors, rows, others).mean()),
        "items_measured": n_measured,
    }


def _distances(
    vectors: NDArray[np.float32], ones: NDArray[np.int64], others: NDArray[np.integer]
) -> NDArray[np.float32]:
    distances: NDArray[np.float32] = np.linalg.norm(vectors[ones] - vectors[others], axis=1)
    return distances
