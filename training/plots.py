"""Pictures of results; no display needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.evaluation.results import CurvePoint, Evaluation
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STYLES", "plot_curve"]

STYLES = {
    "medoids": ("walk from medoids", "#1b6ca8", "o"),
    "proxy": ("walk seeded by proxy", "#c2452d", "s"),
    "rerank": ("proxy's best, re-ranked", "#5a8f3c", "^"),
}
"""Series to label, colour and marker, the same in every picture."""

_SIZE_INCHES = (11.0, 4.8)
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)


def plot_curve(evaluation: Evaluation, target: Path) -> None:
    """Draw coverage and recall against the share of the catalogue that was scored.

    Args:
        evaluation: With a curve.
        target: PNG file to write.
    """
    figure = new_figure(*_SIZE_INCHES)
    left, right = figure.subplots(1, 2)
    _draw(left, evaluation.curve, "coverage")
    _draw(right, evaluation.curve, "recall")
    _label(left, f"coverage@{evaluation.curve_k} against exhaustive scoring")
    _label(right, f"recall@{evaluation.curve_k} on {evaluation.part} queries")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.suptitle(
        f"{evaluation.dataset}: {evaluation.model}, {evaluation.n_items:,} items, "
        f"bundle {evaluation.bundle[:12]}",
        fontsize=11,
    )
    save_figure(figure, target)


def _draw(axes: Axes, curve: Sequence[CurvePoint], name: str) -> None:
    for series, (label, colour, marker) in STYLES.items():
        points = sorted((p for p in curve if p.series == series), key=lambda p: p.scored_ratio)
        shares = [100 * point.scored_ratio for point in points]
        values = [getattr(point, name) for point in points]
        axes.plot(shares, values, color=colour, marker=marker, markersize=5, label=label)
    for point in curve:
        if point.series == "exhaustive":
            best = getattr(point, name)
            axes.axhline(
                best, color="black", linewidth=1, linestyle="--", label="every item scored"
            )
            axes.set_ylim(min(*_values(curve, name), 0.9 * best) - 0.02 * best, 1.02 * best)


def _values(curve: Sequence[CurvePoint], name: str) -> list[float]:
    return [getattr(point, name) for point in curve]


def _label(axes: Axes, what: str) -> None:
    low, high = 0.8 * axes.dataLim.minposx, 1.25 * axes.dataLim.x1
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks([tick for tick in _TICKS if low <= tick <= high], minor=False)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:g}")
    axes.xaxis.set_minor_formatter(lambda _share, _: "")
    axes.set_xlabel("items scored by the deep matcher, % of the catalogue (mean)")
    axes.set_ylabel(what)
    axes.grid(visible=True, alpha=0.25)
