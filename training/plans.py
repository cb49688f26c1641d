"""What the training loop reads, whatever a batch is: the batches of every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

__all__ = ["Batches", "Moment", "Plan", "shortened"]

Batch = TypeVar("Batch")
Batch_co = TypeVar("Batch_co", covariant=True)


class Moment(NamedTuple):
    """Where a stage of training is.

    Attributes:
        epoch: Finished epochs of the stage.
        progress: Finished share of the stage's steps, in [0, 1).
    """

    epoch: int = 0
    progress: float = 0.0


class Batches(Protocol[Batch_co]):
    """The batches of one epoch, by number."""

    def __getitem__(self, index: int) -> Batch_co: ...


class Plan(Protocol[Batch_co]):
    """All batches of all epochs, each a function of seed and place alone, so that any can be redone."""

    @property
    def n_batches(self) -> int:
        """Batches per epoch."""
        ...

    @property
    def n_rows(self) -> int:
        """Sequences or pairs per epoch."""
        ...

    @property
    def batch_size(self) -> int:
        """Rows of a full batch."""
        ...

    def epoch(self, epoch: int) -> Batches[Batch_co]:
        """Shuffle for one epoch."""
        ...


@dataclass(frozen=True, slots=True)
class _ShortPlan(Generic[Batch]):
    """The first batches of every epoch of another plan: its order is random, so any will do."""

    plan: Plan[Batch]
    n_batches: int

    @property
    def batch_size(self) -> int:
        return self.plan.batch_size

    @property
    def n_rows(self) -> int:
        return min(self.plan.n_rows, self.n_batches * self.batch_size)

    def epoch(self, epoch: int) -> Batches[Batch]:
        return self.plan.epoch(epoch)


def shortened(plan: Plan[Batch], max_batches: int) -> Plan[Batch]:
    """Return a plan of at most ``max_batches`` batches per epoch; 0 leaves it as it is."""
    if not 0 < max_batches < plan.n_batches:
        return plan
    return _ShortPlan(plan, max_batches)
