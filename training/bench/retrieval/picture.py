"""Coverage against cost, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.bench.form import Row
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_costs"]

_SIZE_INCHES = (12.0, 5.6)
_LEAST_COVERAGE = 0.6
_MARKERS = "os^Dv<>pPX*h"
_DEPTH = 200


def plot_costs(rows: Sequence[Row], title: str, target: Path) -> None:
    """Draw every system's best points: coverage against scores, and against processor time.

    Args:
        rows: Validation rows of all operating points.
        title: Of the picture.
        target: PNG file to write.
    """
    figure = new_figure(*_SIZE_INCHES)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, rows, "scored_ratio", 100.0)
    _draw(right, rows, "cpu_ms_per_query_batch_8", 1.0)
    left.set_xlabel("items scored by the deep matcher, % of the catalogue (mean)")
    right.set_xlabel("processor time per query in batches of 8, ms, one core")
    left.set_ylabel(f"coverage@{_DEPTH} against exhaustive scoring")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, target)


def _draw(axes: Axes, rows: Sequence[Row], cost: str, factor: float) -> None:
    for place, system in enumerate(dict.fromkeys(row["system"] for row in rows)):
        front = _front([row for row in rows if row["system"] == system], cost)
        axes.plot(
            [factor * row[cost] for row in front],
            [row[f"coverage_at_{_DEPTH}"] for row in front],
            color=f"C{place % 10}",
            marker=_MARKERS[place % len(_MARKERS)],
            linestyle="-" if place < len(_MARKERS) else ":",
            markersize=4,
            label=system,
        )
    axes.set_xscale("log")
    axes.set_ylim(_LEAST_COVERAGE, 1.005)
    axes.axhline(0.98, color="black", linewidth=0.8, linestyle="--")
    axes.grid(visible=True, which="both", alpha=0.2)


def _front(rows: Sequence[Row], cost: str) -> list[Row]:
    """Return the points that no cheaper one of the system covers as much as."""
    front: list[Row] = []
    known = [row for row in rows if row[f"coverage_at_{_DEPTH}"] is not None]
    for row in sorted(known, key=lambda row: row[cost]):
        if not front or row[f"coverage_at_{_DEPTH}"] > front[-1][f"coverage_at_{_DEPTH}"]:
            front.append(row)
    return front
