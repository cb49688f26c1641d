"""A step's gradient as a sum over fixed shards of its batch, whoever computes them.

A shard draws its negatives and its dropout from generators of its own place (stage, epoch,
batch, shard), so its gradient does not depend on the process that computes it.  Shards are
summed in pairs, pairs of pairs and so on, which gives the same bits to one worker and to
two where the number of shards is a power of two.

Shapes: **B** sequences of a batch, **P** targets, **Q** contexts they are seen from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from training.batches import TrainingBatch
from training.objective import NegativeSource, StepLoss
from training.plans import Moment
from training.recipe import StageSettings
from training.team import Share, Team
from vizsla.models.recommender.base import SequenceBatch
from vizsla.rng import torch_generator

__all__ = ["Place", "ShardedGradients", "cut_batch", "for_shards", "shard_bounds", "tree_sum"]


class _Addable(Protocol):
    def __add__(self: Sum, other: Sum) -> Sum: ...


Sum = TypeVar("Sum", bound=_Addable)


@dataclass(frozen=True, slots=True)
class Place:
    """Which step of a stage comes next: finished epochs, and finished batches of this one."""

    epoch: int
    batch: int


class ShardedGradients:
    """Sums the gradient of a batch over its shards and over the workers of a team.

    Args:
        matcher: What is trained.
        objective: The loss of a shard, a mean over its targets.
        sources: Whose generators are set for every shard.
        n_shards: Shards of a batch, a multiple of the number of workers.
        seed: Of the stage.
        place: Says which step comes next.
        team: Who computes.
    """

    def __init__(
        self,
        matcher: nn.Module,
        objective: Callable[[TrainingBatch, Moment], StepLoss],
        sources: Sequence[NegativeSource],
        n_shards: int,
        seed: int,
        place: Callable[[], Place],
        team: Team,
    ) -> None:
        self._matcher, self._objective, self._sources = matcher, objective, sources
        self._n_shards, self._seed = n_shards, seed
        self._place, self._team = place, team

    def __call__(self, batch: TrainingBatch, moment: Moment) -> StepLoss:
        """Leave the gradient of the whole batch in the weights.

        Returns:
            The loss of the whole batch, and the mean figures of this worker's own shards.
        """
        weights = [p for p in self._matcher.parameters() if p.requires_grad]
        found: list[tuple[int, dict[str, float]]] = []

        def shares() -> Iterator[Share]:
            for number, shard in self._own(batch):
                self._set_generators(number)
                own = self._backward(shard, moment, len(shard) / len(batch))
                found.append((len(shard), own.figures))
                yield Share(_taken(weights), own.loss)

        total = self._team.total(tree_sum(shares()), weights)
        for weight, gradient in zip(weights, total.gradients, strict=True):
            weight.grad = gradient
        return StepLoss(total.loss, _mean_figures(found), len(batch))

    def _own(self, batch: TrainingBatch) -> list[tuple[int, TrainingBatch]]:
        """Return this worker's shards by number: neighbours, so that pairs stay together."""
        size = self._n_shards // self._team.n_workers
        numbers = range(self._team.rank * size, (self._team.rank + 1) * size)
        bounds = shard_bounds(len(batch.sequences.item_nums), self._n_shards)
        return [(number, cut_batch(batch, *bounds[number])) for number in numbers]

    def _backward(self, shard: TrainingBatch, moment: Moment, ratio: float) -> StepLoss:
        """Add the gradient of a shard's part of the batch's mean; no targets, no part."""
        if not len(shard):
            return StepLoss(torch.zeros(()), {}, 0)
        found = self._objective(shard, moment)
        loss = found.loss * ratio
        loss.backward()  # type: ignore[no-untyped-call]
        return StepLoss(loss.detach(), found.figures, len(shard))

    def _set_generators(self, number: int) -> None:
        """Put every source of randomness where it is for this shard of this step."""
        place = self._place()
        where = (place.epoch, place.batch, number)
        dropout = torch_generator(self._seed, "dropout", *where)
        torch.random.set_rng_state(dropout.get_state())
        for source in self._sources:
            own = torch_generator(self._seed, "sampler", source.name, *where)
            source.sampler.generator.set_state(own.get_state())


def shard_bounds(n_sequences: int, n_shards: int) -> list[tuple[int, int]]:
    """Cut sequences into consecutive shards, the first ones a little larger.

    Example:
        >>> shard_bounds(5, 4)
        [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    size, rest = divmod(n_sequences, n_shards)
    ends = np.cumsum([size + (number < rest) for number in range(n_shards)]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def cut_batch(batch: TrainingBatch, start: int, stop: int) -> TrainingBatch:
    """Return the part of a batch that belongs to the sequences from ``start`` to ``stop``."""
    item_nums, features = batch.sequences.item_nums, batch.sequences.user_features
    part = slice(start, stop)
    sequences = SequenceBatch(item_nums[part], None if features is None else features[part])
    kept = (batch.rows >= start) & (batch.rows < stop)
    rows, columns, users = batch.rows[kept] - start, batch.columns[kept], batch.users[kept]
    if batch.seen_from is None:
        return TrainingBatch(sequences, rows, columns, users, batch.positives[kept])
    own = kept[batch.seen_from]
    renumbered = torch.cumsum(kept, 0) - 1
    seen_from: Tensor = renumbered[batch.seen_from[own]]
    return TrainingBatch(sequences, rows, columns, users, batch.positives[own], seen_from)


def tree_sum(parts: Iterable[Sum]) -> Sum:
    """Sum at least one part as a balanced tree over neighbours, keeping few partial sums.

    Example:
        >>> tree_sum("abcde")
        'abcde'
    """
    waiting: list[tuple[int, Sum]] = []
    for part in parts:
        height, total = 0, part
        while waiting and waiting[-1][0] == height:
            height, total = height + 1, waiting.pop()[1] + total
        waiting.append((height, total))
    total = waiting.pop()[1]
    while waiting:
        total = waiting.pop()[1] + total
    return total


def for_shards(settings: StageSettings, n_shards: int) -> StageSettings:
    """Return what a stage asks of one shard so that all shards make up what it asks of a batch."""
    n_targets = -(-settings.joint_targets // n_shards)
    return settings.model_copy(update={"joint_targets": n_targets})


def _taken(weights: Sequence[nn.Parameter]) -> list[Tensor | None]:
    """Take the gradients out of the weights."""
    gradients = [weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    return gradients


def _mean_figures(found: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """Average the figures of shards that have targets, weighted by their number."""
    kept = [(size, figures) for size, figures in found if size]
    total = sum(size for size, _ in kept)
    names = kept[0][1] if kept else ()
    return {name: sum(size * own[name] for size, own in kept) / total for name in names}
