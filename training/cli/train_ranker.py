"""``vizsla train`` with a recipe of kind ``ranker``."""

from __future__ import annotations

from training.ctr.pipeline import RankerRun, train_on_frame
from training.ctr.request import FrameRequest
from vizsla.cli_output import format_duration, print_json, print_table, say

__all__ = ["run"]

SHOWN = ("auc", "gauc", "log_loss", "normalised_entropy", "calibration_ratio")


def run(request: FrameRequest, *, as_json: bool) -> bool:
    """Train and show the result; False when it was stopped."""
    done = train_on_frame(request)
    if done is None:
        return False
    if as_json:
        shown = {"recipe": done.recipe.name, "model": done.recipe.model, "reused": done.reused}
        print_json(shown | done.result.model_dump() | {"out": str(request.out)})
    else:
        _show(done, request)
    return True


def _show(done: RankerRun, request: FrameRequest) -> None:
    result = done.result
    if done.reused:
        say(f"{request.out} holds this very run, finished (use --fresh to train again)")
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
