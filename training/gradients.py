"""How a step gets its gradient: the one thing of the loop that may be shared out among workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from training.batches import TrainingBatch
from training.objective import StepLoss

__all__ = ["Gradients", "WholeBatch"]


class Gradients(Protocol):
    """Leaves the gradient of a batch's loss in the weights."""

    def __call__(self, batch: TrainingBatch, progress: float) -> StepLoss:
        """Add the batch's gradient to the weights' own and return the loss.

        Args:
            batch: What the step learns from.
            progress: Share of the stage's steps that are done, 0 to 1.
        """
        ...

    def end_epoch(self, stage: int, epoch: int) -> None:
        """Hear that the last step of an epoch is done; both numbers count from 1."""
        ...


class WholeBatch:
    """The gradient of the whole batch at once, in this process.

    Args:
        objective: The loss as a function of a batch and of progress.
    """

    def __init__(self, objective: Callable[[TrainingBatch, float], StepLoss]) -> None:
        self._objective = objective

    def __call__(self, batch: TrainingBatch, progress: float) -> StepLoss:
        """Compute the loss and its gradient."""
        found = self._objective(batch, progress)
        found.loss.backward()  # type: ignore[no-untyped-call]
        return found

    def end_epoch(self, stage: int, epoch: int) -> None:
        """Do nothing."""
