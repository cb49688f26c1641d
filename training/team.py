"""The processes that train one model together, as the loop sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

__all__ = ["Alone", "Share", "Team", "TeamCost"]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a sum over the batch.

    Attributes:
        gradients: One per weight that learns; None where nothing reached it.
        loss: Scalar float32.
    """

    gradients: list[Tensor | None]
    loss: Tensor

    def __add__(self, other: Share) -> Share:
        """Return the sum; the tensors of ``self`` may be used up."""
        pairs = zip(self.gradients, other.gradients, strict=True)
        return Share([_add(*pair) for pair in pairs], self.loss + other.loss)


def _add(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one.add_(other)


@dataclass(frozen=True, slots=True)
class TeamCost:
    """What working together has cost since it was last asked for.

    Attributes:
        dense_bytes: Sent by one worker for gradients that travel whole.
        sparse_bytes: Sent by one worker for gradients that travel as rows.
        seconds: Spent in exchanges, waiting for slower workers included.
    """

    dense_bytes: int = 0
    sparse_bytes: int = 0
    seconds: float = 0.0


class Team(Protocol):
    """Processes that each hold the whole model and take every step together."""

    @property
    def rank(self) -> int:
        """Number of this process; the first one, 0, validates and writes."""
        ...

    @property
    def n_workers(self) -> int:
        """Number of processes."""
        ...

    def total(self, share: Share, weights: Sequence[Tensor]) -> Share:
        """Sum the shares of all workers.

        Args:
            share: This worker's; may be used up.
            weights: What its gradients are of.
        """
        ...

    def any(self, *, mine: bool) -> bool:
        """Tell whether any worker says yes."""
        ...

    def told(self, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Let the first worker compute figures and tell the others.

        Raises:
            VizslaError: On all workers, what it raised on the first one.
        """
        ...

    def align(self, weights: Iterable[Tensor], serial: int) -> None:
        """Give all workers the first one's weights before the first step.

        Args:
            weights: Changed in place.
            serial: Of the checkpoint that this worker goes on from, 0 for none.

        Raises:
            UsageError: Workers go on from different checkpoints.
        """
        ...

    def cost(self) -> TeamCost:
        """Return the cost since the last call."""
        ...


class Alone:
    """A team of one: nothing is exchanged."""

    rank = 0
    n_workers = 1

    def total(self, share: Share, weights: Sequence[Tensor]) -> Share:
        """Return the share."""
        return share

    def any(self, *, mine: bool) -> bool:
        """Return the own answer."""
        return mine

    def told(self, compute: Callable[[], dict[str, float]]) -> dict[str, float]:
        """Compute."""
        return compute()

    def align(self, weights: Iterable[Tensor], serial: int) -> None:
        """Do nothing."""

    def cost(self) -> TeamCost:
        """Return zeros."""
        return TeamCost()
