"""``vizsla evaluate RANKER``: how far its probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.ctr.calibration.exported import evaluate_ranker
from training.ctr.calibration.report import (
    SPREAD_NOTE,
    CalibrationReport,
    figure_columns,
    figure_rows,
    segment_columns,
    segment_rows,
    spread_columns,
    spread_rows,
    write_calibration,
)
from vizsla.bundles.ranker import read_ranker
from vizsla.cli_output import print_json, print_table, say
from vizsla.config import load_settings
from vizsla.contracts.features import FrameSplit
from vizsla.datasets.frames import read_frame, resolve_frame

__all__ = ["evaluate_exported"]


def evaluate_exported(
    folder: Path,
    data: str | None,
    split: FrameSplit,
    by: Sequence[str],
    *,
    seed: int,
    out: Path | None,
    json: bool,
) -> None:
    """Measure an exported ranker and show and write what was found.

    Args:
        folder: Of the exported ranker.
        data: Name or directory of the frame; None is the one it was trained on.
        split: Which rows.
        by: Fields whose values are judged apart.
        seed: Of the resamples.
        out: Folder for the results; None is ``evaluation/<hash>/<split>`` beside the ranker.
        json: Whether to print JSON rather than tables.
    """
    exported = read_ranker(folder)
    name = data or exported.manifest.dataset.name
    frame = read_frame(resolve_frame(name, load_settings().home))
    if frame.manifest.content_hash != exported.manifest.dataset.content_hash:
        say(f"frame {frame.manifest.name} is not the one that the ranker was trained on")
    report = evaluate_ranker(exported, frame, split, by, seed=seed)
    beside = folder.resolve().parent / "evaluation" / exported.manifest.content_hash[:16] / split
    files = write_calibration(out or beside, report)
    if json:
        print_json(report)
    else:
        _print(report)
    say("written: " + ", ".join(map(str, files)))


def _print(report: CalibrationReport) -> None:
    auc = "not defined" if report.auc is None else f"{report.auc:.4f}"
    print_table(
        f"{report.frame}, {report.split}: {report.calibrated.n_rows:,} rows, AUC {auc}",
        figure_columns(),
        figure_rows(report),
        note="brackets: 95 % of perfectly calibrated models with the same predictions",
    )
    print_table(
        "segments",
        segment_columns(),
        segment_rows(report),
        note="off: too far from its rate for chance, at 5 % for all segments of one kind together",
    )
    if report.spread:
        print_table("deviations", spread_columns(), spread_rows(report), note=SPREAD_NOTE)
