"""Pictures of results; no display needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.evaluation.results import MATCHER, CurvePoint, Evaluation
from vizsla.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["STYLES", "plot_curve"]

STYLES = {
    "medoids": ("walk from medoids", "#1b6ca8", "o"),
    "proxy": ("walk seeded by proxy", "#c2452d", "s"),
    "rerank": ("proxy's best, re-ranked", "#5a8f3c", "^"),
}
"""Series to label, colour and marker, the same in every picture."""

_SIZE_INCHES = (11.0, 4.6)
_DOTS_PER_INCH = 130


def plot_curve(evaluation: Evaluation, target: Path) -> None:
    """Draw coverage and recall against the share of the catalogue that was scored.

    Args:
        evaluation: With a curve.
        target: PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw(left, evaluation.curve, "coverage")
    _draw(right, evaluation.curve, "recall")
    _label(left, f"coverage@{evaluation.curve_k} against exhaustive scoring")
    _label(right, f"recall@{evaluation.curve_k} on {evaluation.part} queries")
    _mark_exhaustive(right, evaluation)
    right.legend(loc="lower right", frameon=False)
    figure.suptitle(
        f"{evaluation.dataset}: {evaluation.model}, {evaluation.n_items:,} items, "
        f"bundle {evaluation.bundle[:12]}",
        fontsize=11,
    )
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)


def _draw(axes: Axes, curve: Sequence[CurvePoint], name: str) -> None:
    for series, (label, colour, marker) in STYLES.items():
        points = sorted((p for p in curve if p.series == series), key=lambda p: p.scored_ratio)
        shares = [100 * point.scored_ratio for point in points]
        values = [getattr(point, name) for point in points]
        axes.plot(shares, values, color=colour, marker=marker, markersize=5, label=label)


def _label(axes: Axes, what: str) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:g}")
    axes.xaxis.set_minor_formatter(lambda _share, _: "")
    axes.set_xlabel("items scored by the deep matcher, % of the catalogue (mean)")
    axes.set_ylabel(what)
    axes.grid(visible=True, which="both", alpha=0.25)


def _mark_exhaustive(axes: Axes, evaluation: Evaluation) -> None:
    exhaustive = evaluation.row(MATCHER).metrics[f"recall_at_{evaluation.curve_k}"].mean
    axes.axhline(exhaustive, color="black", linewidth=1, linestyle="--", label="exhaustive")
