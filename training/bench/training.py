"""``vizsla bench training``: what the presets are given, and the table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from training.bench.forks import Arm, Fork
from training.bench.form import BenchFile, Row, Target
from vizsla.errors import UsageError
from vizsla.registry import Registry

__all__ = ["PRESETS", "Preset", "TrainingPlan", "Verdict", "forks_of"]


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What the user asked for, whatever the preset.

    Attributes:
        runs: Dataset name to the folder of a finished ``vizsla train``, for presets that fork.
        work: Folder for the runs of the arms.
        n_seeds: Trainings of every arm; 0 for the preset's own number.
        first_seed: Seeds count from here.
        assignments: Recipe settings over those of a preset.
        workers: Processes, one torch thread each.
        max_queries: Queries per arm of each part; 0 for all.
        cpu_minutes: Bound on the training of an arm.
        home: Where datasets are.
        datasets: Of presets that bring their own; empty for all.
        arms: Names of the arms to train now; empty for all.
        epochs: Of presets that train from the start; 0 for their own number.
        fresh: Begin unfinished arms again.
    """

    runs: Mapping[str, Path]
    work: Path
    n_seeds: int
    assignments: Mapping[str, Any]
    workers: int
    max_queries: int
    cpu_minutes: float
    home: Path
    first_seed: int = 0
    datasets: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    epochs: int = 0
    fresh: bool = False

    def seeds(self, own: int = 3) -> range:
        """Return the seeds of every arm, where a preset has ``own`` by itself."""
        return range(self.first_seed, self.first_seed + (self.n_seeds or own))

    @property
    def kept(self) -> dict[str, Any]:
        """What the rows depend on besides arm and seed: a file of other settings is refused."""
        kept = {
            "runs": {name: str(path) for name, path in self.runs.items()},
            "assignments": dict(self.assignments),
            "max_queries": self.max_queries,
            "cpu_minutes": self.cpu_minutes,
        }
        return kept | ({"epochs": self.epochs} if self.epochs else {})


class Verdict(NamedTuple):
    """What a preset made of its rows.

    Attributes:
        targets: What was asked for.
        columns: Of the summary, to show.
        summary: Rows over the seeds; empty to show the rows of the file themselves.
        printed: Columns for a terminal, where all of them are too many; empty for all.
    """

    targets: Sequence[Target]
    columns: Sequence[str]
    summary: Sequence[Row] = ()
    printed: Sequence[str] = ()


Preset = Callable[[TrainingPlan, BenchFile], Verdict]
"""Adds its rows to the file, draws its pictures beside it, and judges."""

PRESETS = Registry(
    "preset",
    {
        "alignment": "training.bench.alignment:run_alignment",
        "negatives": "training.bench.negatives:run_negatives",
        "bns": "training.bench.bns:run_bns",
        "speed": "training.bench.speed:run_speed",
    },
)
"""Preset to the function that runs it; adding one is a file and a line."""


def forks_of(
    plan: TrainingPlan, arms: Sequence[Arm], base: Mapping[str, Any]
) -> dict[str, Callable[[], list[Row]]]:
    """Return all forks by name, those of an arm together: a study that is cut short has whole arms.

    Args:
        plan: What the user asked for; its settings win over ``base``, an arm's over both.
        arms: In the order in which they are trained.
        base: Settings of all arms.

    Raises:
        UsageError: No run is given, or no arm is wanted.
    """
    if not plan.runs:
        raise UsageError("this preset forks finished runs: give --run DATASET=PATH")
    forks = (
        Fork(
            run=run,
            arm=arm,
            seed=seed,
            out=plan.work / f"{dataset}-{arm.name}-{seed}",
            home=plan.home,
            assignments={**base, **plan.assignments},
            max_queries=plan.max_queries,
            cpu_minutes=plan.cpu_minutes,
            fresh=plan.fresh,
        )
        for arm in arms
        if not plan.arms or arm.name in plan.arms
        for seed in plan.seeds()
        for dataset, run in plan.runs.items()
    )
    found: dict[str, Callable[[], list[Row]]] = {fork.out.name: fork for fork in forks}
    if not found:
        raise UsageError(f"--arm: known: {', '.join(arm.name for arm in arms)}")
    return found
