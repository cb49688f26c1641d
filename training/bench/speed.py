"""``vizsla bench training --preset speed``: training throughput against public libraries, sampler cost.

Rival and own trainer take turns, each several times, so that a busy machine slows both; a figure
is the median over the turns, and a ratio is taken within a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median

from training.bench.form import BenchFile, Row, Target
from training.bench.own_speed import train_own
from training.bench.rival_env import rival_python, speed_rivals
from training.bench.rival_run import EpochTime, Pairs, run_rival
from training.bench.rivals.drive import Job
from training.bench.sampler_cost import SIZES, CostSettings, cost_rows, cost_targets
from training.bench.training import TrainingPlan, Verdict
from training.data import Split
from training.splits import SplitSpec, load_split
from vizsla.cli_output import say
from vizsla.datasets import resolve
from vizsla.registry import look_up

__all__ = [
    "CASES",
    "COLUMNS",
    "OurTrainer",
    "SpeedCase",
    "SpeedPlan",
    "compare_speed",
    "run_speed",
    "speed_targets",
]

OurTrainer = Callable[[Split, Job], Sequence[EpochTime]]
"""Trains on the training part of a split and times every epoch."""

COLUMNS = (
    "system",
    "version",
    "model",
    "dataset",
    "batch_size",
    "interactions_per_s",
    "interactions_per_s_low",
    "interactions_per_s_high",
    "epoch_s",
    "last_loss",
    "ours_over_it",
    "cpu_ms_per_batch",
    "over_dns",
)

OURS = "vizsla"
LEAST_RATIO = 2.0
RIVALS: Mapping[str, tuple[str, ...]] = {
    "bpr-mf": ("recbole", "implicit"),
    "lightgcn": ("recbole",),
}
JUDGED = "recbole"
"""The rival that computes the same: the same batches, the same Adam, one negative each."""

SETTINGS = Job(
    system="",
    model="",
    pairs="",
    n_users=0,
    n_items=0,
    embedding_size=64,
    batch_size=2048,
    epochs=0,
    max_batches=0,
    learning_rate=1e-3,
    reg=0.0,
    n_layers=3,
    threads=1,
    seed=0,
)
"""RecBole's defaults, with the three layers of LightGCN's paper."""

OWN_SETTINGS: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("lightgcn", JUDGED): {"reg": 1e-5},
    ("lightgcn", OURS): {"reg": 1e-5},
    ("bpr-mf", "implicit"): {"learning_rate": 0.05},  # plain descent, a step per pair
}

SPLITS: Mapping[str, SplitSpec] = {
    "ml-100k": SplitSpec(method="user_ratio", test_ratio=0.2, validation_ratio=0.0),
    "ml-1m": SplitSpec(method="user_ratio", test_ratio=0.2, validation_ratio=0.0),
    "gowalla": SplitSpec(method="given", validation_ratio=0.0),
}


@dataclass(frozen=True, slots=True)
class SpeedCase:
    """One comparison.

    Attributes:
        model: ``bpr-mf`` or ``lightgcn``.
        dataset: Name in ``SPLITS``.
        epochs: Timed epochs; one before them warms up.
        max_batches: Batches of an epoch; 0 for all.
    """

    model: str
    dataset: str
    epochs: int
    max_batches: int = 0


CASES = (
    SpeedCase("bpr-mf", "ml-100k", epochs=5),
    SpeedCase("bpr-mf", "ml-1m", epochs=2),
    SpeedCase("bpr-mf", "gowalla", epochs=2),
    SpeedCase("lightgcn", "ml-100k", epochs=2),
    SpeedCase("lightgcn", "ml-1m", epochs=2, max_batches=10),
    SpeedCase("lightgcn", "gowalla", epochs=2, max_batches=10),
)


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """What to compare.

    Attributes:
        home: Where datasets and the environment of the rivals are.
        cases: Comparisons.
        costs: How sampling is timed.
        repeats: Turns of every system.
        threads: Of every system.
        seed: Of all draws.
        ours: Our trainer.
    """

    home: Path
    cases: tuple[SpeedCase, ...] = CASES
    costs: CostSettings = field(default_factory=CostSettings)
    repeats: int = 3
    threads: int = 1
    seed: int = 0
    ours: OurTrainer = train_own


def run_speed(plan: TrainingPlan, file: BenchFile) -> Verdict:
    """Run the preset ``speed``: everything in turns in this process, one thread each."""
    for dataset in plan.datasets:
        look_up("dataset of this bench", dataset, SPLITS)
    cases = tuple(case for case in CASES if not plan.datasets or case.dataset in plan.datasets)
    own = SpeedPlan(plan.home, cases, repeats=len(plan.seeds()), seed=plan.first_seed)
    return Verdict(compare_speed(own, file), COLUMNS)


def compare_speed(plan: SpeedPlan, file: BenchFile) -> list[Target]:
    """Measure throughput and sampler cost; a killed bench goes on after the last finished step.

    Raises:
        RivalEnvironmentError: The rivals could not be installed.
        NotFoundError: A dataset has not been fetched.
    """
    for case in plan.cases:
        file.step(f"{case.model}/{case.dataset}", partial(_compare, plan, case))
    costs = replace(plan.costs, threads=plan.threads, seed=plan.seed)
    for size in SIZES:
        file.step(f"sampler/{size.n_items}", partial(cost_rows, size, costs))
    return speed_targets(file.result.rows)


def speed_targets(rows: Sequence[Row]) -> list[Target]:
    """Judge the throughput by RecBole's, and the cost of ``bns`` by that of ``dns``."""
    ratios = [
        Target.of(
            f"{row['model']} on {row['dataset']}: interactions per second, ours over RecBole's",
            row["ours_over_it"],
            ">=",
            LEAST_RATIO,
        )
        for row in rows
        if row["system"] == JUDGED
    ]
    return [*ratios, *cost_targets(rows)]


def _compare(plan: SpeedPlan, case: SpeedCase) -> list[Row]:
    split = load_split(resolve(case.dataset, plan.home), SPLITS[case.dataset])
    python = rival_python(plan.home / "rivals", speed_rivals())
    pairs = _pairs(split)
    times: dict[str, list[list[EpochTime]]] = {s: [] for s in (*RIVALS[case.model], OURS)}
    for turn in range(plan.repeats):
        for system, found in times.items():
            job = _job(plan, case, system, split)
            say(f"{case.model} on {case.dataset}, turn {turn + 1} of {plan.repeats}: {system}")
            own = plan.ours(split, job) if system == OURS else run_rival(python, job, pairs)
            found.append(list(own[1:]))  # the first epoch warms up
    return [_row(plan, case, system, times, len(pairs.users)) for system in times]


def _pairs(split: Split) -> Pairs:
    keys = split.train.keys(split.n_items)
    return Pairs(keys // split.n_items, keys % split.n_items)


def _job(plan: SpeedPlan, case: SpeedCase, system: str, split: Split) -> Job:
    job = replace(
        SETTINGS,
        system=system,
        model=case.model,
        n_users=len(split.train),
        n_items=split.n_items,
        epochs=case.epochs + 1,
        max_batches=case.max_batches,
        threads=plan.threads,
        seed=plan.seed,
    )
    return replace(job, **OWN_SETTINGS.get((case.model, system), {}))  # type: ignore[arg-type]


def _row(
    plan: SpeedPlan,
    case: SpeedCase,
    system: str,
    times: Mapping[str, Sequence[Sequence[EpochTime]]],
    n_pairs: int,
) -> Row:
    rates, ours = _rates(times[system]), _rates(times[OURS])
    ratios = [own / rate for own, rate in zip(ours, rates, strict=True)]
    last = times[system][-1][-1]
    return {
        "kind": "training",
        "system": system,
        "version": last.version,
        "model": case.model,
        "dataset": case.dataset,
        "n_pairs": n_pairs,
        "batch_size": None if system == "implicit" else SETTINGS.batch_size,
        "embedding_size": SETTINGS.embedding_size,
        "threads": plan.threads,
        "interactions_per_s": median(rates),
        "interactions_per_s_low": min(rates),
        "interactions_per_s_high": max(rates),
        "epoch_s": n_pairs / median(rates),
        "timed_batches": case.max_batches or None,
        "last_loss": last.loss,
        "ours_over_it": None if system == OURS else median(ratios),
        "ours_over_it_low": None if system == OURS else min(ratios),
        "ours_over_it_high": None if system == OURS else max(ratios),
        "epochs": [epoch._asdict() for turn in times[system] for epoch in turn],
    }


def _rates(turns: Sequence[Sequence[EpochTime]]) -> list[float]:
    """Return the median rate of every turn."""
    return [median(epoch.rate for epoch in turn) for turn in turns]
