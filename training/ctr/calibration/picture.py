"""The reliability diagram: what was predicted against what happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.ctr.calibration.reliability import Reliability
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_reliability"]

_RAW, _CALIBRATED, _PERFECT = "#e6922b", "#1b6ca8", "#b0b0b0"


def plot_reliability(
    raw: Reliability,
    calibrated: Reliability,
    histogram: Sequence[int],
    target: Path,
    *,
    title: str,
) -> None:
    """Draw rates against predictions, the gaps on their own scale, and where predictions lie.

    Args:
        raw: Before calibration.
        calibrated: After.
        histogram: Rows by calibrated prediction, in equal parts of [0, 1].
        target: PNG file to write.
        title: Above the picture.
    """
    figure = new_figure(11.0, 5.4)
    grid = figure.add_gridspec(2, 2, width_ratios=(1.0, 1.1), height_ratios=(1.7, 1.0))
    large, gaps = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1])
    mass = figure.add_subplot(grid[1, 1], sharex=gaps)
    _diagonal(large, raw, calibrated)
    _gaps(gaps, raw, calibrated)
    _mass(mass, histogram)
    figure.legend(*large.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, target)


def _diagonal(axes: Axes, raw: Reliability, calibrated: Reliability) -> None:
    ends = [one.high for found in (raw, calibrated) for one in found.bins]
    ends += [one.predicted for found in (raw, calibrated) for one in found.bins]
    end = min(1.0, 1.06 * max(ends))
    axes.plot([0, end], [0, end], color="black", linewidth=0.8, linestyle="--", label="perfect")
    _bars(axes, raw, _RAW, "o", f"raw: {_figure(raw)}")
    _bars(axes, calibrated, _CALIBRATED, "s", f"calibrated: {_figure(calibrated)}")
    axes.set_xlim(0, end)
    axes.set_ylim(0, end)
    axes.set_aspect("equal")
    axes.set_xlabel("predicted probability (mean of the bin)")
    axes.set_ylabel("share of positives, 95 % interval")
    axes.grid(visible=True, alpha=0.25)


def _gaps(axes: Axes, raw: Reliability, calibrated: Reliability) -> None:
    predicted = np.array([one.predicted for one in calibrated.bins])
    band = np.array([(one.perfect_low, one.perfect_high) for one in calibrated.bins]).T - predicted
    axes.fill_between(
        predicted, *(100 * band), color=_PERFECT, alpha=0.45, linewidth=0, label="chance"
    )
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
    for found, colour, marker in ((raw, _RAW, "o"), (calibrated, _CALIBRATED, "s")):
        places = [one.predicted for one in found.bins]
        values = [100 * (one.rate - one.predicted) for one in found.bins]
        axes.plot(places, values, color=colour, marker=marker, markersize=4, linewidth=1)
    axes.set_ylabel("rate minus prediction, points")
    axes.set_title("grey: 95 % of perfectly calibrated models", fontsize=9)
    axes.tick_params(labelbottom=False)
    axes.grid(visible=True, alpha=0.25)


def _mass(axes: Axes, histogram: Sequence[int]) -> None:
    edges = np.linspace(0, 1, len(histogram) + 1)
    shares = 100 * np.array(histogram) / max(sum(histogram), 1)
    axes.stairs(shares, edges, fill=True, color=_CALIBRATED, alpha=0.6)
    axes.set_xlim(0, 1)
    axes.set_xlabel("predicted probability")
    axes.set_ylabel("rows, %")
    axes.grid(visible=True, alpha=0.25)


def _bars(axes: Axes, found: Reliability, colour: str, marker: str, label: str) -> None:
    rates = np.array([one.rate for one in found.bins])
    low, high = (np.array([getattr(one, end) for one in found.bins]) for end in ("low", "high"))
    axes.errorbar(
        [one.predicted for one in found.bins],
        rates,
        # rounding may leave a bar of -1e-17
        yerr=np.maximum([rates - low, high - rates], 0),
        color=colour,
        marker=marker,
        markersize=4,
        linewidth=1,
        capsize=2,
        label=label,
    )


def _figure(found: Reliability) -> str:
    perfect = found.ece_debiased_if_perfect.high
    return f"debiased ECE {found.ece_debiased:.4f} (perfect: up to {perfect:.4f})"
