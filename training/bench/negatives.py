"""``--preset negatives``: where the deep score's negatives come from, at an equal number of scores.

Every arm sees the same batches and as many negatives per target. What drawing them costs on
top is in ``cpu_s``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.bench.forks import DEEP_ONLY, Arm
from training.bench.form import BenchFile, Row, Target
from training.bench.measure import columns_of
from training.bench.study import summarise
from training.bench.training import TrainingPlan, Verdict, forks_of

__all__ = ["ARMS", "BNS", "negatives_targets", "run_negatives"]

BNS = "bns"
_SOURCE = "stage2.hard."


def _from(name: str, sampler: str, logq: str, **options: bool | float | str) -> Arm:
    return Arm(
        name,
        {
            f"{_SOURCE}sampler": sampler,
            f"{_SOURCE}logq": logq,
            f"{_SOURCE}score": "two_sided",
            f"{_SOURCE}options": options,
        },
    )


ARMS = (
    _from(BNS, "bns", "off"),
    _from("uniform", "uniform", "off"),
    _from("popularity", "popularity", "negatives"),
    _from("in-batch", "in-batch", "negatives"),
    _from("softmax", "softmax", "negatives"),
)
"""Bayesian negatives by the paper's rule, its rivals, and the recipe's own importance samples."""

BASE = {**DEEP_ONLY, "stage2.hard.n_negatives": 24, "stage2.adversarial.weight": 0.0}

_JUDGED = ("recall_at_20", "ndcg_at_20")
_SHOWN = (*_JUDGED, "proxy_coverage_at_1%")
COLUMNS = (
    "dataset",
    "arm",
    "n_seeds",
    "cpu_s",
    "share",
    *(f"validation_{name}" for name in _SHOWN),
    *(f"test_{name}" for name in _SHOWN),
    *(f"test_{name}_gain_by_query" for name in _SHOWN),
)


def run_negatives(plan: TrainingPlan, file: BenchFile) -> Verdict:
    """Train every arm for every seed on every dataset, and hold all against Bayesian negatives.

    Raises:
        UsageError: A run is none of ``vizsla train``.
    """
    file.steps(forks_of(plan, ARMS, BASE), plan.workers)
    columns = [*columns_of("validation"), *columns_of("test")]
    summary = list(summarise(file.result.rows, [arm.name for arm in ARMS], columns, BNS))
    return Verdict(list(negatives_targets(summary)), COLUMNS, summary)


def negatives_targets(summary: Sequence[Row]) -> Iterator[Target]:
    """Yield whether Bayesian negatives lead each rival on test."""
    for row in summary:
        for name in _JUDGED if row["arm"] != BNS else ():
            found = row.get(f"test_{name}_gain")
            lead = None if found is None else -float(found[0])
            title = f"{row['dataset']}: {name.replace('_at_', '@')}, bns minus {row['arm']}, test"
            yield Target.of(title, lead, ">", 0.0)
