"""Empty pictures that need no display, and their way to disk."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vizsla.errors import UsageError
from vizsla.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["check_pictures", "new_figure", "save_figure"]

_DOTS_PER_INCH = 130


def check_pictures() -> None:
    """Refuse to draw where it is not possible, before the work begins.

    Raises:
        UsageError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("pictures need matplotlib: pip install 'vizsla[training]'")


def new_figure(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, target: Path) -> None:
    """Write a PNG file, whole or not at all."""
    with atomic_path(target) as temporary:
        figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH)
