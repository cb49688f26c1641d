"""How a step gets its gradient: the one thing of the loop that may be shared out among workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from training.objective import StepLoss
from training.plans import Moment

__all__ = ["Gradients", "WholeBatch"]


Batch = TypeVar("Batch")
Batch_contra = TypeVar("Batch_contra", contravariant=True)


class Gradients(Protocol[Batch_contra]):
    """Leaves the gradient of a batch's loss in the weights."""

    def __call__(self, batch: Batch_contra, moment: Moment) -> StepLoss:
        """Add the batch's gradient to the weights' own and return the loss.

        Args:
            batch: What the step learns from.
            moment: Where the stage is.
        """
        ...

    def end_epoch(self, stage: int, epoch: int) -> None:
        """Hear that the last step of an epoch is done; both numbers count from 1."""
        ...


class WholeBatch(Generic[Batch]):
    """The gradient of the whole batch at once, in this process.

    Args:
        objective: The loss as a function of a batch and a moment.
    """

    def __init__(self, objective: Callable[[Batch, Moment], StepLoss]) -> None:
        self._objective = objective

    def __call__(self, batch: Batch, moment: Moment) -> StepLoss:
        """Compute the loss and its gradient."""
        found = self._objective(batch, moment)
        found.loss.backward()  # type: ignore[no-untyped-call]
        return found

    def end_epoch(self, stage: int, epoch: int) -> None:
        """Do nothing."""
