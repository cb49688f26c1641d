"""The pictures of ``vizsla bench training --preset bns``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.bench.form import Row
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_bns"]

COLOURS = {
    "rns": "#7f7f7f",
    "pns": "#bcbd22",
    "aobpr": "#8c564b",
    "dns-5": "#1b6ca8",
    "dns-10-3": "#6baed6",
    "srns": "#9467bd",
    "ahns": "#e377c2",
    "bns": "#e6922b",
    "bnsc-20": "#c2452d",
    "oracle-5": "#5a8f3c",
}
"""Arms that are drawn, each in the same colour everywhere."""


def plot_bns(rows: Sequence[Row], target: Path) -> list[Path]:
    """Draw figures and quality by epoch, and the ranks of true and false negatives.

    Args:
        rows: Of the bench.
        target: The bench's JSON file; pictures lie beside it.

    Returns:
        The files written.
    """
    written = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows if row["kind"] == "run"):
        own = [row for row in rows if row["dataset"] == dataset]
        written.append(_save(_by_epoch(dataset, own), target, dataset))
        looks = [row for row in own if row["kind"] == "separation"]
        if looks:
            written.append(_save(_ranks(dataset, looks), target, f"{dataset}-ranks"))
    return written


def _save(figure: Figure, target: Path, what: str) -> Path:
    path = target.with_name(f"{target.stem}-{what}.png")
    save_figure(figure, path)
    return path


def _by_epoch(dataset: str, rows: Sequence[Row]) -> Figure:
    figure = new_figure(14.0, 4.6)
    panels = figure.subplots(1, 3)
    names = ("ndcg_at_20", "tnr", "info")
    titles = ("NDCG@20 on test", "share of true negatives (TNR)", "informativeness (INF)")
    runs = _runs_by_arm(rows)
    for axes, name, title in zip(panels, names, titles, strict=True):
        for arm, own in runs.items():
            _line(axes, arm, own, name)
        axes.set_xlabel("epoch")
        axes.set_title(title, fontsize=10)
        axes.grid(visible=True, alpha=0.25)
    ease = [r for r in rows if r["kind"] == "run" and r["arm"] == "ease"]
    if ease:
        value = ease[0]["final"]["ndcg_at_20"]
        panels[0].axhline(value, color="black", linestyle="--", linewidth=1, label="EASE")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    figure.suptitle(f"{dataset}: negative samplers on matrix factorisation", fontsize=11)
    return figure


def _runs_by_arm(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    runs = {arm: [r for r in rows if r["kind"] == "run" and r["arm"] == arm] for arm in COLOURS}
    return {arm: own for arm, own in runs.items() if own}


def _line(axes: Axes, arm: str, runs: Sequence[Row], name: str) -> None:
    """Draw the mean over seeds and the band from the lowest to the highest."""
    curves = [[point.get(name) for point in run["curve"]] for run in runs]
    if any(value is None for curve in curves for value in curve):
        return
    epochs = [point["epoch"] for point in runs[0]["curve"]]
    table = np.array(curves, np.float64)
    axes.plot(epochs, table.mean(axis=0), color=COLOURS[arm], linewidth=1.6, label=arm)
    axes.fill_between(
        epochs, table.min(axis=0), table.max(axis=0), color=COLOURS[arm], alpha=0.15, linewidth=0
    )


def _ranks(dataset: str, looks: Sequence[Row]) -> Figure:
    figure = new_figure(4.8 * len(looks), 4.4)
    panels = np.atleast_1d(figure.subplots(1, len(looks), sharey=True))
    for axes, row in zip(panels, looks, strict=True):
        edges = np.array(row["edges"])
        middle = (edges[1:] + edges[:-1]) / 2
        axes.stairs(row["true_density"], edges, color="#1b6ca8", label="true negatives")
        axes.stairs(row["false_density"], edges, color="#c2452d", label="false negatives")
        axes.plot(middle, 2 * (1 - middle), "--", color="#1b6ca8", label="2 f (1 - F), assumed")
        axes.plot(middle, 2 * middle, "--", color="#c2452d", label="2 f F, assumed")
        axes.set_title(
            f"epoch {row['epoch']}: a false one ranks higher in {row['order_ratio']:.1%}",
            fontsize=10,
        )
        axes.set_xlabel("rank of the score among the user's unseen items, F")
        axes.grid(visible=True, alpha=0.25)
    panels[0].set_ylabel("density")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(f"{dataset}: where held-out positives are among unseen items", fontsize=11)
    return figure
