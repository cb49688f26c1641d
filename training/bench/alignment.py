"""``vizsla bench alignment``: what the adversarial task does to search and to accuracy.

Both arms are forked from one warm checkpoint (stage 1 of a run of ``vizsla train``)
with the same seeds, so that they differ in the task alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from graph_index.attach import build_index
from training.bench.form import BenchFile, Row, Target
from training.evaluate import EvaluateSettings, evaluate, open_split
from training.evaluation.results import MATCHER, CurvePoint, Evaluation
from training.pipeline import TrainRequest, train_bundle
from training.provenance import Provenance
from training.run_folder import read_run
from vizsla.bundles import load
from vizsla.cli_output import say
from vizsla.datasets import resolve
from vizsla.errors import TrainingError, UsageError

__all__ = ["ARMS", "COLUMNS", "SHARES", "AlignmentPlan", "alignment_targets", "run_alignment"]

ARMS = ("off", "on")
WEIGHT = "stage2.adversarial.weight"
_RECIPE = "matcher"

SHARES = (0.02, 0.03, 0.05, 0.08, 0.12)
"""Shares of the catalogue at which coverage is read off the curve."""

COLUMNS = (
    "arm",
    "seed",
    "recall_at_20",
    "ndcg_at_20",
    *(f"coverage_at_{share:.0%}_scored" for share in SHARES),
    "proxy_coverage_at_5%_scored",
    "gini",
)

RECALL_KEPT = 0.995
"""The task may cost half a percent of recall, relative."""

JUDGED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class AlignmentPlan:
    """What to train and how to look at it.

    Attributes:
        run: Folder of a finished ``vizsla train``: its data, recipe and stage 1 are taken.
        work: Folder for the runs of the arms.
        seeds: One pair of arms each.
        assignments: Recipe settings over those of the run.
        weight: Of the task in the arm ``on``; 0 takes the recipe's own.
        settings: Of the evaluation.
        home: Where datasets are.
        threads: Torch threads of the training; 0 for one per core.
    """

    run: Path
    work: Path
    seeds: tuple[int, ...]
    assignments: Mapping[str, Any]
    weight: float
    settings: EvaluateSettings
    home: Path
    threads: int = 0


def run_alignment(plan: AlignmentPlan, file: BenchFile, origin: Provenance) -> list[Target]:
    """Train both arms for every seed, one after the other, and compare.

    A killed bench goes on: finished arms are in the file, an unfinished one resumes
    from its checkpoint.

    Raises:
        UsageError: ``plan.run`` is no run of ``vizsla train``.
    """
    for seed in plan.seeds:
        for arm in ARMS:
            file.step(f"{arm}-{seed}", partial(_arm, plan, arm, seed, origin))
    return alignment_targets(file.result.rows)


def alignment_targets(rows: Sequence[Row]) -> list[Target]:
    """Compare the means of the two arms.

    Returns:
        Coverage must not fall, and recall may fall by half a percent of itself.
    """
    coverage = {arm: _mean(rows, arm, f"coverage_at_{JUDGED_SHARE:.0%}_scored") for arm in ARMS}
    recall = {arm: _mean(rows, arm, "recall_at_20") for arm in ARMS}
    return [
        Target.of(
            f"coverage@50 at {JUDGED_SHARE:.0%} of items scored, medoid entry, on minus off",
            coverage["on"] - coverage["off"],
            ">=",
            0.0,
        ),
        Target.of(
            "recall@20 under exhaustive scoring, on over off",
            recall["on"] / recall["off"],
            ">=",
            RECALL_KEPT,
        ),
    ]


def coverage_at_share(curve: Sequence[CurvePoint], series: str, share: float) -> float | None:
    """Read the coverage at a share of items scored off the curve.

    Linear in the logarithm of the share between the two nearest points.

    Returns:
        None where the share lies outside the curve.

    Example:
        >>> points = [
        ...     CurvePoint(series="proxy", beam_width=1, scored_ratio=s, coverage=c, recall=0.1)
        ...     for s, c in ((0.01, 0.8), (0.04, 1.0))
        ... ]
        >>> round(coverage_at_share(points, "proxy", 0.02), 6)
        0.9
    """
    points = sorted((p.scored_ratio, p.coverage) for p in curve if p.series == series)
    if not points or not points[0][0] <= share <= points[-1][0]:
        return None
    shares, coverages = zip(*points, strict=True)
    return float(np.interp(np.log(share), np.log(shares), coverages))


def _arm(plan: AlignmentPlan, arm: str, seed: int, origin: Provenance) -> list[Row]:
    say(f"adversarial task {arm}, seed {seed}")
    out = plan.work / f"{arm}-{seed}"
    _train(plan, arm, seed, out)
    bundle = build_index(load(out), out / "bundles", seed=plan.settings.seed)
    split = open_split(bundle, resolve(bundle.manifest.dataset.name, plan.home))
    found = evaluate(bundle, split, plan.settings, origin)
    return [_row(arm, seed, found)]


def _train(plan: AlignmentPlan, arm: str, seed: int, out: Path) -> None:
    run = read_run(plan.run)
    if run is None:
        raise UsageError(f"{plan.run} is no run of `vizsla train`: there is no run.json in it")
    request = TrainRequest(
        recipe=_RECIPE,  # every setting of it is replaced by the run's own
        dataset_dir=resolve(run.dataset, plan.home),
        out=out,
        seed=seed,
        threads=plan.threads,
        assignments={**run.recipe, **plan.assignments, **_task(plan, arm)},
        resume=read_run(out) is not None,
        warm_start=plan.run,
    )
    if train_bundle(request) is None:
        raise TrainingError(f"{out}: training was stopped; run the same command to go on")


def _task(plan: AlignmentPlan, arm: str) -> dict[str, float]:
    if arm == "off":
        return {WEIGHT: 0.0}
    return {WEIGHT: plan.weight} if plan.weight else {}


def _row(arm: str, seed: int, found: Evaluation) -> Row:
    exhaustive = found.row(MATCHER)
    row: Row = {"arm": arm, "seed": seed, "dataset": found.dataset, "bundle": found.bundle}
    row |= {name: estimate.mean for name, estimate in exhaustive.metrics.items()}
    row |= {"gini": exhaustive.gini, "overlap_ratio": exhaustive.overlap_ratio}
    for share in SHARES:
        medoids = coverage_at_share(found.curve, "medoids", share)
        row[f"coverage_at_{share:.0%}_scored"] = medoids
        row[f"proxy_coverage_at_{share:.0%}_scored"] = coverage_at_share(
            found.curve, "proxy", share
        )
    row["curve"] = [point.model_dump() for point in found.curve]
    return row


def _mean(rows: Sequence[Row], arm: str, column: str) -> float:
    values = [row[column] for row in rows if row["arm"] == arm and row[column] is not None]
    return fmean(values) if values else float("nan")
