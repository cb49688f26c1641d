"""How good a ranker's probabilities are: JSON, a page and a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.ctr.calibration.picture import plot_reliability
from training.ctr.calibration.reliability import Reliability, check_predictions, reliability
from training.ctr.calibration.segments import (
    Segment,
    cold_segments,
    decile_segments,
    segments,
)
from training.ctr.metrics import defined_auc
from training.ctr.uncertainty.judge import Spread, judge_spread
from training.evaluation.markdown import table
from training.evaluation.results import Estimate
from vizsla.files import write_text
from vizsla.models.ranker.calibration import Calibration, Scores, log_losses, sigmoid

__all__ = [
    "SPREAD_NOTE",
    "CalibrationReport",
    "Groups",
    "HeldOut",
    "figure_columns",
    "figure_rows",
    "judge",
    "segment_columns",
    "segment_rows",
    "spread_columns",
    "spread_rows",
    "to_markdown",
    "write_calibration",
]

N_HISTOGRAM = 50

SPREAD_NOTE = (
    "Deviations of log-odds that the ranker claims, by how known items are. z2 (with its standard "
    "error) is 1 where they are right and above where they are too small; without: if it claimed none."
)

Groups = tuple[NDArray[np.int64], list[str]]
"""``(M,)`` group of each row, and what each group is called."""


class CalibrationReport(BaseModel):
    """Probabilities before and after calibration on the same rows.

    Figures are of the rows as they are: where only a share of the negatives was kept, they are
    of that share, and the correction for it is left out on both sides.

    Attributes:
        frame: Name of the training frame.
        split: Which rows.
        curve: Kind of the curve.
        negative_ratio: Share of the true negatives among the rows.
        auc: The same before and after; None with one label only.
        log_loss_raw: In nats, before.
        log_loss: After.
        raw: Calibration before.
        calibrated: After.
        histogram: Rows by prediction, in 50 equal parts of [0, 1].
        segments: Of the calibrated predictions.
        spread: Deviations that the ranker claims beside those seen, the least known items
            first; empty where it claims none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frame: str
    split: str
    curve: str
    negative_ratio: float
    auc: float | None
    log_loss_raw: float
    log_loss: float
    raw: Reliability
    calibrated: Reliability
    histogram: tuple[int, ...]
    segments: tuple[Segment, ...]
    spread: tuple[Spread, ...] = ()


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Rows that a ranker is judged on.

    Attributes:
        frame: Name of the training frame.
        split: Which rows.
        logits: ``(M,)`` raw.
        labels: ``(M,)`` 0 or 1.
        impressions: ``(M,)`` how often each row's item was shown in training, where known.
        items: ``(M,)`` any numbers from 0 that tell items apart, where the ranker claims to know
            how unsure it is.
        std: ``(M,)`` the deviations of calibrated logits that it claims, beside ``items``.
        groups: Field to the groups of its values.
    """

    frame: str
    split: str
    logits: Scores
    labels: Scores
    impressions: NDArray[np.int64] | None = None
    items: NDArray[np.int32] | None = None
    std: Scores | None = None
    groups: Mapping[str, Groups] = field(default_factory=dict)


def judge(rows: HeldOut, calibration: Calibration, *, seed: int = 0) -> CalibrationReport:
    """Measure a ranker's probabilities on held-out rows.

    Args:
        rows: With raw logits.
        calibration: Fitted on other rows.
        seed: Of the resamples.

    Raises:
        DataError: No rows, or a label that is not 0 or 1.
    """
    after = calibration.curve.logits(rows.logits)
    probabilities = sigmoid(after)
    check_predictions(probabilities, rows.labels)
    counts, _ = np.histogram(probabilities, N_HISTOGRAM, (0, 1))
    return CalibrationReport(
        frame=rows.frame,
        split=rows.split,
        curve=calibration.curve.type,
        negative_ratio=calibration.negative_ratio,
        auc=defined_auc(rows.labels, after),
        log_loss_raw=float(log_losses(rows.logits, rows.labels).mean()),
        log_loss=float(log_losses(after, rows.labels).mean()),
        raw=reliability(sigmoid(rows.logits), rows.labels, seed=seed),
        calibrated=reliability(probabilities, rows.labels, seed=seed),
        histogram=tuple(counts.tolist()),
        segments=tuple(_segments(rows, probabilities, seed)),
        spread=_spread(rows, probabilities),
    )


def _spread(rows: HeldOut, probabilities: NDArray[np.float64]) -> tuple[Spread, ...]:
    if rows.items is None or rows.std is None or rows.impressions is None:
        return ()
    shown = np.zeros(int(rows.items.max()) + 1, np.int64)
    shown[rows.items] = rows.impressions
    std = np.asarray(rows.std, np.float64)
    return judge_spread(probabilities, rows.labels, rows.items, std, shown)


def _segments(rows: HeldOut, probabilities: NDArray[np.float64], seed: int) -> Iterator[Segment]:
    yield from decile_segments(probabilities, rows.labels, seed=seed)
    if rows.impressions is not None:
        yield from cold_segments(probabilities, rows.labels, rows.impressions, seed=seed)
    for name, (numbers, names) in rows.groups.items():
        yield from segments(probabilities, rows.labels, numbers, names, field=name, seed=seed)


def write_calibration(folder: Path, report: CalibrationReport) -> list[Path]:
    """Write ``calibration.json``, ``calibration.md`` and ``calibration.png``.

    Returns:
        The files, each complete or absent.
    """
    files = [folder / f"calibration.{suffix}" for suffix in ("json", "md", "png")]
    write_text(files[0], report.model_dump_json(indent=2) + "\n")
    write_text(files[1], to_markdown(report))
    plot_reliability(
        report.raw,
        report.calibrated,
        report.histogram,
        files[2],
        title=f"{report.frame}, {report.split}: {report.calibrated.n_rows:,} rows, "
        f"curve: {report.curve}",
    )
    return files


def to_markdown(report: CalibrationReport) -> str:
    """Return the report as a page."""
    lines = [f"# Calibration on {report.frame}, {report.split}", ""]
    quality = "not defined (one label only)" if report.auc is None else f"{report.auc:.4f}"
    lines.append(f"- AUC {quality}, the same before and after")
    if report.split == "valid" and report.curve != "identity":
        lines.append("- the curve was fitted on these rows, so it looks a little too good")
    if report.negative_ratio < 1:
        lines.append(
            f"- rows hold {report.negative_ratio:.2%} of the true negatives; figures are of these rows"
        )
    lines += [
        "- in brackets: 95 % of perfectly calibrated models with the same predictions",
        "",
        table(figure_columns(), figure_rows(report)),
        "",
        "`off`: too far from its rate for chance, at 5 % for all segments of one kind together.",
        "",
        table(segment_columns(), segment_rows(report)),
    ]
    if report.spread:
        lines += ["", SPREAD_NOTE, "", table(spread_columns(), spread_rows(report))]
    return "\n".join(lines) + "\n"


def figure_columns() -> list[str]:
    """Return the headings of the main table."""
    return ["scores", "log loss", "predicted / true", "ECE", "ECE, debiased", "p"]


def figure_rows(report: CalibrationReport) -> list[list[str]]:
    """Return the main table: before and after calibration."""
    return [
        _figures("raw", report.log_loss_raw, report.raw),
        _figures(report.curve, report.log_loss, report.calibrated),
    ]


def segment_columns() -> list[str]:
    """Return the headings of the table of segments."""
    return ["segment", "rows", "predicted", "rate", "predicted / true", "AUC", "ECE", "off"]


def segment_rows(report: CalibrationReport) -> list[list[str]]:
    """Return the table of segments."""
    return [_row(one) for one in report.segments]


def spread_columns() -> list[str]:
    """Return the headings of the table of deviations."""
    return ["impressions in training", "items", "rows", "claimed deviation", "z2", "z2 without"]


def spread_rows(report: CalibrationReport) -> list[list[str]]:
    """Return the table of deviations."""
    return [
        [
            one.impressions,
            f"{one.n_items:,}",
            f"{one.n_rows:,}",
            f"{one.std_mean:.3f}",
            f"{one.z2:.2f} +- {one.z2_error:.2f}",
            f"{one.z2_without:.2f}",
        ]
        for one in report.spread
    ]


def _figures(name: str, log_loss: float, found: Reliability) -> list[str]:
    return [
        name,
        f"{log_loss:.5f}",
        _number(found.ratio, 3),
        _beside(found.ece, found.ece_if_perfect),
        _beside(found.ece_debiased, found.ece_debiased_if_perfect),
        f"{found.p_value:.3f}",
    ]


def _row(one: Segment) -> list[str]:
    return [
        f"{one.field}: {one.value}",
        f"{one.n_rows:,}",
        f"{one.predicted:.4f}",
        f"{one.rate:.4f} [{one.low:.4f}, {one.high:.4f}]",
        _number(one.ratio, 3),
        _number(one.auc, 4),
        f"{one.ece:.4f} (perfect: {one.ece_if_perfect:.4f})",
        "off" if one.off else "",
    ]


def _beside(value: float, perfect: Estimate) -> str:
    return f"{value:.4f} [{perfect.low:.4f}, {perfect.high:.4f}]"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
