"""Arms: deep stages forked from one warm checkpoint, that differ in a few settings and the seed.

The two-sided part of the warm run is frozen, so that all arms search the same item vectors
and nothing but the deep score differs; an arm keeps the weights of its last step, so that
validation chooses nothing inside an arm and may choose among the arms.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.bench.form import Row
from training.bench.measure import measure
from training.data import Split
from training.determinism import StopFlag, stop_on_interrupt
from training.loop_settings import NEVER
from training.model import check_recipe
from training.recipe import Recipe, load_recipe
from training.resuming import newest_matcher
from training.run_folder import RunFile, open_run, read_run
from training.splits import SplitSpec, load_split
from training.trainer import RunOptions, Trainer, stage_file
from training.validation import training_validator
from vizsla.cli_output import say
from vizsla.datasets import resolve
from vizsla.errors import DataError, TrainingError, UsageError
from vizsla.models.recommender.base import Matcher

__all__ = ["DEEP_ONLY", "Arm", "Fork"]

DEEP_ONLY: Mapping[str, Any] = {
    "stage2.epochs": 1,
    "stage2.trained": ["attention.", "score_net."],
    "stage2.joint_targets": 0,
    "stage2.two_sided_weight": 0.0,
    "stage2.negatives.n_negatives": 0,
    "stage2.validate_every": NEVER,
    "stage3.epochs": 0,
}
"""Settings over those of the warm run: its stage 2, short, and for the deep score alone."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to train the deep score.

    Attributes:
        name: Unique within a study.
        assignments: Dotted recipe settings that make it differ from the others.
    """

    name: str
    assignments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fork:
    """An arm to train and to measure; callable, and fit to be sent to another process.

    Attributes:
        run: Folder of a finished ``vizsla train``: data, recipe and stage 1 are taken from it.
        arm: What differs.
        seed: Of batches, negatives and queries.
        out: Folder of the arm's run.
        home: Where datasets are.
        assignments: Recipe settings of all arms.
        max_queries: Queries of each part, a sample of the seed's own; 0 for all.
        cpu_minutes: Processor time of the training since its start (or resumption), after which
            it ends where it is.
        fresh: Begin again even if the folder holds an unfinished run.
    """

    run: Path
    arm: Arm
    seed: int
    out: Path
    home: Path
    assignments: Mapping[str, Any] = field(default_factory=dict)
    max_queries: int = 0
    cpu_minutes: float = 10.0
    fresh: bool = False

    def __call__(self) -> list[Row]:
        """Train, measure, and throw the weights away.

        Raises:
            UsageError: ``run`` is no run of ``vizsla train``, or ``out`` holds another arm.
            TrainingError: The loss diverged, or the training was stopped.
        """
        recipe, split, warm = self._open()
        say(f"{self.out.name}: training")
        open_run(self.out, warm, resume=True, fresh=self.fresh)
        started_s = time.process_time()
        matcher = self._train(recipe, split)
        row: Row = {"dataset": split.name, "arm": self.arm.name, "seed": self.seed}
        row["cpu_s"] = round(time.process_time() - started_s, 1)
        row |= measure(matcher, split, self.max_queries, self.seed)
        self._clean()
        return [row]

    def _open(self) -> tuple[Recipe, Split, RunFile]:
        """Read the warm run's data and recipe, and describe the arm's run."""
        warm = read_run(self.run)
        if warm is None:
            raise UsageError(f"{self.run} is no run of `vizsla train`: there is no run.json in it")
        settings = {**warm.recipe, **DEEP_ONLY, **self.assignments, **self.arm.assignments}
        recipe = load_recipe("matcher", (), settings)  # every setting of it is the run's own
        split = load_split(resolve(warm.dataset, self.home), SplitSpec.model_validate(warm.split))
        if split.content_hash != warm.content_hash:
            raise DataError(f"{warm.dataset}: not the data that {self.run} was trained on")
        check_recipe(recipe, split)
        own = {"recipe": recipe.model_dump(mode="json"), "seed": self.seed, "result": None}
        return recipe, split, warm.model_copy(update={**own, "warm_start": str(self.run.resolve())})

    def _train(self, recipe: Recipe, split: Split) -> Matcher:
        """Return the trained matcher; one that ran out of time keeps the weights it has."""
        flag, end_s = StopFlag(), time.process_time() + 60.0 * self.cpu_minutes
        options = RunOptions(
            out=self.out,
            seed=self.seed,
            resume=True,
            warm_start=self.run,
            should_stop=lambda: flag.is_set or time.process_time() > end_s,
        )
        validate = training_validator(split, recipe.validation_queries, self.seed)
        with stop_on_interrupt(flag):
            matcher = Trainer(recipe, split, options, validate).run()
        if flag.is_set:
            raise TrainingError(f"{self.out}: stopped; run the same command to go on")
        return matcher or self._unfinished(recipe, split)

    def _unfinished(self, recipe: Recipe, split: Split) -> Matcher:
        matcher = newest_matcher(recipe, split, self.seed, self.out)
        if matcher is None:
            raise TrainingError(f"{self.out}: no step in {self.cpu_minutes:g} minutes")
        return matcher

    def _clean(self) -> None:
        """Keep settings and log; the weights of many arms would fill a disk."""
        shutil.rmtree(self.out / "checkpoint", ignore_errors=True)
        for path in (stage_file(self.out, stage) for stage in range(3)):
            path.unlink(missing_ok=True)
