"""Runs the stages of a recipe, from the start or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training.batches import BatchPlan, BatchSettings, TrainingBatch
from training.checkpoint import Checkpoint
from training.data import Split
from training.determinism import deterministic_torch
from training.epoch_meter import EpochMeter
from training.gradients import Gradients, WholeBatch
from training.held_batches import held_plan
from training.holdout import Holdout, hold_out
from training.joint import stage_objective
from training.loop import LoopHooks, StageLoop
from training.model import new_matcher
from training.objective import NegativeSource, build_sources
from training.optimizers import build_optimizer
from training.plans import Plan, shortened
from training.recipe import Recipe, StageSettings
from training.run_state import RunState, restore_loop
from training.samplers.base import SamplerData
from training.sharding import Place, ShardedGradients, for_shards
from training.team import Alone, Team
from training.validation import Validator
from vizsla.clock import Clock, SystemClock
from vizsla.errors import IncompatibleArtifactError, UsageError
from vizsla.files import atomic_path
from vizsla.models.recommender.base import Matcher
from vizsla.rng import derive_seed, numpy_generator, torch_generator

__all__ = ["RunOptions", "Trainer", "stage_file"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How to run, as opposed to what to learn.

    Attributes:
        out: The run's folder.
        seed: Fixes everything random.
        threads: Torch threads.
        resume: Go on from the newest checkpoint if there is one.
        warm_start: Folder of another run whose first stage is taken instead of trained.
        should_stop: Asked after every step.
        clock: Tells the time.
        team: The processes that train together; this one alone unless said otherwise.
    """

    out: Path
    seed: int = 0
    threads: int = 1
    resume: bool = False
    warm_start: Path | None = None
    should_stop: Callable[[], bool] = lambda: False
    clock: Clock = field(default_factory=SystemClock)
    team: Team = field(default_factory=Alone)


def stage_file(out: Path, stage: int) -> Path:
    """Return where the weights of a finished stage (from 0) are kept."""
    return out / f"stage{stage + 1}.safetensors"


class Trainer:
    """Trains a matcher by a recipe.

    Args:
        recipe: What to learn.
        split: The data.
        options: How to run.
        validate: Ranks the validation queries.
    """

    def __init__(
        self, recipe: Recipe, split: Split, options: RunOptions, validate: Validator
    ) -> None:
        self.recipe = recipe
        self.split = split
        self.options = options
        self._validate = validate
        self._team = options.team
        self.state = RunState(options.out, writes=self._writes)
        self._stages = recipe.stages
        self._holdout = self._hold_out()

    def run(self) -> Matcher | None:
        """Train all stages.

        Returns:
            The matcher with the best weights of the last stage, in evaluation mode;
            None when it was asked to stop: a checkpoint is then written.

        Raises:
            TrainingError: The loss is not finite or has exploded.
            CorruptArtifactError: The checkpoint to resume from cannot be read.
            UsageError: The data leaves nothing to train on.
        """
        self.options.out.mkdir(parents=True, exist_ok=True)
        with deterministic_torch(self.options.seed, self.options.threads):
            return self._run(new_matcher(self.recipe, self._data(0), self.options.seed))

    @property
    def _writes(self) -> bool:
        """Whether this process is the one that logs and writes."""
        return self._team.rank == 0

    def _hold_out(self) -> Holdout | None:
        """Keep a part of the data from stage 1, the same for all seeds of a warm start's forks."""
        ratio = self.recipe.holdout_ratio if self.recipe.stage2.epochs else 0.0
        if not ratio:
            return None
        generator = numpy_generator(self.recipe.holdout_seed, "holdout")
        return hold_out(self.split.train, ratio, generator, ordered=self.split.order != "none")

    def _data(self, stage: int) -> Split:
        """Return what a stage may see; the first one, and the item vectors' start, less."""
        if stage or self._holdout is None:
            return self.split
        return replace(self.split, train=self._holdout.kept)

    def _run(self, matcher: Matcher) -> Matcher | None:
        found = self.state.open(resume=self.options.resume)
        if found is not None:
            matcher.load_state_dict(found.group("model"))
        elif self.options.warm_start is not None:
            self._warm_start(matcher, self.options.warm_start)
        self._team.align(matcher.state_dict().values(), self.state.counters.serial)
        for stage in range(self.state.counters.stage, len(self._stages)):
            if not self._stage(matcher, stage, found):
                return None
            found = None
        return matcher.eval()

    def _warm_start(self, matcher: Matcher, source: Path) -> None:
        """Take the first stage of another run as done."""
        path = stage_file(source, 0)
        if not path.is_file():
            raise UsageError(
                f"--warm-start {source}: no {path.name} there: not a run with a stage 1"
            )
        try:
            matcher.load_state_dict(load_file(path))
        except RuntimeError as error:
            raise IncompatibleArtifactError(
                f"--warm-start {path}: weights of another model or dataset"
            ) from error
        self._keep_stage(matcher, 0)
        self.state.counters.next_stage()

    def _stage(self, matcher: Matcher, stage: int, found: Checkpoint | None) -> bool:
        settings = self._stages[stage]
        generator = torch_generator(self.options.seed, "global", stage)
        torch.random.set_rng_state(generator.get_state())
        if not settings.epochs:
            self.state.counters.next_stage()
            return True
        loop, sources = self._build(matcher, stage)
        if found is not None:
            restore_loop(found, loop, sources)
        if not loop.run():
            return False
        self._keep_stage(matcher, stage)
        self.state.counters.next_stage()
        self.state.save({"model": matcher.state_dict()})
        return True

    def _build(
        self, matcher: Matcher, stage: int
    ) -> tuple[StageLoop[TrainingBatch], list[NegativeSource]]:
        settings, seed = self._stages[stage], derive_seed(self.options.seed, "stage", stage)
        data = SamplerData.from_split(self._data(stage), seed)
        sources = build_sources(settings, data, seed)
        loop = StageLoop(
            matcher,
            settings,
            _optimizer(matcher, settings),
            self._plan(stage, seed),
            self._gradients(matcher, settings, sources, seed),
            self.state.counters,
            self._hooks(
                lambda: self.state.save_loop(loop, sources),
                lambda: self._validate(matcher, settings.head),
            ),
        )
        return loop, sources

    def _gradients(
        self,
        matcher: Matcher,
        settings: StageSettings,
        sources: list[NegativeSource],
        seed: int,
    ) -> Gradients[TrainingBatch]:
        n_shards, counters = self.recipe.shards, self.state.counters
        if not n_shards:
            return WholeBatch(stage_objective(matcher, settings, sources))
        sharded = ShardedGradients(
            matcher,
            stage_objective(matcher, for_shards(settings, n_shards), sources),
            sources,
            n_shards,
            seed,
            lambda: Place(counters.epoch, counters.batch),
            self._team,
        )
        return EpochMeter(sharded, self._team, self.state.log, self.options.clock)

    def _plan(self, stage: int, seed: int) -> Plan[TrainingBatch]:
        settings = self._stages[stage]
        sizes = BatchSettings(
            settings.batch_size,
            self.recipe.max_history,
            settings.targets_per_sequence,
            settings.stride or None,
            settings.split_ratio,
        )
        held = self._holdout if stage == 1 else None
        plan: Plan[TrainingBatch] = (
            BatchPlan(self._data(stage), sizes, seed, "batches")
            if held is None
            else held_plan(self.split, held, sizes, seed)
        )
        if not plan.n_batches:
            raise UsageError(
                f"{self.split.name}: no user has two training interactions: nothing to learn from"
            )
        return shortened(plan, settings.max_batches)

    def _hooks(
        self, save: Callable[[], None], validate: Callable[[], dict[str, float]]
    ) -> LoopHooks:
        team = self._team
        return LoopHooks(
            save,
            lambda: self.state.newest,
            lambda: team.told(validate),
            lambda: team.any(mine=self.options.should_stop()),
            self.state.log,
            self.options.clock,
            60.0 * self.recipe.checkpoint_minutes,
            self.recipe.log_every,
        )

    def _keep_stage(self, matcher: Matcher, stage: int) -> None:
        if not self._writes:
            return
        with atomic_path(stage_file(self.options.out, stage)) as temporary:
            own = {n: t.detach().clone().contiguous() for n, t in matcher.state_dict().items()}
            save_file(own, temporary)


def _optimizer(matcher: Matcher, settings: StageSettings) -> torch.optim.Optimizer:
    """Build the optimiser of a stage, in which the item net may learn slower or not at all."""
    ratio = settings.item_learning_rate_ratio
    return build_optimizer(
        matcher, settings, lambda name: ratio if name.startswith("items.") else 1.0
    )
