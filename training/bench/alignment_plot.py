"""The picture of the alignment study: coverage and recall by the size of the perturbation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.bench.form import Row
from training.bench.study import Estimate
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_alignment"]

LINES = {
    "test_proxy_coverage_at_0.5%": ("from the proxy, 0.5 % scored", "#c2452d"),
    "test_proxy_coverage_at_1%": ("from the proxy, 1 %", "#d98a6a"),
    "test_medoids_coverage_at_5%": ("from medoids, 5 %", "#1b6ca8"),
    "test_few_coverage_at_5%": ("from a sixteenth of the medoids, 5 %", "#7fb0d6"),
}
RECALL = {"test_recall_at_20": ("every item scored", "#333333")}

SWEEP = ("sign-0.03", "sign-0.1", "sign-0.3", "sign-1")
PLACES = {"off": 0.01, **{arm: float(arm.partition("-")[2]) for arm in SWEEP}}
"""Arm to its place on a logarithmic axis; the arm without the task stands at its left end."""

VARIANTS = {
    "gradient-0.3": (0.26, "^", "along the gradient"),
    "positive-0.3": (0.35, "s", "the positive alone"),
    "weight-0.3": (0.41, "v", "weight 0.3"),
}
"""Arms at rho 0.3 to a place beside it, a marker and a label."""

_SIZE_INCHES = (5.5, 4.2)


def plot_alignment(summary: Sequence[Row], target: Path) -> None:
    """Draw, per dataset, coverage@50 (above) and recall@20 (below) against rho.

    Args:
        summary: Rows of ``training.bench.study.summarise``; whiskers are the 95 % intervals of
            the differences from the arm without the task, over queries.
        target: PNG file to write.
    """
    from matplotlib.lines import Line2D

    datasets = list(dict.fromkeys(row["dataset"] for row in summary))
    width, height = _SIZE_INCHES
    figure = new_figure(width * len(datasets), 2 * height)
    grid = figure.subplots(2, len(datasets), squeeze=False)
    for (above, below), dataset in zip(grid.T, datasets, strict=True):
        own = [row for row in summary if row["dataset"] == dataset]
        _draw(above, own, LINES, f"{dataset}: coverage@50 on test")
        _draw(below, own, RECALL, f"{dataset}: exhaustive recall@20 on test")
    handles, labels = grid[0][0].get_legend_handles_labels()
    trained = {row["arm"] for row in summary}
    for _, marker, label in (VARIANTS[arm] for arm in VARIANTS if arm in trained):
        handles.append(Line2D([], [], color="grey", marker=marker, linestyle="", label=label))
        labels.append(f"{label}, rho 0.3")
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save_figure(figure, target)


def _draw(
    axes: Axes, rows: Sequence[Row], lines: Mapping[str, tuple[str, str]], title: str
) -> None:
    found = {row["arm"] for row in rows}
    sweep = [arm for arm in sorted(PLACES, key=lambda arm: PLACES[arm]) if arm in found]
    for column, (label, colour) in lines.items():
        places = [PLACES[arm] for arm in sweep]
        _points(axes, places, _against_off(rows, sweep, column), colour, "o-", label)
        for arm, (place, marker, _) in VARIANTS.items():
            if arm in found:
                _points(axes, [place], _against_off(rows, [arm], column), colour, marker, None)
    axes.set_xscale("log")
    axes.set_xticks(list(PLACES.values()), ["off", *(arm.partition("-")[2] for arm in SWEEP)])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("rho: step relative to the item vectors' mean absolute coordinate")
    axes.set_title(title, fontsize=10)
    axes.grid(visible=True, alpha=0.25)


def _against_off(rows: Sequence[Row], arms: Sequence[str], column: str) -> list[Estimate]:
    """Return each arm's difference from the arm without the task, on top of that arm's mean.

    An arm of fewer seeds has fewer queries: its own mean would stand beside other queries' means.
    """
    base = next((row[column][0] for row in rows if row["arm"] == "off"), 0.0)
    gains = {row["arm"]: row.get(f"{column}_gain_by_query", (0.0, 0.0, 0.0)) for row in rows}
    return [[base + end for end in gains[arm]] for arm in arms]


def _points(
    axes: Axes,
    places: Sequence[float],
    estimates: Sequence[Estimate],
    colour: str,
    style: str,
    label: str | None,
) -> None:
    if not estimates:
        return
    means, lows, highs = np.array(estimates, np.float64).T
    whiskers = np.stack([means - lows, highs - means])
    axes.errorbar(places, means, whiskers, fmt=style, color=colour, capsize=3, label=label)
