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
from vizsla.models.recommender.base import PADDING, SequenceBatch
from vizsla.rng import numpy_generator

__all__ = [
    "BatchPlan",
    "BatchSettings",
    "Batches",
    "EpochBatches",
    "Plan",
    "TrainingBatch",
    "Windows",
    "cut_windows",
    "keep_some",
    "shuffle_rows",
    "split_targets",
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


@dataclass(frozen=True, slots=True)
class Windows:
    """Pieces of the rows of a ragged table, each ``(W,)`` int64.

    Attributes:
        rows: Row of the piece.
        starts: First place within the row.
        stops: Place after the last one.
        target_starts: First place to predict.
        target_stops: Place after the last one to predict.
    """

    rows: Ints
    starts: Ints
    stops: Ints
    target_starts: Ints
    target_stops: Ints

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Ints) -> Windows:
        """Return some of the windows."""
        return Windows(
            self.rows[which],
            self.starts[which],
            self.stops[which],
            self.target_starts[which],
            self.target_stops[which],
        )


def cut_windows(
    lengths: Ints, size: int, stride: int, *, ordered: bool, first_targets: Ints | None = None
) -> Windows:
    """Cut rows into windows of at most ``size`` places so that each target occurs once.

    Windows are laid from the end of a row.  In ordered data the first place of a row is
    no target, since nothing comes before it.  Rows of fewer than two items give no window.

    Args:
        lengths: ``(U,)`` int64 items per row.
        size: Places per window, context and targets, at least 2.
        stride: Targets per window, in [1, size].
        ordered: Whether a target sees only what came before it.
        first_targets: ``(U,)`` first place that is a target; None for all that can be.

    Example:
        Five items, windows of three, one new target each: places 4, 3, 2 and 1.

        >>> cut = cut_windows(np.array([5]), 3, 1, ordered=True)
        >>> cut.starts.tolist(), cut.stops.tolist()
        ([2, 1, 0, 0], [5, 4, 3, 2])
        >>> cut.target_starts.tolist(), cut.target_stops.tolist()
        ([4, 3, 2, 1], [5, 4, 3, 2])
    """
    first = np.full_like(lengths, 1 if ordered else 0)
    if first_targets is not None:
        first = np.maximum(first, first_targets)
    n_targets = np.where(lengths >= 2, lengths - first, 0)
    n_windows = -(-n_targets // stride)
    rows = np.repeat(np.arange(len(lengths)), n_windows)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
    target_stops = lengths[rows] - rank * stride
    target_starts = np.maximum(target_stops - stride, first[rows])
    # without an order a short last window may look at later places too, to fill its context
    stops = target_stops if ordered else np.minimum(lengths[rows], np.maximum(target_stops, size))
    return Windows(rows, np.maximum(stops - size, 0), stops, target_starts, target_stops)


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

    settings: BatchSettings

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
        items = _gather(self._train, windows)
        generator = self._plan.generator(self._epoch, index)
        if self._plan.settings.split_ratio:
            return self._split(windows, items, generator)
        return self._each(windows, items, generator)

    def _each(self, windows: Windows, items: Ints, generator: np.random.Generator) -> TrainingBatch:
        """See each target from its own context."""
        targets = _target_mask(windows, items.shape[1])
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


def split_targets(
    mask: NDArray[np.bool_], ratio: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Mark a random share of each row, at least one place, and leave at least one unmarked.

    The share itself varies between half and one and a half of ``ratio``, so that contexts
    of many lengths are learned.

    Args:
        mask: ``(B, L)`` places that hold an item, at least two per row.
        ratio: Mean share, in (0, 2/3).
        generator: Source of randomness.

    Example:
        >>> rows = np.array([[False, True, True], [True, True, True]])
        >>> split_targets(rows, 0.4, np.random.default_rng(0)).sum(axis=1).tolist()
        [1, 1]
    """
    lengths = mask.sum(axis=1)
    shares = ratio * (0.5 + generator.random(len(mask)))
    n_targets = np.clip(np.rint(shares * lengths), 1, lengths - 1)
    keys = np.where(mask, generator.random(mask.shape), 2.0)
    ranks = np.argsort(np.argsort(keys, axis=1), axis=1)
    return np.asarray(ranks < n_targets[:, None])


def shuffle_rows(table: Ragged, generator: np.random.Generator) -> Ragged:
    """Return the table with the values of each row in random order."""
    rows = np.repeat(np.arange(len(table)), table.lengths)
    order = np.lexsort((generator.random(len(rows)), rows))
    return replace(table, values=table.values[order])


def keep_some(
    targets: NDArray[np.bool_], n_kept: int, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Keep ``n_kept`` random marks of each row, all where a row has fewer or ``n_kept`` is 0.

    Example:
        >>> marks = np.array([[True, True, True], [False, True, False]])
        >>> keep_some(marks, 2, np.random.default_rng(0)).sum(axis=1).tolist()
        [2, 1]
    """
    if not n_kept or n_kept >= targets.shape[1]:
        return targets
    keys = np.where(targets, generator.random(targets.shape), 2.0)
    bound = np.partition(keys, n_kept - 1, axis=1)[:, n_kept - 1 : n_kept]
    return targets & (keys <= bound)


def _gather(train: Ragged, windows: Windows) -> Ints:
    """Return ``(B, L)`` left-padded items of the windows."""
    lengths = windows.stops - windows.starts
    places = np.arange(-int(lengths.max()), 0)[None, :] + windows.stops[:, None]
    inside = places >= windows.starts[:, None]
    flat = train.offsets[windows.rows][:, None] + np.where(inside, places, 0)
    return np.where(inside, train.values[flat], PADDING)


def _target_mask(windows: Windows, length: int) -> NDArray[np.bool_]:
    places = np.arange(-length, 0)[None, :] + windows.stops[:, None]
    return (places >= windows.target_starts[:, None]) & (places < windows.target_stops[:, None])
