"""``vizsla train`` with a recipe of kind ``ranker``."""

from __future__ import annotations

from training.cli.train_frame import FrameKind
from training.ctr.pipeline import RankerRun, train_on_frame
from training.ctr.request import FrameRequest
from vizsla.cli_output import format_duration, print_table

__all__ = ["RANKER"]

SHOWN = ("auc", "gauc", "log_loss", "normalised_entropy", "calibration_ratio")


def _show(done: RankerRun, request: FrameRequest) -> None:
    result = done.result
    rows = [
        [split, figures.get("n_rows"), *(figures.get(name) for name in SHOWN)]
        for split, figures in result.figures.items()
    ]
    note = "\n".join(
        [
            f"{result.parameters:,} weights, {result.table_parameters:,} of them in tables",
            f"trained in {format_duration(result.train_s)}, {result.rows_per_s:,.0f} rows/s, "
            f"{len(result.history)} epochs, the best chosen by {result.selected_by}",
            f"ranker: {request.out / result.ranker}",
        ]
    )
    print_table(f"{done.recipe.model}", ["rows", "cold rows", *SHOWN], rows, note=note)


RANKER = FrameKind(train_on_frame, _show)
