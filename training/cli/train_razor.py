"""``vizsla train`` with a recipe of kind ``razor``."""

from __future__ import annotations

from training.cli.train_frame import FrameKind
from training.ctr.request import FrameRequest
from training.razor.pipeline import RazorResult, RazorRun, train_razor
from vizsla.cli_output import format_duration, print_table

__all__ = ["RAZOR"]

SHOWN = ("auc", "log_loss")


def _show(done: RazorRun, request: FrameRequest) -> None:
    result = done.result
    fields = [[one.name, one.dim, one.n_parameters, one.reason] for one in result.fields]
    columns = ["field", "columns", "table entries", "why"]
    print_table(f"fields, cut at {result.threshold:.3g}", columns, fields)
    note = f"searched in {format_duration(result.search_s)}; ranker: {request.out / 'pruned' / result.pruned.ranker}"
    print_table("validation rows", ["model", *SHOWN, "table entries"], _models(result), note=note)


def _models(result: RazorResult) -> list[list[object]]:
    rows: list[list[object]] = []
    for name, one in (("full", result.full), ("pruned", result.pruned)):
        if one is not None:
            figures = one.figures.get("valid", {})
            rows.append([name, *(figures.get(key) for key in SHOWN), one.table_parameters])
    return rows


RAZOR = FrameKind(train_razor, _show)
