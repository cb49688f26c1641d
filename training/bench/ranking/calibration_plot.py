"""Reliability of every ranker: how far the rate of positives is from the prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.bench.form import Row
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_gaps"]

_STAGES = (("raw", "#e6922b", "o"), ("served", "#1b6ca8", "s"))
_PERFECT = "#b0b0b0"
_N_COLUMNS = 4


def plot_gaps(rows: Sequence[Row], target: Path) -> None:
    """Draw rate minus prediction against prediction, a panel per frame and arm.

    Args:
        rows: Those with ``bins_raw`` and ``bins_served``, ``(B, 4)`` each, are drawn.
        target: PNG file.
    """
    drawn = [row for row in rows if "bins_served" in row]
    n_lines = max(1, -(-len(drawn) // _N_COLUMNS))
    figure = new_figure(3.6 * min(_N_COLUMNS, max(1, len(drawn))), 3.2 * n_lines)
    for place, row in enumerate(drawn):
        _panel(figure.add_subplot(n_lines, min(_N_COLUMNS, len(drawn)), place + 1), row)
    if drawn:
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3
        )
    save_figure(figure, target)


def _panel(axes: Axes, row: Row) -> None:
    bins = np.asarray(row["bins_served"])
    band = 100 * (bins[:, 2:] - bins[:, :1])
    label = "95 % of perfectly calibrated models"
    axes.fill_between(bins[:, 0], *band.T, color=_PERFECT, alpha=0.45, linewidth=0, label=label)
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
    for stage, colour, marker in _STAGES:
        found = np.asarray(row[f"bins_{stage}"])
        gaps = 100 * (found[:, 1] - found[:, 0])
        axes.plot(
            found[:, 0], gaps, color=colour, marker=marker, markersize=3, linewidth=1, label=stage
        )
    axes.set_title(f"{row['frame']}, {row['arm']}, {row['n_rows']:,} rows", fontsize=9)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("rate minus prediction, points")
    axes.grid(visible=True, alpha=0.25)
