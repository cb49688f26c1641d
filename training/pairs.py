"""Batches of single interactions, for models that know users by number.

Shapes: **P** pairs of a batch, **E** interactions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.data import Ragged
from vizsla.rng import numpy_generator

__all__ = ["EpochPairs", "PairBatch", "PairPlan", "pairs_of"]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Interactions.

    Attributes:
        users: ``(P,)`` int64 row of the user in ``Split.train``.
        positives: ``(P,)`` int64 item numbers.
    """

    users: Tensor
    positives: Tensor

    def __len__(self) -> int:
        return len(self.users)


def pairs_of(rows: Ragged) -> PairBatch:
    """Return all ``(E,)`` interactions, by user.

    Example:
        >>> pairs = pairs_of(Ragged.from_lists([[3, 1], [], [2]]))
        >>> pairs.users.tolist(), pairs.positives.tolist()
        ([0, 0, 2], [3, 1, 2])
    """
    return PairBatch(torch.from_numpy(rows.row_of), torch.from_numpy(rows.values.astype(np.int64)))


class PairPlan:
    """All interactions once per epoch, in an order that seed and epoch decide.

    Args:
        train: U rows of item numbers.
        batch_size: Pairs of a full batch P.
        seed: Of the run.
    """

    def __init__(self, train: Ragged, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self._pairs = pairs_of(train)
        self._seed = seed

    @property
    def n_batches(self) -> int:
        """Batches per epoch."""
        return -(-self.n_rows // self.batch_size)

    @property
    def n_rows(self) -> int:
        """Pairs per epoch."""
        return len(self._pairs)

    def epoch(self, epoch: int) -> EpochPairs:
        """Shuffle for one epoch."""
        drawn = numpy_generator(self._seed, "pairs", "epoch", epoch).permutation(self.n_rows)
        order = torch.from_numpy(drawn)
        # once per epoch: a gather per batch would cost a tenth of a small model's step
        users = self._pairs.users.index_select(0, order)
        positives = self._pairs.positives.index_select(0, order)
        return EpochPairs(PairBatch(users, positives), self.batch_size)


class EpochPairs:
    """The batches of one epoch, by number."""

    def __init__(self, shuffled: PairBatch, batch_size: int) -> None:
        self._pairs, self._size = shuffled, batch_size

    def __getitem__(self, index: int) -> PairBatch:
        own = slice(index * self._size, (index + 1) * self._size)
        return PairBatch(self._pairs.users[own], self._pairs.positives[own])
