"""The one training loop: for matchers and backbones, for every stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from training.freezing import frozen, set_training
from training.gradients import Gradients
from training.loop_settings import LoopSettings
from training.objective import StepLoss
from training.plans import Batches, Moment, Plan
from training.run_log import RunLog
from training.schedules import learning_rate_factor
from vizsla.cli_output import Progress, progress, say
from vizsla.clock import Clock
from vizsla.errors import ConfigError, TrainingError

__all__ = ["Counters", "LoopHooks", "StageLoop", "figure"]

Batch = TypeVar("Batch")

EXPLODED_RATIO = 20.0
"""A loss this many times the first one (or 1, if that is larger) counts as diverged."""


@dataclass(slots=True)
class Counters:
    """Where a run is; written into every checkpoint.

    Attributes:
        stage: Index of the stage.
        epoch: Finished epochs of the stage.
        batch: Finished batches of the epoch.
        step: Finished steps of the stage.
        serial: Checkpoints written so far.
        log_bytes: Size of the log at this moment.
        first_loss: Loss of the stage's first step.
        best_value: Best validation figure of the stage, None before the first.
        best_epoch: Epoch after which it was reached.
        n_worse: Validations since then.
        results: Best figures of the finished stages.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    serial: int = 0
    log_bytes: int = 0
    first_loss: float | None = None
    best_value: float | None = None
    best_epoch: int = 0
    n_worse: int = 0
    results: list[dict[str, float]] = field(default_factory=list)

    def next_stage(self) -> None:
        """Keep the stage's result and start to count the next one.

        Where nothing was validated the last weights are taken, so the last epoch is the best.
        """
        epoch = self.epoch if self.best_value is None else self.best_epoch
        self.results.append({"value": self.best_value or 0.0, "epoch": float(epoch)})
        self.stage, self.epoch, self.batch, self.step = self.stage + 1, 0, 0, 0
        self.first_loss = self.best_value = None
        self.best_epoch = self.n_worse = 0


@dataclass(frozen=True, slots=True)
class LoopHooks:
    """What the loop is given instead of doing it.

    Attributes:
        save: Writes a checkpoint.
        last_checkpoint: Names the newest checkpoint.
        validate: Maps what has been learned so far to figures such as ``recall_at_20``.
        should_stop: Asked after every step.
        log: Takes records.
        clock: Tells the time.
        checkpoint_s: Seconds between checkpoints within an epoch.
        log_every: Steps between records.
    """

    save: Callable[[], None]
    last_checkpoint: Callable[[], str]
    validate: Callable[[], Mapping[str, float]]
    should_stop: Callable[[], bool]
    log: RunLog
    clock: Clock
    checkpoint_s: float
    log_every: int


class StageLoop(Generic[Batch]):
    """Trains one stage from wherever its counters are.

    Args:
        model: Changed in place.
        settings: Of the stage.
        optimizer: Over what learns; each group's ``ratio`` scales the learning rate.
        plan: The batches.
        gradients: The loss of a batch at a moment, and its gradient.
        counters: Changed in place; what a checkpoint continues from.
        hooks: The world outside.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: LoopSettings,
        optimizer: torch.optim.Optimizer,
        plan: Plan[Batch],
        gradients: Gradients[Batch],
        counters: Counters,
        hooks: LoopHooks,
    ) -> None:
        self.model = model
        self.settings = settings
        self.optimizer = optimizer
        self.best: dict[str, Tensor] = {}
        self._plan = plan
        self._gradients = gradients
        self._counters = counters
        self._hooks = hooks
        horizon = max(settings.epochs, settings.schedule_epochs)
        self._n_steps = max(1, horizon * plan.n_batches)
        self._saved_s = hooks.clock.monotonic_s()

    def run(self) -> bool:
        """Train until the last epoch or until nothing improves; take the best weights.

        Returns:
            Whether the stage is finished; False when it was asked to stop.

        Raises:
            TrainingError: The loss is not finite or has exploded.
        """
        with frozen(self.model, self.settings.frozen_but):
            while self._counters.epoch < self.settings.epochs and not self._is_stuck():
                if not self._epoch():
                    return False
        if self.best:
            self.model.load_state_dict(self.best)
        return True

    def _is_stuck(self) -> bool:
        return 0 < self.settings.patience <= self._counters.n_worse

    def _epoch(self) -> bool:
        counters = self._counters
        batches = self._plan.epoch(counters.epoch)
        title = f"stage {counters.stage + 1} epoch {counters.epoch + 1}/{self.settings.epochs}"
        with progress(title, total=self._plan.n_rows, unit="rows") as bar:
            if not self._batches(batches, bar):
                return False
        counters.epoch, counters.batch = counters.epoch + 1, 0
        self._gradients.end_epoch(counters.stage + 1, counters.epoch)
        every = self.settings.validate_every
        if every and counters.epoch % every == 0:
            self._validate(title)
        self._save()
        return True

    def _batches(self, batches: Batches[Batch], bar: Progress) -> bool:
        """Do the remaining batches of an epoch; return whether the epoch is complete."""
        counters = self._counters
        size, n_rows = self._plan.batch_size, self._plan.n_rows
        bar.advance(counters.batch * size)
        while counters.batch < self._plan.n_batches:
            loss = self._step(batches[counters.batch])
            bar.advance(min(size, n_rows - counters.batch * size))
            counters.batch, counters.step = counters.batch + 1, counters.step + 1
            bar.note(f"loss {loss:.4f}")
            if self._hooks.should_stop():
                self._save()
                return False
            if self._hooks.clock.monotonic_s() - self._saved_s >= self._hooks.checkpoint_s:
                self._save()
        return True

    def _step(self, batch: Batch) -> float:
        started_s = self._hooks.clock.monotonic_s()
        set_training(self.model, self.settings.frozen_but)
        self._set_learning_rate()
        self.optimizer.zero_grad(set_to_none=True)
        found = self._gradients(batch, self._moment())
        loss = float(found.loss.detach())
        self._check(loss)
        norm = self._clip()
        self.optimizer.step()
        if self._is_recorded():
            seconds = self._hooks.clock.monotonic_s() - started_s
            self._record_step(found, norm, found.n_examples / max(seconds, 1e-9))
        return loss

    def _moment(self) -> Moment:
        return Moment(self._counters.epoch, self._counters.step / self._n_steps)

    def _set_learning_rate(self) -> None:
        settings = self.settings
        factor = learning_rate_factor(
            self._counters.step,
            self._n_steps,
            settings.schedule,
            settings.warmup_ratio,
            settings.final_ratio,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * group["ratio"] * factor

    def _is_recorded(self) -> bool:
        return self._counters.step % self._hooks.log_every == 0

    def _clip(self) -> float:
        """Bound the gradient and return its norm, which without a bound only the log asks for."""
        bound = self.settings.gradient_clip
        if not bound and not self._is_recorded():
            return math.nan
        parameters = list(self.model.parameters())
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, bound or math.inf))
        self._check(norm, "gradient norm")
        return norm

    def _check(self, value: float, what: str = "loss") -> None:
        counters = self._counters
        if counters.first_loss is None:
            counters.first_loss = value
        bound = EXPLODED_RATIO * max(counters.first_loss, 1.0) if what == "loss" else math.inf
        if math.isfinite(value) and value <= bound:
            return
        raise TrainingError(
            f"the {what} became {value:.4g} in stage {counters.stage + 1}, step {counters.step}; "
            f"last good checkpoint: {self._hooks.last_checkpoint()}; "
            "lower the learning rate (--set stageN.learning_rate=...) or clip the gradient"
        )

    def _record_step(self, found: StepLoss, norm: float, rate: float) -> None:
        counters = self._counters
        record = {
            "event": "step",
            "stage": counters.stage + 1,
            "epoch": counters.epoch + 1,
            "step": counters.step,
            "loss": float(found.loss.detach()),
            "gradient_norm": norm,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "examples_per_s": rate,
        }
        self._hooks.log.write(record | found.figures)

    def _validate(self, title: str) -> None:
        counters, settings = self._counters, self.settings
        figures = self._hooks.validate()
        value = figure(figures, settings.metric)
        is_best = counters.best_value is None or value > counters.best_value
        if is_best:
            counters.best_value, counters.best_epoch, counters.n_worse = value, counters.epoch, 0
            self.best = {n: t.detach().clone() for n, t in self.model.state_dict().items()}
        else:
            counters.n_worse += 1
        place = {"event": "validation", "stage": counters.stage + 1, "epoch": counters.epoch}
        self._hooks.log.write({**place, **figures})
        say(f"{title}: {settings.metric} {value:.4f}{' (best so far)' if is_best else ''}")

    def _save(self) -> None:
        """Write a checkpoint, never one of weights that are not finite."""
        for name, weights in self.model.named_parameters():
            if not bool(torch.isfinite(weights.detach()).all()):
                self._check(math.nan, f"weight {name}")
        self._hooks.save()
        self._saved_s = self._hooks.clock.monotonic_s()


def figure(figures: Mapping[str, float], metric: str) -> float:
    """Return a figure, or the sum of several joined by ``+``; ``-nll`` counts against.

    Example:
        >>> figure({"recall_at_20": 0.5, "nll": 2.0}, "recall_at_20+-nll")
        -1.5
    """
    total = 0.0
    for term in metric.split("+"):
        name = term.removeprefix("-")
        if name not in figures:
            known = ", ".join(sorted(figures))
            raise ConfigError(f"unknown metric {name!r}: known: {known}")
        total += -figures[name] if term.startswith("-") else figures[name]
    return total
