"""``vizsla bench training --preset bns``: every negative sampler on the papers' backbones.

Two steps.  A *selection* run per arm trains on nine tenths of the training part and finds the
epoch with the best NDCG@20 on the rest; *runs*, one per seed, train on all of it and are
reported at the last epoch and at that one.  Nothing is ever chosen on test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from training.backbone_trainer import BackboneTrainer, backbone_figures
from training.baselines import BASELINES
from training.baselines.base import Baseline, baseline_top_k, recommendation_histories
from training.baselines.tuning import fit_best
from training.bench.bns_arms import ARMS, DEFAULT_ARM, TABLES, Arm, Table
from training.bench.bns_data import StudyData, study_data
from training.bench.bns_plots import plot_bns
from training.bench.bns_report import (
    COLUMNS,
    METRICS,
    PRINTED,
    QUALITY,
    bns_targets,
    chosen_variant,
    summarise,
)
from training.bench.bns_separation import SeparationJob
from training.bench.form import BenchFile, Row
from training.bench.reference import ReferenceRule, train_reference
from training.bench.training import TrainingPlan, Verdict
from training.data import EvalCases, Split
from training.metrics import evaluate_ranking
from training.samplers.base import SamplerData
from training.sampling_quality import QualityMeter
from training.trainer import RunOptions
from training.validation import PerQuery
from vizsla.cli_output import say
from vizsla.datasets import resolve
from vizsla.errors import TrainingError, UsageError
from vizsla.models.recommender.backbones import Backbone, BackboneConfig
from vizsla.models.recommender.mf import MatrixFactorisation
from vizsla.registry import look_up
from vizsla.rng import derive_seed

__all__ = ["KS", "Job", "run_arm", "run_bns"]

KS = (5, 10, 20)
Floats = NDArray[np.float64]
CHOSEN_BY = "ndcg_at_20"


@dataclass(frozen=True, slots=True)
class Job:
    """One run in a process of its own."""

    dataset: str
    arm: str
    seed: int
    table: Table
    home: Path
    chosen_epoch: int | None = None

    @property
    def is_selection(self) -> bool:
        """Whether it looks at validation, to choose an epoch."""
        return self.chosen_epoch is None

    def __call__(self) -> list[Row]:
        """Train and look; an arm that diverges is a result too, and must not stop the others."""
        data = study_data(self.dataset, lambda name: resolve(name, self.home))
        try:
            return [run_arm(self, data)]
        except TrainingError as error:
            place: Row = {"dataset": self.dataset, "arm": self.arm, "seed": self.seed}
            return [{"kind": "failed", **place, "reason": str(error)}]


def run_bns(plan: TrainingPlan, file: BenchFile) -> Verdict:
    """Run all selections, then all runs, look at the order relation, and summarise.

    A killed bench goes on: finished steps are in the file.

    Raises:
        UnknownNameError: No such dataset or arm.
        UsageError: An option that belongs to other presets.
        NotFoundError: A dataset has not been fetched.
    """
    if plan.runs or plan.assignments:
        raise UsageError("preset bns trains its own arms from the start: leave out --run and --set")
    tables = {dataset: _table(plan, dataset) for dataset in plan.datasets or TABLES}
    selections = {
        f"{dataset}/{arm}/selection": Job(dataset, arm, 0, table, plan.home)
        for dataset, table in tables.items()
        for arm in table.arms
        if ARMS[arm].engine != "baseline"
    }
    file.steps(selections, plan.workers)
    chosen = {
        (row["dataset"], row["arm"]): row["epoch"]
        for row in file.result.rows
        if row["kind"] == "selection"
    }
    runs = {
        f"{dataset}/{arm}/{seed}": Job(
            dataset, arm, seed, table, plan.home, chosen.get((dataset, arm), table.epochs)
        )
        for dataset, table in tables.items()
        for arm in table.arms
        for seed in _seeds(plan, table, arm)
    }
    looks = {
        f"{dataset}/{DEFAULT_ARM}/separation": SeparationJob(dataset, DEFAULT_ARM, table, plan.home)
        for dataset, table in tables.items()
        if dataset in SEPARATED and DEFAULT_ARM in table.arms
    }
    file.steps({**runs, **looks}, plan.workers)
    for picture in plot_bns(file.result.rows, file.path):
        say(f"picture: {picture}")
    for row in file.result.rows:
        if row["kind"] == "failed":
            say(f"{row['step']} failed: {row['reason']}")
    say(f"variant of bns that validation prefers: {chosen_variant(file.result.rows)}")
    summary = summarise(file.result.rows)
    return Verdict(bns_targets(summary, file.result.rows), COLUMNS, summary, PRINTED)


SEPARATED = ("ml-100k",)
"""Datasets on which the order relation is looked at."""


def _table(plan: TrainingPlan, dataset: str) -> Table:
    """Return a dataset's part of the bench, as far as it is wanted."""
    own = look_up("dataset of this bench", dataset, TABLES)
    for arm in plan.arms:
        look_up("arm", arm, ARMS)
    wanted = tuple(arm for arm in own.arms if not plan.arms or arm in plan.arms)
    epochs = plan.epochs or own.epochs
    return replace(own, arms=wanted, epochs=epochs, every=_divisor(epochs, own.every))


def _divisor(epochs: int, most: int) -> int:
    """Return the largest divisor up to ``most``, so that the last look is at the last epoch.

    Example:
        >>> _divisor(100, 5), _divisor(7, 5), _divisor(3, 5)
        (5, 1, 3)
    """
    return max(every for every in range(1, most + 1) if epochs % every == 0)


def _seeds(plan: TrainingPlan, table: Table, arm: str) -> range:
    """Return the seeds of an arm; counting has no chance, and a reference needs fewer."""
    engine = ARMS[arm].engine
    if engine == "baseline":
        return range(1)
    return plan.seeds(min(table.seeds, REFERENCE_SEEDS) if engine == "reference" else table.seeds)


REFERENCE_SEEDS = 3


def run_arm(job: Job, data: StudyData) -> Row:
    """Train one arm once, and return what the table needs of it."""
    arm = ARMS[job.arm]
    split = data.selection if job.is_selection else data.full
    cases = split.validation if job.is_selection else split.test
    look = _Look(cases)
    if arm.engine == "baseline":
        look.add(job.table.epochs, _counted(arm.sampler, data, split, cases))
    elif arm.engine == "reference":
        _refer(arm, split, job, look)
    else:
        _train(arm, split, data, job, look)
    row: Row = {
        "kind": "selection" if job.is_selection else "run",
        "dataset": job.dataset,
        "arm": job.arm,
        "seed": job.seed,
    }
    return row | look.result(job.chosen_epoch)


@dataclass(slots=True)
class _Look:
    """The figures of a run at some epochs, and the quality of its draws."""

    cases: EvalCases
    curve: list[Row] = field(default_factory=list)

    def add(
        self, epoch: int, figures: PerQuery, quality: Mapping[str, float] | None = None
    ) -> None:
        """Keep the means after an epoch."""
        row: Row = {"epoch": epoch, **(quality or {})}
        row |= {name: float(figures[name].mean()) for name in METRICS}
        self.curve.append({key: _rounded(value) for key, value in row.items()})

    def result(self, chosen_epoch: int | None) -> Row:
        """Return the row: the best epoch of a selection, or both epochs of a run."""
        if chosen_epoch is None:
            best = max(self.curve, key=lambda row: row[CHOSEN_BY])
            return {"epoch": best["epoch"], CHOSEN_BY: best[CHOSEN_BY], "curve": self._short()}
        final = self.curve[-1]
        selected = next((r for r in self.curve if r["epoch"] == chosen_epoch), final)
        quality = {
            name: _rounded(float(np.mean([row[name] for row in self.curve])))
            for name in QUALITY
            if all(row.get(name) is not None for row in self.curve)
        }
        return {
            "selected_epoch": selected["epoch"],
            "final": {name: final[name] for name in METRICS},
            "selected": {name: selected[name] for name in METRICS},
            **quality,
            "curve": self._short(),
        }

    def _short(self) -> list[Row]:
        kept = ("epoch", CHOSEN_BY, "precision_at_5", *QUALITY)
        return [{key: row[key] for key in kept if key in row} for row in self.curve]


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(value, 5)


def _train(arm: Arm, split: Split, data: StudyData, job: Job, look: _Look) -> None:
    hidden = data.hidden(split)
    seed = derive_seed(job.seed, job.dataset)
    known = replace(SamplerData.from_split(split, seed), user_codes=data.user_codes, hidden=hidden)
    meter = QualityMeter(hidden, data.certified)
    recipe = arm.backbone_recipe(job.table.epochs, job.table.batch_size, job.table.every)

    def validate(model: Backbone) -> dict[str, float]:
        epoch = (len(look.curve) + 1) * job.table.every
        look.add(epoch, backbone_figures(model, look.cases, KS), meter.take().figures())
        return {"epoch": float(epoch)}

    with TemporaryDirectory() as folder:
        options = RunOptions(Path(folder), seed=seed, threads=1)
        BackboneTrainer(recipe, split, options, data=known, watch=meter).run(validate)


def _refer(arm: Arm, split: Split, job: Job, look: _Look) -> None:
    rule = cast(ReferenceRule, arm.sampler)
    model = MatrixFactorisation(len(split.users), split.n_items, BackboneConfig())

    def after(epoch: int, users: Floats, items: Floats) -> None:
        if epoch % job.table.every == 0:
            model.users.data = torch.from_numpy(users).float()
            model.items.data = torch.from_numpy(items).float()
            look.add(epoch, backbone_figures(model, look.cases, KS))

    train_reference(
        split.train,
        split.n_items,
        rule,
        epochs=job.table.epochs,
        seed=job.seed,
        after_epoch=after,
    )


def _counted(name: str, data: StudyData, split: Split, cases: EvalCases) -> PerQuery:
    """Fit with the settings that the selection split's validation prefers, and rank."""
    settings = fit_best(name, data.selection).settings
    baseline: Baseline = BASELINES.load(name)(**settings)
    baseline.fit(split)
    histories = recommendation_histories(split, cases)
    return evaluate_ranking(
        baseline_top_k(baseline, cases, max(KS), histories=histories), cases.targets, KS
    )
