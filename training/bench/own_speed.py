"""Our side of the speed bench: the loop, sampler and loss of every training, epoch by epoch timed.

Shapes: **E** training pairs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from training.backbone_recipe import BackboneRecipe
from training.backbone_trainer import new_backbone
from training.bench.rival_run import EpochTime
from training.bench.rivals.drive import Job, n_trained
from training.data import Split
from training.determinism import deterministic_torch
from training.gradients import WholeBatch
from training.loop import Counters, LoopHooks, StageLoop
from training.objective import NegativeSource, StepLoss, build_sampler
from training.optimizers import build_optimizer
from training.pair_objective import PairObjective
from training.pairs import EpochPairs, PairBatch, PairPlan
from training.plans import Moment
from training.recipe import NegativeSettings
from training.run_log import RunLog
from training.samplers.base import SamplerData
from vizsla.clock import SystemClock

__all__ = ["own_recipe", "train_own"]

LOG_EVERY = 50
MODELS: Mapping[str, str] = {"bpr-mf": "mf", "lightgcn": "lightgcn"}


def own_recipe(job: Job) -> BackboneRecipe:
    """Return the recipe that trains what the rivals train: Adam, means, one uniform negative."""
    settings = {"embedding_size": job.embedding_size}
    if job.model == "lightgcn":
        settings["n_layers"] = job.n_layers
    return BackboneRecipe(
        model=MODELS[job.model],
        model_settings=settings,
        negatives=NegativeSettings(n_negatives=1, options={"shared": False}),
        reduction="mean",
        touched_reg=job.reg,
        epochs=job.epochs,
        batch_size=job.batch_size,
        optimizer="adam",
        learning_rate=job.learning_rate,
        validate_every=job.epochs + 1,
    )


@dataclass(slots=True)
class _Watch:
    """Times epochs from the shuffle to the last step, and collects losses."""

    started_s: float = 0.0
    losses: list[float] = field(default_factory=list)
    epochs: list[EpochTime] = field(default_factory=list)

    def start(self) -> None:
        self.losses.clear()
        self.started_s = time.perf_counter()

    def finish(self, interactions: int) -> None:
        seconds = time.perf_counter() - self.started_s
        loss = math.fsum(self.losses) / max(len(self.losses), 1)
        self.epochs.append(EpochTime(seconds, interactions, loss, "vizsla"))


class _FirstBatches:
    """A plan of the first batches of every epoch."""

    def __init__(self, plan: PairPlan, n_rows: int, watch: _Watch) -> None:
        self._plan, self._watch = plan, watch
        self.n_rows, self.batch_size = n_rows, plan.batch_size
        self.n_batches = -(-n_rows // plan.batch_size)

    def epoch(self, epoch: int) -> EpochPairs:
        self._watch.start()
        return self._plan.epoch(epoch)


def train_own(split: Split, job: Job) -> list[EpochTime]:
    """Train and time every epoch; nothing is validated or saved."""
    with deterministic_torch(job.seed, job.threads), TemporaryDirectory() as folder:
        watch = _Watch()
        _loop(split, job, watch, Path(folder)).run()
    return watch.epochs


def _loop(split: Split, job: Job, watch: _Watch, folder: Path) -> StageLoop[PairBatch]:
    recipe = own_recipe(job)
    model = new_backbone(recipe, split, job.seed)
    data = SamplerData.from_split(split, job.seed)
    sampler = build_sampler("negatives", recipe.negatives, data, job.seed)
    objective = PairObjective(model, recipe, NegativeSource("negatives", recipe.negatives, sampler))

    def noted(batch: PairBatch, moment: Moment) -> StepLoss:
        found = objective(batch, moment)
        watch.losses.append(found.figures["example_loss"])
        return found

    count = n_trained(len(split.train.values), job)
    plan = _FirstBatches(PairPlan(split.train, job.batch_size, job.seed), count, watch)
    hooks = LoopHooks(
        save=lambda: watch.finish(count),  # called at the end of every epoch
        last_checkpoint=lambda: "none",
        validate=dict,
        should_stop=lambda: False,
        log=RunLog(folder / "log.jsonl"),
        clock=SystemClock(),
        checkpoint_s=math.inf,
        log_every=LOG_EVERY,
    )
    optimizer = build_optimizer(model, recipe)
    return StageLoop(model, recipe, optimizer, plan, WholeBatch(noted), Counters(), hooks)
