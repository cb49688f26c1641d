"""The importance report as a picture: widths, probabilities and effects side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vizsla.contracts.importance import FieldImportance, ImportanceReport
from vizsla.figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_importance", "region_names"]

_MAX_FIELDS = 50
_KEPT, _DROPPED, _EFFECT = "#1b6ca8", "#b0b0b0", "#c2452d"


def plot_importance(report: ImportanceReport, target: Path) -> None:
    """Draw one line per field: its columns, where the search saw use for them, and its effect.

    Args:
        report: The first 50 fields of it are drawn.
        target: PNG file to write.
    """
    fields = report.fields[:_MAX_FIELDS]
    n_regions = max((len(one.probabilities) for one in fields), default=0)
    measured = any(one.log_loss_rise for one in fields)
    widths = [3.0, *([0.5 * n_regions + 0.6] if n_regions else []), *([3.0] if measured else [])]
    figure = new_figure(2.2 + sum(widths), 1.7 + 0.3 * len(fields))
    panels = figure.subplots(1, len(widths), width_ratios=widths, sharey=True, squeeze=False)[0]
    _widths(panels[0], fields)
    if n_regions:
        _heat(panels[1], fields, region_names(report.regions, n_regions))
    if measured:
        _effects(panels[-1], fields, report)
    panels[0].set_yticks(range(len(fields)), [_name(one) for one in fields])
    panels[0].set_ylabel("field (whose value, values in its table)")
    panels[0].set_ylim(len(fields) - 0.5, -0.5)
    figure.suptitle(_title(report, len(fields)), fontsize=11)
    save_figure(figure, target)


def _widths(axes: Axes, fields: Sequence[FieldImportance]) -> None:
    places, dims = range(len(fields)), [one.dim for one in fields]
    axes.barh(places, dims, color=_KEPT, height=0.7)
    for place, dim in enumerate(dims):
        text, colour = (f" {dim}", "black") if dim else (" dropped", "#666666")
        axes.text(dim, place, text, va="center", fontsize=8, color=colour)
    axes.set_xlim(0, 1.18 * max([*dims, 1]))
    axes.locator_params(axis="x", integer=True, nbins=6)
    axes.set_xlabel("embedding columns")
    axes.set_title("width kept", fontsize=10)
    _bare(axes)


def _heat(axes: Axes, fields: Sequence[FieldImportance], labels: Sequence[str]) -> None:
    values = np.full((len(fields), len(labels)), np.nan)
    for place, one in enumerate(fields):
        values[place, : len(one.probabilities)] = one.probabilities
    axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if value >= 0.005:
            colour = "white" if value > 0.55 else "black"
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour
            )
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlabel("columns of the region")
    axes.set_title("probability of each region", fontsize=10)
    axes.tick_params(length=0)


def _effects(axes: Axes, fields: Sequence[FieldImportance], report: ImportanceReport) -> None:
    for place, one in enumerate(fields):
        effect = one.log_loss_rise
        if effect is None:
            continue
        axes.barh(place, effect.mean, color=_EFFECT, height=0.7, alpha=0.85)
        axes.plot([effect.low, effect.high], [place, place], color="black", linewidth=1.2)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel(f"rise of log loss, nats ({report.n_rows:,} rows)")
    axes.set_title(f"shuffled {report.n_repeats} times, 95 % interval", fontsize=10)
    axes.locator_params(axis="x", nbins=5)
    _bare(axes)


def _bare(axes: Axes) -> None:
    axes.grid(visible=True, axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _name(one: FieldImportance) -> str:
    return f"{one.name} ({one.owner}, {one.n_codes:,})"


def region_names(regions: Sequence[int], n_regions: int) -> list[str]:
    """Name each region by its columns, counted from 1; by its place (``r3``) where widths are not known.

    Example:
        >>> region_names([0, 1, 1, 2, 4], 5)
        ['none', '1', '2', '3-4', '5-8']
    """
    if len(regions) != n_regions:
        return [f"r{place}" for place in range(n_regions)]
    names, end = [], 0
    for width in regions:
        first, end = end + 1, end + width
        names.append("none" if not width else str(end) if width == 1 else f"{first}-{end}")
    return names


def _title(report: ImportanceReport, n_drawn: int) -> str:
    kept = sum(one.dim > 0 for one in report.fields)
    text = f"{report.frame}: {kept} of {len(report.fields)} fields kept by {report.method}"
    text += f", {report.n_parameters:,} parameters"
    if report.n_parameters_before:
        text += f" ({report.n_parameters / report.n_parameters_before:.1%} of those before)"
    return text if n_drawn == len(report.fields) else f"{text}; first {n_drawn} drawn"
