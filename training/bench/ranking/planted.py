"""Preset ``planted``: does the search find what ``synthetic-ctr`` has planted?

Every seed draws a frame of its own: other click model, other rows, other weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import spearmanr

from training.bench.form import BenchFile, Row, Target
from training.bench.ranking.arms import RAZOR, ArmJob
from training.bench.ranking.plan import RankingPlan
from training.bench.training import Verdict
from training.ctr.settings import RankerSettings
from training.razor.settings import PruneSettings, RazorSettings
from vizsla.datasets.frames import fetch_frame, read_frame, resolve_frame
from vizsla.datasets.frames.synthetic import BAYES_FILE, SOURCE, SyntheticCtrOptions
from vizsla.errors import UsageError

__all__ = ["run_planted"]

COLUMNS = (
    "frame",
    "arm",
    "seed",
    "noise_dropped",
    "redundant_dropped",
    "informative_kept",
    "dim_correlation",
    "auc",
    "bayes_auc",
    "parameter_ratio",
    "search_passes",
)
ARMS = ("full", RAZOR, "magnitude")
ROWS = 4_000_000
SEEDS = 3
FIRST_SEED = 4
"""The settings below were chosen on frames before; the command's default, 0, means this one."""

# products of two fields are what an FM part sees at once, and a perceptron after many rows
_RANKER = RankerSettings(model="deepfm", epochs=2, model_settings={"hidden": [128, 64]})
_RAZOR = RazorSettings(backbone="deepfm")
_CUT = PruneSettings(rule="expected", threshold=0.9)
_BUDGET_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class PlantedJob:
    """One arm on one frame, and how much of what was planted it has found."""

    arm: ArmJob

    def __call__(self) -> list[Row]:
        """Train it, and compare its widths with the planted dimensions."""
        folder = resolve_frame(self.arm.frame, self.arm.home)
        planted = read_frame(folder).manifest.planted
        best = json.loads((folder / BAYES_FILE).read_bytes())["auc"]
        return [row | found(planted, row["widths"]) | {"bayes_auc": best} for row in self.arm()]


def found(planted: dict[str, int], widths: dict[str, int]) -> Row:
    """Return the shares of fields of each kind that were treated rightly.

    Args:
        planted: Field to the dimensions that it needs; 0 for redundant and noise fields.
        widths: Field to the columns that it was given.
    """
    kept = {name: width > 0 for name, width in widths.items()}
    useful = [name for name, dim in planted.items() if dim]
    return {
        "noise_dropped": _share(not kept[name] for name in planted if name.startswith("noise")),
        "redundant_dropped": _share(
            not kept[name] for name in planted if name.startswith("redundant")
        ),
        "informative_kept": _share(kept[name] for name in useful),
        "dim_correlation": _correlation(
            [planted[name] for name in useful], [widths[name] for name in useful]
        ),
    }


def run_planted(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Draw frames, search them, and judge what was found."""
    if 0 < plan.first_seed < FIRST_SEED:
        raise UsageError(
            f"--seed {plan.first_seed}: the settings were chosen on frames below {FIRST_SEED}"
        )
    plan = replace(plan, first_seed=plan.first_seed or FIRST_SEED)
    jobs = {}
    for seed in plan.seeds(SEEDS):
        name = f"synthetic-ctr-{seed}"
        options = SyntheticCtrOptions(rows=ROWS, seed=seed)
        fetch_frame(SOURCE.name, plan.work, options=options, out=name)
        for arm in plan.arms or ARMS:
            jobs[f"{name} {arm}"] = PlantedJob(_arm(plan, name, arm, seed))
    file.steps(jobs, plan.workers)
    rows = list(_with_passes(file.result.rows))
    return Verdict(list(planted_targets(rows)), COLUMNS, rows)


def planted_targets(rows: Sequence[Row]) -> Iterator[Target]:
    """Yield what the razor has to find, on average over the frames."""
    mine = [row for row in rows if row["arm"] == RAZOR]
    if not mine:
        return
    for figure, least in (
        ("noise_dropped", 0.95),
        ("informative_kept", 0.99),
        ("dim_correlation", 0.8),
    ):
        yield Target.of(figure, float(np.mean([row[figure] for row in mine])), ">=", least)
    passes = [row["search_passes"] for row in mine if "search_passes" in row]
    yield Target.of("search, in passes", max(passes, default=None), "<=", 1.3)


def _arm(plan: RankingPlan, frame: str, arm: str, seed: int) -> ArmJob:
    return ArmJob(
        home=plan.work,
        work=plan.work,
        frame=frame,
        arm=arm,
        seed=seed,
        budget_ratio=_BUDGET_RATIO,
        max_rows=plan.max_rows,
        ranker=_RANKER,
        razor=_RAZOR,
        cut=_CUT,
    )


def _with_passes(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield rows with the cost of their search in passes of the full model of the same frame."""
    epochs = {row["frame"]: row["epoch_cpu_s"] for row in rows if row["arm"] == "full"}
    for row in rows:
        epoch = epochs.get(row["frame"])
        yield row | ({"search_passes": row["search_cpu_s"] / epoch} if epoch else {})


def _share(flags: Iterator[bool]) -> float | None:
    found = list(flags)
    return sum(found) / len(found) if found else None


def _correlation(planted: Sequence[int], widths: Sequence[int]) -> float:
    """Return Spearman's; 0 where all widths are the same, which tell nothing."""
    if len(set(widths)) < 2:
        return 0.0
    return float(spearmanr(planted, widths).statistic)
