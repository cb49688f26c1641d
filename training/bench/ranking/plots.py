"""Quality against size: every arm a point, with its interval over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.bench.form import Row
from vizsla.figures import new_figure, save_figure

__all__ = ["plot_arms"]


def plot_arms(summary: Sequence[Row], target: Path) -> None:
    """Draw test AUC against the share of parameters, a panel per frame.

    Args:
        summary: Rows with ``frame``, ``arm``, ``auc`` as ``[mean, low, high]`` and
            ``parameter_ratio`` as the same; an arm without them was never trained.
        target: PNG file.
    """
    summary = [row for row in summary if "auc" in row]
    frames = list(dict.fromkeys(row["frame"] for row in summary))
    drawn = new_figure(5.2 * max(1, len(frames)), 4.2)
    for place, frame in enumerate(frames):
        axes = drawn.add_subplot(1, len(frames), place + 1)
        for row in (row for row in summary if row["frame"] == frame):
            mean, low, high = row["auc"]
            errors = None if low is None else [[mean - low], [high - mean]]
            share = row["parameter_ratio"][0]
            axes.errorbar([share], [mean], yerr=errors, fmt="o", capsize=2)
            axes.annotate(
                row["arm"], (share, mean), textcoords="offset points", xytext=(6, 4), fontsize=8
            )
        axes.set_xscale("log")
        axes.margins(x=0.25, y=0.1)
        axes.set_xlabel("share of the full model's embedding parameters")
        axes.set_ylabel("test AUC, mean and 95 % over seeds")
        axes.set_title(frame)
        axes.grid(visible=True, which="major", alpha=0.3)
    save_figure(drawn, target)
