"""What the training loop reads, whatever a batch is: the batches of every epoch."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

__all__ = ["Batches", "Moment", "Plan"]

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
