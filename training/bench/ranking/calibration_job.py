"""One ranker trained by the public recipe, exported, and its probabilities judged on test rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from training.bench.form import Row
from training.bench.ranking.training import trained_run
from training.ctr.calibration.exported import held_out, stored_calibration
from training.ctr.calibration.reliability import Reliability, reliability
from training.ctr.calibration.report import HeldOut
from training.ctr.calibration.segments import Segment, cold_segments, segments
from training.ctr.metrics import COLD_IMPRESSIONS, defined_auc
from training.ctr.request import FrameRequest
from vizsla.bundles.ranker import read_ranker
from vizsla.contracts.features import FrameSplit
from vizsla.datasets.frames import Frame, FrameDraft, read_frame, resolve_frame, write_frame
from vizsla.datasets.frames.storage import SPLITS
from vizsla.models.ranker.calibration import Scores, log_losses, sigmoid
from vizsla.rng import numpy_generator

__all__ = ["CalibrationJob", "cut_frame"]

MIN_SEGMENT_ROWS = 100
"""Below, the deviation of a segment is far from normal."""

_Z95 = 1.959963984540054
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class CalibrationJob:
    """One arm with one seed, in a process of its own.

    Attributes:
        home: Where frames are.
        work: Where runs and cut frames are put.
        frame: Name of a training frame.
        arm: What the row is called.
        model: Of the recipe ``ranker``.
        seed: Of training, and of the rows that are dropped.
        segments: Fields whose values make segments.
        negative_ratio: Share of the negatives that training and validation get; test has all.
        max_rows: Training rows that are read; 0 for all.
        with_bins: Keep the reliability curve for the picture.
    """

    home: Path
    work: Path
    frame: str
    arm: str
    model: str
    seed: int
    segments: tuple[str, ...] = ()
    negative_ratio: float = 1.0
    max_rows: int = 0
    with_bins: bool = False

    def __call__(self) -> list[Row]:
        """Train (or find the finished run), and judge what was exported."""
        whole = resolve_frame(self.frame, self.home)
        request = FrameRequest(
            "ranker",
            self._training_frame(whole),
            self.work / f"{self.frame}-{self.arm}-{self.seed}",
            seed=self.seed,
            assignments={"model": self.model},
        )
        done = trained_run(request)
        exported = read_ranker(request.out / done.result.ranker)
        trained_on = read_frame(request.frame_dir)
        rows = held_out(exported, read_frame(whole), "test", self.segments, trained_on)
        calibration = stored_calibration(exported)
        about = {
            "frame": self.frame,
            "arm": self.arm,
            "seed": self.seed,
            "n_rows": len(rows.labels),
            "curve": calibration.curve.type,
            "negative_ratio": calibration.negative_ratio,
            "epochs": len(done.result.history),
        }
        stages = {
            "raw": rows.logits,
            "curve": calibration.curve.logits(rows.logits),
            "served": calibration.logits(rows.logits),
        }
        return [about | self._figures(rows, stages)]

    def _training_frame(self, whole: Path) -> Path:
        if self.negative_ratio == 1 and not self.max_rows:
            return whole
        target = self.work / f"{self.frame}-{self.negative_ratio:g}-{self.max_rows}-{self.seed}"
        if not target.exists():
            frame = read_frame(whole)
            write_frame(target, cut_frame(frame, self.negative_ratio, self.max_rows, self.seed))
        return target

    def _figures(self, rows: HeldOut, stages: dict[str, Scores]) -> Row:
        found = {name: reliability(sigmoid(one), rows.labels) for name, one in stages.items()}
        served = found["served"]
        row: Row = {"auc": defined_auc(rows.labels, rows.logits)}
        row |= {
            f"log_loss_{name}": float(log_losses(one, rows.labels).mean())
            for name, one in stages.items()
        }
        row |= {f"ece_{name}": one.ece_debiased for name, one in found.items()}
        perfect = served.ece_debiased_if_perfect
        row |= {
            "ece_perfect": [perfect.mean, perfect.low, perfect.high],
            "p_value": served.p_value,
            "ratio": served.ratio,
        }
        probabilities = sigmoid(stages["served"])
        row |= _cold(rows, probabilities) | _segments(rows, probabilities)
        if self.with_bins:
            row |= {f"bins_{name}": _bins(found[name]) for name in ("raw", "served")}
        return row


def cut_frame(frame: Frame, negative_ratio: float, max_rows: int, seed: int) -> FrameDraft:
    """Return a frame of fewer rows, as a log that keeps a share of its negatives has them.

    Args:
        frame: What to cut.
        negative_ratio: Chance of each negative to stay, in every split.
        max_rows: First rows of the training split that are looked at; 0 for all.
        seed: Of the draws.
    """
    manifest = frame.manifest
    new = manifest.model_copy(
        update={
            "source": f"{manifest.source}; negatives kept: {negative_ratio:g}, seed {seed}",
            "negative_ratio": manifest.negative_ratio * negative_ratio,
        }
    )
    return FrameDraft(new, _kept(frame, negative_ratio, max_rows, seed))


def _kept(
    frame: Frame, negative_ratio: float, max_rows: int, seed: int
) -> Iterator[tuple[FrameSplit, pl.DataFrame]]:
    for split in SPLITS:
        draws = numpy_generator(seed, "kept negatives", split)
        left = max_rows if split == "train" and max_rows else None
        for table in frame.tables(split):
            part = table if left is None else table.head(left)
            left = None if left is None else left - part.height
            stays = (part["label"].to_numpy() > 0.5) | (draws.random(part.height) < negative_ratio)
            yield split, part.filter(pl.Series(stays))


def _cold(rows: HeldOut, probabilities: Scores) -> Row:
    """Return figures of rows whose item had fewer than 10 training rows."""
    if rows.impressions is None:
        return {}
    chosen = np.flatnonzero(rows.impressions < COLD_IMPRESSIONS)
    row: Row = {"cold_rows": len(chosen)}
    if not len(chosen):
        return row
    labels = rows.labels[chosen]
    found = reliability(probabilities[chosen], labels, n_bins=10)
    perfect = found.ece_if_perfect
    return row | {
        "cold_auc": defined_auc(labels, rows.logits[chosen]),
        "cold_ratio": found.ratio,
        "cold_ece": found.ece,
        "cold_ece_perfect": [perfect.mean, perfect.low, perfect.high],
    }


def _segments(rows: HeldOut, probabilities: Scores) -> Row:
    """Return every segment, the worst one, and how many are further off than chance allows."""
    found: list[Segment] = []
    for name, (numbers, names) in rows.groups.items():
        found += segments(probabilities, rows.labels, numbers, names, field=name)
    if rows.impressions is not None:
        found += cold_segments(probabilities, rows.labels, rows.impressions)
    large = [one for one in found if one.n_rows >= MIN_SEGMENT_ROWS]
    row: Row = {"segments": [_segment(one) for one in found], "n_segments": len(large)}
    if large:
        worst = max(large, key=lambda one: abs(one.z))
        row["worst_segment"] = f"{worst.field}: {worst.value}"
        row["worst_z"], row["worst_ratio"] = worst.z, worst.ratio
        row["off_share"] = sum(abs(one.z) > _Z95 for one in large) / len(large)
    return row


def _segment(one: Segment) -> dict[str, Any]:
    kept = ("field", "value", "n_rows", "predicted", "rate", "z", "off")
    values = one.model_dump(include=set(kept))
    return {name: _rounded(values[name]) for name in kept}


def _bins(found: Reliability) -> list[list[float]]:
    """Return ``(B, 4)``: prediction, rate, and between what a perfect model's rate lies."""
    columns: Sequence[str] = ("predicted", "rate", "perfect_low", "perfect_high")
    return [[_rounded(getattr(one, name)) for name in columns] for one in found.bins]


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value
