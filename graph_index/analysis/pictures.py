"""Pictures of a graph: its degrees, the surroundings of an item, and one query's walk.

Items are drawn where the two main directions of the drawn vectors put them (PCA).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from graph_index.analysis.structure import Structure
from graph_index.analysis.tracing import NOWHERE, Trace
from graph_index.graph import Graph
from vizsla.figures import new_figure, save_figure
from vizsla.rng import numpy_generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_degrees", "draw_surroundings", "draw_walks"]

Namer = Callable[[int], str]
"""What to write beside an item."""

_BACKGROUND = 1500
_NAMED = 15
_LONGEST = 30
_GREY, _DARK = "#c9ced6", "#333a45"
_ROUNDS = ("#1b6ca8", "#e3a32b", "#c2452d", "#7a4fa3", "#2f8f6b", "#8c5a2b")
_ITEM, _BOTH, _OUT, _IN = "#c2452d", "#1b6ca8", "#6db1e0", "#e3a32b"


def draw_degrees(found: Structure, title: str, target: Path) -> None:
    """Draw how many items have which degree, and how far they are from the entries."""
    figure = new_figure(12.0, 4.2)
    degrees, hops = figure.subplots(1, 2, width_ratios=(2, 1))
    most = int(max(found.in_degrees.max(), found.out_degrees.max()))
    bins = np.unique(np.linspace(0, most + 1, min(most + 2, 81)).astype(int))
    degrees.hist(found.in_degrees, bins=bins, color=_OUT, label="in: rows that an item is in")
    degrees.hist(
        found.out_degrees, bins=bins, histtype="step", linewidth=1.8, color=_ITEM,
        label="out: neighbours of an item",
    )  # fmt: skip
    degrees.set_yscale("log")
    _worded(degrees, "degree", "items", "Degrees")
    degrees.legend(frameon=False)
    counts = np.bincount(found.hops[found.hops >= 0])
    hops.bar(np.arange(len(counts)), counts, color=_BOTH)
    hops.set_xticks(np.arange(len(counts)))
    for level, count in enumerate(counts.tolist()):
        hops.annotate(f"{count:,}", (level, count), ha="center", va="bottom", fontsize=8)
    _worded(hops, "edges from the nearest entry", "items", "Hops")
    figure.suptitle(title, fontsize=11)
    save_figure(figure, target)


def draw_surroundings(
    graph: Graph, item_vectors: NDArray[np.float32], item: int, name_of: Namer, target: Path
) -> None:
    """Draw an item, its neighbours, the items that have it as theirs, and the edges among all."""
    around = surroundings(graph, item)
    nums = list(around)
    places = dict(zip(nums, _projected(item_vectors[nums]).tolist(), strict=True))
    groups = {
        "the item": ([item], _ITEM, 260),
        "linked both ways": (_of_kind(around, "both"), _BOTH, 90),
        "its neighbours only": (_of_kind(around, "out"), _OUT, 90),
        "it is their neighbour only": (_of_kind(around, "in"), _IN, 50),
    }
    figure = new_figure(10.0, 7.6)
    axes = figure.subplots()
    own = [edge for edge in around.edges if item in edge]
    rest = [edge for edge in around.edges if item not in edge]
    for edges, color, width in ((rest, _GREY, 0.5), (own, _BOTH, 1.1)):
        _draw_edges(axes, places, edges, color, width)
    for label, (members, color, size) in groups.items():
        if members:
            _dots(axes, np.array([places[one] for one in members]), color, size, label)
    near = sorted(_of_kind(around, "both") + _of_kind(around, "out"), key=lambda one: float(np.linalg.norm(item_vectors[one] - item_vectors[item])))  # fmt: skip
    _write_names(axes, [(places[one], name_of(one)) for one in [item, *near[:_NAMED]]])
    _bare(axes)
    axes.legend(loc="best", frameon=False, markerscale=0.7)
    axes.set_title(f"{name_of(item)}: {len(nums) - 1} items around, its nearest {len(near[:_NAMED])} named", fontsize=11)  # fmt: skip
    save_figure(figure, target)


def surroundings(graph: Graph, item: int) -> nx.DiGraph:
    """Return an item with all items one edge away, either way, and every edge among them.

    A node's attribute ``kind`` is ``item``, ``both``, ``out`` or ``in``.
    """
    out = set(graph.neighbors[item].tolist()) - {item}
    into = set(np.flatnonzero((graph.neighbors == item).any(axis=1)).tolist()) - {item}
    found = nx.DiGraph()
    found.add_node(item, kind="item")
    for num in sorted(out | into):
        found.add_node(num, kind="both" if num in out & into else "out" if num in out else "in")
    for num in list(found):
        ends = set(graph.neighbors[num].tolist()) & set(found) - {num}
        found.add_edges_from((num, end) for end in sorted(ends))
    return found


def draw_walks(
    item_vectors: NDArray[np.float32],
    traces: Mapping[str, Trace],
    name_of: Namer,
    title: str,
    target: Path,
) -> None:
    """Draw what one query scored, round by round, over the catalogue; the answer is ringed.

    Args:
        item_vectors: ``(N, D)`` float32.
        traces: How it was started, and the walk: one part of the picture each, on one projection.
        name_of: See ``Namer``.
        title: Of the picture.
        target: PNG file to write.
    """
    scored = np.unique(np.concatenate([trace.item_nums for trace in traces.values()]))
    drawn = np.concatenate([scored, _sample(len(item_vectors), scored)])
    points = _projected(item_vectors[drawn])
    places = dict(zip(drawn.tolist(), points.tolist(), strict=True))
    figure = new_figure(9.0 * len(traces), 8.0)
    for axes, (start, trace) in zip(
        figure.subplots(1, len(traces), squeeze=False)[0], traces.items(), strict=True
    ):
        _dots(axes, points[len(scored) :], _GREY, 5, "not scored (a sample)", edge="none")
        _draw_trace(axes, trace, places, name_of)
        n_scored = len(trace.item_nums)
        share = n_scored / len(item_vectors)
        axes.set_title(f"start: {start}; {n_scored:,} items scored ({share:.1%})", fontsize=10)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, target)


def _draw_trace(axes: Axes, trace: Trace, places: dict[int, Any], name_of: Namer) -> None:
    answer = trace.answer.item_nums.tolist()
    _draw_edges(axes, places, _reached(trace), _GREY, 0.4)
    for number in range(int(trace.round_of.max(initial=0)) + 1):
        mine = np.array([places[one] for one in trace.item_nums[trace.round_of == number].tolist()])
        label = f"{f'round {number}' if number else 'start'}: {len(mine)} scored"
        _dots(axes, mine, _ROUNDS[number % len(_ROUNDS)], 20, label, edge="none")
    steps = {step for item in answer for step in pairwise(trace.path_to(item))}
    _draw_edges(axes, places, sorted(steps), _DARK, 1.1)
    rings = np.array([places[item] for item in answer]).reshape(-1, 2)
    axes.scatter(
        rings[:, 0], rings[:, 1], s=90, facecolors="none", edgecolors="black", linewidths=1.3,
        label=f"answer: {len(answer)} items, with the way to them", zorder=5,
    )  # fmt: skip
    ranked = enumerate(answer[:_NAMED], start=1)
    _write_names(axes, [(places[one], f"{rank}. {name_of(one)}") for rank, one in ranked])
    _bare(axes)
    axes.legend(loc="best", framealpha=0.85, fontsize=9)


def _reached(trace: Trace) -> list[tuple[int, int]]:
    """Return every step of the walk: from where, and the item scored."""
    pairs = zip(trace.reached_from.tolist(), trace.item_nums.tolist(), strict=True)
    return [pair for pair in pairs if pair[0] != NOWHERE]


def _projected(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ``(V, 2)``: the two directions in which the vectors differ most."""
    centred = np.asarray(vectors, np.float64) - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    found: NDArray[np.float64] = centred @ directions[:2].T
    return found if found.shape[1] == 2 else np.pad(found, ((0, 0), (0, 2 - found.shape[1])))


def _sample(n_items: int, known: NDArray[np.int64]) -> NDArray[np.int64]:
    others = np.setdiff1d(np.arange(n_items), known)
    generator = numpy_generator(0, "background")
    return generator.choice(others, min(_BACKGROUND, len(others)), replace=False)


def _of_kind(around: nx.DiGraph, kind: str) -> list[int]:
    return [num for num, own in around.nodes(data="kind") if own == kind]


def _draw_edges(
    axes: Axes, places: dict[int, Any], edges: list[tuple[int, int]], color: str, width: float
) -> None:
    from matplotlib.collections import LineCollection

    lines = [(places[one], places[other]) for one, other in edges]
    axes.add_collection(LineCollection(lines, colors=color, linewidths=width, alpha=0.6, zorder=2))


def _dots(
    axes: Axes, points: NDArray[np.float64], color: str, size: float, label: str, edge: str = "white"
) -> None:  # fmt: skip
    axes.scatter(
        points[:, 0], points[:, 1], s=size, c=color, label=label, edgecolors=edge,
        linewidths=0.7, zorder=3,
    )  # fmt: skip


def _write_names(axes: Axes, names: list[tuple[Any, str]]) -> None:
    """Write names beside their points, each moved down until it covers no other."""
    x_unit, y_unit = (np.ptp(axes.dataLim.get_points()[:, side]) or 1.0 for side in (0, 1))
    taken: list[tuple[float, float]] = []
    for (x, y), text in names:
        at = x + 0.012 * x_unit, y + 0.012 * y_unit
        while any(abs(at[0] - u) < 0.24 * x_unit and abs(at[1] - v) < 0.026 * y_unit for u, v in taken):  # fmt: skip
            at = at[0], at[1] - 0.027 * y_unit
        taken.append(at)
        axes.annotate(
            shorten(text, _LONGEST, placeholder="…"), (x, y), xytext=at, fontsize=8, color=_DARK, zorder=6,
            arrowprops={"arrowstyle": "-", "color": _DARK, "linewidth": 0.4, "alpha": 0.5},
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.65},
        )  # fmt: skip


def _worded(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _bare(axes: Axes) -> None:
    """Two directions of a projection have no unit."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.margins(0.06)
