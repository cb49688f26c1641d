"""Trains a ranker on encoded rows, and keeps the epoch that validation likes best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from training import checkpoint
from training.checkpoint import Checkpoint
from training.ctr.metrics import evaluate
from training.ctr.optimizers import Optimizers, is_sparse
from training.ctr.predicting import predict
from training.ctr.reading import Batch, Reader
from training.ctr.settings import RankerSettings
from vizsla.cli_output import Progress
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import DataError, TrainingError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker, build_ranker
from vizsla.rng import torch_generator

__all__ = ["TrainedRanker", "train_ranker"]


class _Silent:
    def advance(self, n: float = 1) -> None:
        """Count for nobody."""

    def note(self, text: str) -> None:
        """Tell nobody."""


@dataclass(frozen=True, slots=True)
class TrainedRanker:
    """What training gives.

    Attributes:
        ranker: With the weights of the best epoch, in evaluation mode.
        history: Per epoch: ``loss`` of training, validation figures, ``rows_per_s``.
        metrics: Validation figures of the best epoch; empty without validation rows.
        selected_by: Figure that chose the epoch; None where validation has no row.
        stopped: Whether somebody stopped it before its end.
    """

    ranker: Ranker
    history: list[dict[str, float]]
    metrics: dict[str, float]
    selected_by: str | None
    stopped: bool = False


@dataclass(slots=True)
class _State:
    """Where training is; all of it but weights.

    Attributes:
        epoch: The current one, from 0.
        step: Batches of it that are done.
        loss: Sum over them.
        serial: Of the newest checkpoint.
        best: Epoch whose weights are kept.
        history: Of complete epochs.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    serial: int = 0
    best: int | None = None
    history: list[dict[str, float]] = field(default_factory=list)


def train_ranker(  # noqa: PLR0913 - what is learned from, then how one looks on
    schema: RankingSchema,
    rows: EncodedRows,
    valid: EncodedRows,
    settings: RankerSettings,
    seed: int,
    *,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    folder: Path | None = None,
    clock: Clock | None = None,
) -> TrainedRanker:
    """Train a ranker; the same arguments give the same weights, interrupted or not.

    Args:
        schema: Kept fields and their widths.
        rows: Training rows with labels; arrays may be maps of files.
        valid: Validation rows with labels; without any, the last epoch is kept.
        settings: Model and loop.
        seed: Fixes start, order and dropout.
        progress: Told of rows.
        should_stop: Asked after every step.
        folder: Of checkpoints; where it holds one, training goes on from there.
        clock: Tells the time.

    Raises:
        DataError: Training has no row, or all its labels are the same.
        ConfigError: The model does not suit the schema.
        TrainingError: The loss diverged.
    """
    _check_labels(rows)
    loop = _Loop(schema, rows, valid, settings, seed, folder)
    loop.progress, loop.clock = progress or _Silent(), clock or SystemClock()
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(torch_generator(seed, "ranker", "dropout").get_state())
        return loop.run(should_stop)


class _Loop:
    progress: Progress
    clock: Clock

    def __init__(
        self,
        schema: RankingSchema,
        rows: EncodedRows,
        valid: EncodedRows,
        settings: RankerSettings,
        seed: int,
        folder: Path | None,
    ) -> None:
        sparse = is_sparse(schema, settings)
        self._ranker = build_ranker(schema, settings.model, settings.model_settings, sparse=sparse)
        self._ranker.reset_parameters(torch_generator(seed, "ranker", "weights"))
        self._reader = Reader(schema, rows, settings.batch_size, settings.buffer_rows, seed)
        self._optimizers = Optimizers(self._ranker, settings)
        self._valid, self._settings, self._folder = valid, settings, folder
        self._metric = _selecting(valid, settings)
        self._state = _State()
        self._best: dict[str, Tensor] = {}

    def run(self, should_stop: Callable[[], bool]) -> TrainedRanker:
        """Train to the end, or until somebody stops it."""
        self._resume()
        while not self._finished():
            if not self._epoch(should_stop):
                self._save()
                return self._result(stopped=True)
            self._save()
        return self._result(stopped=False)

    def _finished(self) -> bool:
        done = self._state.epoch
        best = done if self._state.best is None else self._state.best
        waited = done - 1 - best
        return done >= self._settings.epochs or waited >= self._settings.patience

    def _epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Train the rest of an epoch and judge it; False when it was stopped before its end."""
        state = self._state
        started_s = saved_s = self.clock.monotonic_s()
        n_rows = 0
        self._ranker.train()
        for batch in self._reader.batches(state.epoch, skip=state.step):
            state.loss += self._step(batch)
            state.step += 1
            n_rows += len(batch.labels)
            self.progress.advance(len(batch.labels))
            if should_stop():
                return False
            now_s = self.clock.monotonic_s()
            if self._folder and now_s - saved_s > 60 * self._settings.checkpoint_minutes:
                self._save()
                saved_s = now_s
        seconds = max(self.clock.monotonic_s() - started_s, 1e-9)
        self._judge({"loss": state.loss / max(state.step, 1), "rows_per_s": n_rows / seconds})
        return True

    def _step(self, batch: Batch) -> float:
        self._optimizers.zero_grad()
        embedded = self._ranker.embeddings(batch.inputs)
        logits = self._ranker.backbone(embedded)
        loss = binary_cross_entropy_with_logits(logits, batch.labels, batch.weights)
        if self._settings.reg and embedded.vectors:
            reg = self._settings.reg * embedded.flat.square().sum() / len(batch.labels)
            torch.autograd.backward(loss + reg)
        else:
            torch.autograd.backward(loss)
        self._optimizers.step()
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} in epoch {self._state.epoch + 1}: "
                "try a smaller learning_rate or table_learning_rate"
            )
        return value

    def _judge(self, figures: dict[str, float]) -> None:
        state = self._state
        if len(self._valid):
            assert self._valid.labels is not None
            figures |= evaluate(self._valid.labels, predict(self._ranker, self._valid))
        state.history.append(figures)
        if self._metric is None or self._is_best():
            state.best = state.epoch
            self._best = {n: t.clone() for n, t in self._ranker.state_dict().items()}
        state.epoch, state.step, state.loss = state.epoch + 1, 0, 0.0
        shown = self._metric or "loss"
        self.progress.note(f"epoch {state.epoch}, {shown} {figures[shown]:.4f}")

    def _is_best(self) -> bool:
        assert self._metric is not None
        values = [one[self._metric] for one in self._state.history]
        before = values[:-1]
        if self._metric == "auc":
            return not before or values[-1] > max(before)
        return not before or values[-1] < min(before)

    def _result(self, *, stopped: bool) -> TrainedRanker:
        state = self._state
        if self._best:
            self._ranker.load_state_dict(self._best)
        figures = {} if state.best is None else dict(state.history[state.best])
        for name in ("loss", "rows_per_s"):
            figures.pop(name, None)
        self._ranker.eval()
        return TrainedRanker(self._ranker, state.history, figures, self._metric, stopped)

    def _save(self) -> None:
        if self._folder is None:
            return
        self._state.serial += 1
        groups = {
            "model": self._ranker.state_dict(),
            "best": self._best,
            "optimizer": self._optimizers.state(),
            "rng": {"global": torch.random.get_rng_state()},
        }
        tensors = {f"{g}/{name}": t for g, group in groups.items() for name, t in group.items()}
        saved = Checkpoint(tensors, asdict(self._state))
        checkpoint.save(self._folder, saved, self._state.serial)

    def _resume(self) -> None:
        found = None if self._folder is None else checkpoint.load_latest(self._folder)
        if found is None:
            return
        state: dict[str, Any] = found.state
        self._state = _State(**state)
        self._ranker.load_state_dict(found.group("model"))
        self._best = found.group("best")
        self._optimizers.load_state(found.group("optimizer"))
        torch.random.set_rng_state(found.group("rng")["global"])
        done = self._state.epoch * self._reader.n_batches + self._state.step
        self.progress.advance(done * self._settings.batch_size)


def _check_labels(rows: EncodedRows) -> None:
    if not len(rows) or rows.labels is None:
        raise DataError("there is no training row with a label")
    values: NDArray[np.float32] = np.unique(rows.labels)
    if len(values) < 2:
        raise DataError(
            f"all {len(rows):,} training labels are {values[0]:g}: there is nothing to learn; "
            "the label rule of the frame, or its split, leaves one class only"
        )


def _selecting(valid: EncodedRows, settings: RankerSettings) -> str | None:
    """Return the figure that chooses the epoch: with one class alone there is no AUC."""
    if valid.labels is None or not len(valid):
        return None
    one_class = len(np.unique(valid.labels)) < 2
    return "log_loss" if one_class else settings.metric
