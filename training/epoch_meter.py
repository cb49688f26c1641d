"""What an epoch costs: seconds, and what workers tell each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from training.batches import TrainingBatch
from training.objective import StepLoss
from training.plans import Moment
from training.run_log import RunLog
from training.team import Team
from vizsla.cli_output import format_duration, say
from vizsla.clock import Clock

__all__ = ["EpochMeter", "epoch_line"]


class EpochMeter:
    """Counts the steps of an epoch from its first one here to its last, without validation.

    Args:
        gradients: Of every step.
        team: Whose exchanges are counted.
        log: Takes a record ``epoch`` per epoch.
        clock: Tells the time.
    """

    def __init__(
        self,
        gradients: Callable[[TrainingBatch, Moment], StepLoss],
        team: Team,
        log: RunLog,
        clock: Clock,
    ) -> None:
        self._gradients = gradients
        self._team, self._log, self._clock = team, log, clock
        self._started_s: float | None = None
        self._n_steps = 0

    def __call__(self, batch: TrainingBatch, moment: Moment) -> StepLoss:
        """Count a step and compute its gradient."""
        if self._started_s is None:
            self._started_s, self._n_steps = self._clock.monotonic_s(), 0
            self._team.cost()
        self._n_steps += 1
        return self._gradients(batch, moment)

    def end_epoch(self, stage: int, epoch: int) -> None:
        """Write the record of an epoch; after a resume, of the rest of it."""
        if self._started_s is None:
            return
        seconds, cost = self._clock.monotonic_s() - self._started_s, self._team.cost()
        self._started_s = None
        record: dict[str, float | str] = {
            "event": "epoch",
            "stage": stage,
            "epoch": epoch,
            "n_steps": self._n_steps,
            "n_workers": self._team.n_workers,
            "seconds": seconds,
            "dense_bytes_per_step": cost.dense_bytes / self._n_steps,
            "sparse_bytes_per_step": cost.sparse_bytes / self._n_steps,
            "exchange_ratio": cost.seconds / seconds if seconds > 0 else 0.0,
        }
        self._log.write(record)
        say(epoch_line(record))


def epoch_line(record: Mapping[str, float | str]) -> str:
    """Say in a line what an epoch has cost.

    Example:
        >>> epoch_line({"stage": 1, "epoch": 2, "n_steps": 9, "n_workers": 2, "seconds": 3.0,
        ...     "dense_bytes_per_step": 2048, "sparse_bytes_per_step": 512, "exchange_ratio": 0.1})
        'stage 1 epoch 2: 9 steps in 3.0 s; 2.5 KiB sent per worker and step, 10% of the time'
    """
    place = f"stage {record['stage']} epoch {record['epoch']}"
    steps = f"{record['n_steps']} steps in {format_duration(float(record['seconds']))}"
    if record["n_workers"] == 1:
        return f"{place}: {steps}"
    sent = float(record["dense_bytes_per_step"]) + float(record["sparse_bytes_per_step"])
    share = f"{float(record['exchange_ratio']):.0%} of the time"
    return f"{place}: {steps}; {sent / 1024:,.1f} KiB sent per worker and step, {share}"
