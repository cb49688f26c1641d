"""Windows of users' sequences, and which of their places are to be predicted.

Shapes: **B** rows of a batch, **L** length, **U** users, **W** windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import Ragged
from vizsla.models.recommender.base import PADDING

__all__ = [
    "Windows",
    "cut_windows",
    "gather",
    "keep_some",
    "shuffle_rows",
    "split_targets",
    "target_mask",
]

Ints = NDArray[np.int64]


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


def gather(train: Ragged, windows: Windows) -> Ints:
    """Return ``(W, L)`` int64 left-padded items of the windows."""
    lengths = windows.stops - windows.starts
    places = np.arange(-int(lengths.max()), 0)[None, :] + windows.stops[:, None]
    inside = places >= windows.starts[:, None]
    flat = train.offsets[windows.rows][:, None] + np.where(inside, places, 0)
    return np.where(inside, train.values[flat], PADDING)


def target_mask(windows: Windows, length: int) -> NDArray[np.bool_]:
    """Return ``(W, L)`` marks of the targets in what ``gather`` returned."""
    places = np.arange(-length, 0)[None, :] + windows.stops[:, None]
    return (places >= windows.target_starts[:, None]) & (places < windows.target_stops[:, None])
