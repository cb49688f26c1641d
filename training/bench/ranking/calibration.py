"""Preset ``calibration``: how far the probabilities of exported rankers can be trusted.

Every ranker is trained and exported as ``vizsla train --recipe ranker`` does, with a curve fitted
on validation rows, and judged once on test rows as ``vizsla evaluate`` does.  Arm ``thinned`` is
trained on a fifth of the negatives and judged on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from training.bench.form import BenchFile, Row, Target
from training.bench.ranking.calibration_job import CalibrationJob
from training.bench.ranking.calibration_plot import plot_gaps
from training.bench.ranking.plan import RankingPlan
from training.bench.study import seed_estimate
from training.bench.training import Verdict
from vizsla.errors import UsageError
from vizsla.registry import look_up

__all__ = ["COLUMNS", "calibration_targets", "run_calibration", "summarise"]

COLUMNS = (
    "frame",
    "arm",
    "n_seeds",
    "n_rows",
    "auc",
    "log_loss_raw",
    "log_loss_served",
    "curves",
    "ece_raw",
    "ece_curve",
    "ece_served",
    "ece_largest",
    "ece_perfect_high",
    "n_segments",
    "off_share",
    "worst_segment",
    "worst_ratio",
    "cold_rows",
    "cold_auc",
    "cold_ratio",
    "cold_ece",
    "cold_ece_perfect_high",
)
PRINTED = ("frame", "arm", "n_seeds", "n_rows", "ece_raw", "ece_served", "ece_perfect_high")
SEGMENTS = {
    "ml-100k-ctr": ("gender", "age", "occupation", "weekday", "user_events"),
    "frappe": ("daytime", "weekday", "weather", "country", "cost"),
    "ml-1m-ctr": ("gender", "age_bracket", "occupation", "user_events"),
}
MODELS = ("deepfm", "lr")
THINNED = "thinned"
THINNED_FRAMES = ("ml-100k-ctr", "ml-1m-ctr")
"""Those whose negatives are what users did, not a sample already."""

NEGATIVE_RATIO = 0.2
SEEDS = 3
ENOUGH_ROWS = 50_000
"""Test rows from which a bound is asked for; below, chance alone can exceed it."""

_ESTIMATED = (
    "auc",
    "log_loss_raw",
    "log_loss_served",
    "ece_raw",
    "ece_curve",
    "ece_served",
    "off_share",
    "cold_auc",
    "cold_ratio",
    "cold_ece",
)


def run_calibration(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Train, export and judge, a step per frame, arm and seed."""
    unknown = [arm for arm in plan.arms if arm not in (*MODELS, THINNED)]
    if unknown:
        raise UsageError(f"--arm {unknown[0]}: known: {', '.join((*MODELS, THINNED))}")
    frames = plan.frames or tuple(SEGMENTS)
    jobs = {
        f"{frame} {arm} {seed}": _job(plan, frame, arm, seed)
        for frame in frames
        for seed in plan.seeds(SEEDS)
        for arm in _arms(plan, frame)
    }
    file.steps(jobs, plan.workers)
    summary = list(summarise(file.result.rows))
    plot_gaps(file.result.rows, file.path.with_suffix(".png"))
    return Verdict(list(calibration_targets(file.result.rows)), COLUMNS, summary, PRINTED)


def _arms(plan: RankingPlan, frame: str) -> list[str]:
    own = (*MODELS, THINNED) if frame in THINNED_FRAMES else MODELS
    return [arm for arm in own if arm in (plan.arms or own)]


def _job(plan: RankingPlan, frame: str, arm: str, seed: int) -> CalibrationJob:
    return CalibrationJob(
        home=plan.home,
        work=plan.work,
        frame=frame,
        arm=arm,
        model=MODELS[0] if arm == THINNED else arm,
        seed=seed,
        segments=look_up("frame", frame, SEGMENTS),
        negative_ratio=NEGATIVE_RATIO if arm == THINNED else 1.0,
        max_rows=plan.max_rows,
        with_bins=seed == plan.first_seed,
    )


def summarise(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield a row per frame and arm: means with 95 % intervals over the seeds.

    ``ece_*`` are debiased.  ``ece_largest`` is the largest of the seeds as served,
    ``ece_perfect_high`` the mean upper end of what perfectly calibrated models show.
    """
    for frame, arm in dict.fromkeys((row["frame"], row["arm"]) for row in rows):
        own = [row for row in rows if (row["frame"], row["arm"]) == (frame, arm)]
        worst = max(own, key=lambda row: abs(row.get("worst_z", 0.0)))
        yield {
            "frame": frame,
            "arm": arm,
            "n_seeds": len(own),
            "n_rows": own[0]["n_rows"],
            "curves": ", ".join(sorted({row["curve"] for row in own})),
            **{name: _estimate(own, name) for name in _ESTIMATED},
            "ece_largest": max(row["ece_served"] for row in own),
            "ece_perfect_high": _mean_high(own, "ece_perfect"),
            "n_segments": own[0]["n_segments"],
            "worst_segment": worst.get("worst_segment"),
            "worst_ratio": worst.get("worst_ratio"),
            "cold_rows": own[0].get("cold_rows"),
            "cold_ece_perfect_high": _mean_high(own, "cold_ece_perfect"),
        }


def calibration_targets(rows: Sequence[Row]) -> Iterator[Target]:
    """Yield what is asked where test has enough rows: a debiased ECE under 0.01 in every seed."""
    for one in summarise(rows):
        if one["n_rows"] >= ENOUGH_ROWS:
            name = f"{one['frame']}, {one['arm']}: debiased ECE, largest of the seeds"
            yield Target.of(name, one["ece_largest"], "<", 0.01)


def _estimate(rows: Sequence[Row], name: str) -> Any:
    values = [row[name] for row in rows if row.get(name) is not None]
    return seed_estimate(values) if values else None


def _mean_high(rows: Sequence[Row], name: str) -> float | None:
    highs = [row[name][2] for row in rows if name in row]
    return sum(highs) / len(highs) if highs else None
