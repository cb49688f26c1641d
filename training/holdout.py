"""Interactions kept from stage 1 so that stage 2 learns from pairs its base has not seen.

The deep score reads matches between a candidate and the history, in vectors that
stage 1 has fitted.  For a pair that stage 1 was trained on these matches are inflated,
and a deep branch trained on the same pairs learns to trust them: its training loss
falls and its validation loss rises.  The cure is that of stacking (Wolpert, Neural
Networks 1992): the second level is fitted on what the first has not seen.

Shapes: **U** users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import Ragged

__all__ = ["Holdout", "hold_out"]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Training interactions in two parts, each U rows in the original order.

    Attributes:
        kept: What stage 1 is trained on, and stage 2's contexts.
        held: What stage 2 has to predict.
    """

    kept: Ragged
    held: Ragged


def hold_out(
    train: Ragged, ratio: float, generator: np.random.Generator, *, ordered: bool
) -> Holdout:
    """Hold out a share of each row: the newest items where there is an order, else random ones.

    Shares are rounded at random, so that short rows give their part too; at least two
    items of a row are kept.

    Args:
        train: U rows of item numbers.
        ratio: Share to hold out, in [0, 1).
        generator: Source of randomness.
        ordered: Whether rows are oldest first.

    Example:
        >>> rows = Ragged.from_lists([[1, 2, 3, 4], [5, 6]])
        >>> parts = hold_out(rows, 0.5, np.random.default_rng(0), ordered=True)
        >>> parts.kept[0].tolist(), parts.held[0].tolist(), parts.held[1].tolist()
        ([1, 2], [3, 4], [])
    """
    lengths = train.lengths
    n_held = np.floor(ratio * lengths + generator.random(len(lengths))).astype(np.int64)
    n_held = np.clip(n_held, 0, np.maximum(lengths - 2, 0))
    rows = np.repeat(np.arange(len(train)), lengths)
    ranks = _ranks(train, rows, None if ordered else generator)
    held = ranks >= (lengths - n_held)[rows]
    return Holdout(_select(train, rows, ~held), _select(train, rows, held))


def _ranks(
    train: Ragged, rows: NDArray[np.int64], generator: np.random.Generator | None
) -> NDArray[np.int64]:
    """Return each value's place in its row, or a random one."""
    places = np.arange(len(rows)) - train.offsets[rows]
    if generator is None:
        return places
    ranks = np.empty_like(places)
    ranks[np.lexsort((generator.random(len(rows)), rows))] = places
    return ranks


def _select(train: Ragged, rows: NDArray[np.int64], which: NDArray[np.bool_]) -> Ragged:
    counts = np.bincount(rows[which], minlength=len(train))
    return Ragged(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), train.values[which])
