"""Training batches: windows of users' sequences with the places to predict.

Shapes: **B** sequences, **L** length, **P** targets, **Q** contexts that targets are seen from,
**U** users, **W** windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import Ragged, Split
from training.windows import (
    Windows,
    cut_windows,
    gather,
    keep_some,
    shuffle_rows,
    split_targets,
    target_mask,
)
from vizsla.models.recommender.base import PADDING, SequenceBatch
from vizsla.rng import numpy_generator

__all__ = [
    "BatchPlan",
    "BatchSettings",
    "Batches",
    "EpochBatches",
    "Plan",
    "TrainingBatch",
    "shortened",
]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How sequences become batches.

    Attributes:
        batch_size: Sequences B per batch.
        max_history: Longest context in items.
        targets_per_sequence: Targets drawn from each window per epoch; 0 for all.
        stride: New targets per window; None takes half of ``max_history`` for ordered data, so
            that a target has at least half a context, and all of it for unordered data.
        split_ratio: 0 sees each target from its own context.  Above 0, about this share of a
            window become targets, all seen from the rest: one state per window, which is far
            cheaper.  Unordered data only.
    """

    batch_size: int
    max_history: int
    targets_per_sequence: int = 0
    stride: int | None = None
    split_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Sequences, Q places to see them from, and P targets.

    Attributes:
        sequences: B left-padded sequences.
        rows: ``(Q,)`` int64 in [0, B).
        columns: ``(Q,)`` int64 in [0, L]; a target's own place, or L for the whole sequence.
        users: ``(Q,)`` int64 row of the user in ``Split.train``.
        positives: ``(P,)`` int64 item numbers of the targets.
        seen_from: ``(P,)`` int64 in [0, Q); None where each target has its own place, P = Q.
    """

    sequences: SequenceBatch
    rows: Tensor
    columns: Tensor
    users: Tensor
    positives: Tensor
    seen_from: Tensor | None = None

    @property
    def target_users(self) -> Tensor:
        """``(P,)`` int64 row of each target's user."""
        return self.users if self.seen_from is None else self.users[self.seen_from]

    def __len__(self) -> int:
        return len(self.positives)

    def some(self, n_targets: int) -> TrainingBatch:
        """Return the batch with a random choice of its targets, drawn by torch's own generator."""
        which = torch.randperm(len(self))[:n_targets].sort().values
        positives = self.positives[which]
        if self.seen_from is not None:
            return replace(self, positives=positives, seen_from=self.seen_from[which])
        return TrainingBatch(
            self.sequences, self.rows[which], self.columns[which], self.users[which], positives
        )


class BatchPlan:
    """All batches of all epochs, each a function of the seed and its place alone.

    Nothing is consumed, so training that is resumed in the middle of an epoch sees
    the same batches as training that was never stopped.

    Args:
        split: The data.
        settings: Sizes.
        seed: Of the run.
        purpose: Tells the stages of one run apart.
        first_targets: ``(U,)`` first place of each row that is a target; None for all.
    """

    def __init__(
        self,
        split: Split,
        settings: BatchSettings,
        seed: int,
        purpose: str,
        first_targets: Ints | None = None,
    ) -> None:
        self.settings = settings
        self._ordered = split.order != "none"
        self._train = split.train
        self._codes = split.user_features.codes if split.user_features is not None else None
        self._seed, self._purpose = seed, purpose
        size = settings.max_history + 1
        stride = settings.stride or (max(1, settings.max_history // 2) if self._ordered else size)
        self._windows = cut_windows(
            split.train.lengths,
            size,
            min(stride, size),
            ordered=self._ordered,
            first_targets=first_targets,
        )

    @property
    def n_batches(self) -> int:
        """Batches per epoch."""
        return -(-len(self._windows) // self.settings.batch_size)

    @property
    def n_windows(self) -> int:
        """Sequences per epoch."""
        return len(self._windows)

    def epoch(self, epoch: int) -> EpochBatches:
        """Shuffle for one epoch."""
        generator = numpy_generator(self._seed, self._purpose, "epoch", epoch)
        order = generator.permutation(len(self._windows))
        train = self._train if self._ordered else shuffle_rows(self._train, generator)
        return EpochBatches(self, train, self._windows.take(order), epoch)

    def generator(self, epoch: int, index: int) -> np.random.Generator:
        """Make the generator of one batch."""
        return numpy_generator(self._seed, self._purpose, "batch", epoch, index)

    def codes(self, users: Ints) -> Tensor | None:
        """Return ``(B, F)`` user feature codes, or None where the data has none."""
        return None if self._codes is None else torch.from_numpy(self._codes[users])


class Plan(Protocol):
    """What the loop reads: the batches of every epoch."""

    @property
    def settings(self) -> BatchSettings:
        """Sizes."""
        ...

    @property
    def n_batches(self) -> int:
        """Batches per epoch."""
        ...

    @property
    def n_windows(self) -> int:
        """Sequences per epoch."""
        ...

    def epoch(self, epoch: int) -> Batches:
        """Shuffle for one epoch."""
        ...


class Batches(Protocol):
    """The batches of one epoch, by number."""

    def __getitem__(self, index: int) -> TrainingBatch: ...


@dataclass(frozen=True, slots=True)
class _ShortPlan:
    """The first batches of every epoch of another plan: its order is random, so any will do."""

    plan: Plan
    n_batches: int

    @property
    def settings(self) -> BatchSettings:
        return self.plan.settings

    @property
    def n_windows(self) -> int:
        return min(self.plan.n_windows, self.n_batches * self.settings.batch_size)

    def epoch(self, epoch: int) -> Batches:
        return self.plan.epoch(epoch)


def shortened(plan: Plan, max_batches: int) -> Plan:
    """Return a plan of at most ``max_batches`` batches per epoch; 0 leaves it as it is."""
    if not 0 < max_batches < plan.n_batches:
        return plan
    return _ShortPlan(plan, max_batches)


class EpochBatches:
    """The batches of one epoch of windows."""

    def __init__(self, plan: BatchPlan, train: Ragged, windows: Windows, epoch: int) -> None:
        self._plan = plan
        self._train = train
        self._windows = windows
        self._epoch = epoch

    def __getitem__(self, index: int) -> TrainingBatch:
        size = self._plan.settings.batch_size
        own = np.arange(index * size, min((index + 1) * size, len(self._windows)))
        windows = self._windows.take(own)
        items = gather(self._train, windows)
        generator = self._plan.generator(self._epoch, index)
        if self._plan.settings.split_ratio:
            return self._split(windows, items, generator)
        return self._each(windows, items, generator)

    def _each(self, windows: Windows, items: Ints, generator: np.random.Generator) -> TrainingBatch:
        """See each target from its own context."""
        targets = target_mask(windows, items.shape[1])
        targets = keep_some(targets, self._plan.settings.targets_per_sequence, generator)
        rows, columns = np.nonzero(targets)
        return TrainingBatch(
            SequenceBatch(torch.from_numpy(items), self._plan.codes(windows.rows)),
            torch.from_numpy(rows),
            torch.from_numpy(columns),
            torch.from_numpy(windows.rows[rows]),
            torch.from_numpy(items[rows, columns]),
        )

    def _split(
        self, windows: Windows, items: Ints, generator: np.random.Generator
    ) -> TrainingBatch:
        """See a random share of each window from all the rest of it."""
        settings = self._plan.settings
        targets = split_targets(items != PADDING, settings.split_ratio, generator)
        targets = keep_some(targets, settings.targets_per_sequence, generator)
        rows, columns = np.nonzero(targets)
        context = np.where(targets, PADDING, items)
        return TrainingBatch(
            SequenceBatch(torch.from_numpy(context), self._plan.codes(windows.rows)),
            torch.arange(len(items)),
            torch.full((len(items),), items.shape[1]),
            torch.from_numpy(windows.rows),
            torch.from_numpy(items[rows, columns]),
            torch.from_numpy(rows),
        )
