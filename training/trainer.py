"""Runs the stages of a recipe, from the start or from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training import checkpoint
from training.batches import BatchPlan, BatchSettings, Plan, shortened
from training.checkpoint import Checkpoint
from training.data import Split
from training.determinism import deterministic_torch
from training.held_batches import held_plan
from training.holdout import Holdout, hold_out
from training.joint import stage_objective
from training.loop import Counters, LoopHooks, StageLoop
from training.model import new_matcher
from training.objective import NegativeSource, build_sources
from training.recipe import Recipe
from training.run_log import RunLog
from training.samplers.base import SamplerData
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
    """

    out: Path
    seed: int = 0
    threads: int = 1
    resume: bool = False
    warm_start: Path | None = None
    should_stop: Callable[[], bool] = lambda: False
    clock: Clock = field(default_factory=SystemClock)


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
        self.counters = Counters()
        self._validate = validate
        self._log = RunLog(options.out / "log.jsonl")
        self._folder = options.out / "checkpoint"
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
        found = self._resumed()
        if found is not None:
            matcher.load_state_dict(found.group("model"))
        elif self.options.warm_start is not None:
            self._warm_start(matcher, self.options.warm_start)
        for stage in range(self.counters.stage, len(self._stages)):
            if not self._stage(matcher, stage, found):
                return None
            found = None
        return matcher.eval()

    def _resumed(self) -> Checkpoint | None:
        newest = checkpoint.latest(self._folder) if self.options.resume else None
        if newest is None:
            return None
        found = checkpoint.load(newest)
        self.counters = Counters(**found.state)
        self._log.cut(self.counters.log_bytes)
        return found

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
        self.counters.next_stage()

    def _stage(self, matcher: Matcher, stage: int, found: Checkpoint | None) -> bool:
        settings = self._stages[stage]
        generator = torch_generator(self.options.seed, "global", stage)
        torch.random.set_rng_state(generator.get_state())
        if not settings.epochs:
            self.counters.next_stage()
            return True
        loop, sources = self._build(matcher, stage)
        if found is not None:
            _restore(found, loop, sources)
        if not loop.run():
            return False
        self._keep_stage(matcher, stage)
        self.counters.next_stage()
        self._save({"model": matcher.state_dict()})
        return True

    def _build(self, matcher: Matcher, stage: int) -> tuple[StageLoop, list[NegativeSource]]:
        settings, seed = self._stages[stage], derive_seed(self.options.seed, "stage", stage)
        data = SamplerData.from_split(self._data(stage), seed)
        sources = build_sources(settings, data, seed)
        loop = StageLoop(
            matcher,
            settings,
            self._plan(stage, seed),
            stage_objective(matcher, settings, sources),
            self.counters,
            self._hooks(lambda: self._save(_tensors(loop, sources))),
        )
        return loop, sources

    def _plan(self, stage: int, seed: int) -> Plan:
        settings = self._stages[stage]
        sizes = BatchSettings(
            settings.batch_size,
            self.recipe.max_history,
            settings.targets_per_sequence,
            settings.stride or None,
            settings.split_ratio,
        )
        held = self._holdout if stage == 1 else None
        plan: Plan = (
            BatchPlan(self._data(stage), sizes, seed, "batches")
            if held is None
            else held_plan(self.split, held, sizes, seed)
        )
        if not plan.n_batches:
            raise UsageError(
                f"{self.split.name}: no user has two training interactions: nothing to learn from"
            )
        return shortened(plan, settings.max_batches)

    def _hooks(self, save: Callable[[], None]) -> LoopHooks:
        return LoopHooks(
            save,
            lambda: str(checkpoint.latest(self._folder) or "none yet"),
            self._validate,
            self.options.should_stop,
            self._log,
            self.options.clock,
            60.0 * self.recipe.checkpoint_minutes,
            self.recipe.log_every,
        )

    def _save(self, groups: dict[str, dict[str, Tensor]]) -> None:
        counters = self.counters
        counters.serial, counters.log_bytes = counters.serial + 1, self._log.n_bytes
        tensors = {f"{g}/{name}": t for g, group in groups.items() for name, t in group.items()}
        moment = Checkpoint(tensors, asdict(counters))
        checkpoint.save(self._folder, moment, counters.serial)

    def _keep_stage(self, matcher: Matcher, stage: int) -> None:
        with atomic_path(stage_file(self.options.out, stage)) as temporary:
            own = {n: t.detach().clone().contiguous() for n, t in matcher.state_dict().items()}
            save_file(own, temporary)


def _tensors(loop: StageLoop, sources: list[NegativeSource]) -> dict[str, dict[str, Tensor]]:
    return {
        "model": loop.matcher.state_dict(),
        "best": loop.best,
        "optimizer": checkpoint.flatten_optimizer(loop.optimizer),
        "rng": {s.name: s.sampler.generator.get_state() for s in sources}
        | {"global": torch.random.get_rng_state()},
    }


def _restore(found: Checkpoint, loop: StageLoop, sources: list[NegativeSource]) -> None:
    """Put a checkpoint's moment back; one from between two stages holds nothing but weights."""
    states = found.group("rng")
    if not states:
        return
    loop.best = found.group("best")
    checkpoint.restore_optimizer(loop.optimizer, found.group("optimizer"))
    torch.random.set_rng_state(states["global"])
    for source in sources:
        source.sampler.generator.set_state(states[source.name])
