"""Batches that predict held-out items of unordered data from the kept ones.

Shapes: **B** users of a batch, **L** context length, **P** targets, **U** users.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from training.batches import BatchPlan, BatchSettings, TrainingBatch
from training.data import Ragged, Split
from training.holdout import Holdout
from training.plans import Plan
from training.windows import shuffle_rows
from vizsla.models.recommender.base import PADDING, SequenceBatch
from vizsla.rng import numpy_generator

__all__ = ["HeldEpoch", "HeldPlan", "held_plan"]

Ints = NDArray[np.int64]


def held_plan(
    split: Split, holdout: Holdout, settings: BatchSettings, seed: int
) -> Plan[TrainingBatch]:
    """Plan batches whose targets are the held-out items, seen from contexts like serving's.

    With an order each target sees all that came before it; without, a sample of the
    user's kept items.
    """
    if split.order != "none":
        return BatchPlan(split, settings, seed, "held", holdout.kept.lengths)
    return HeldPlan(split, holdout, settings, seed)


class HeldPlan:
    """One sequence per user with held-out items: context and targets drawn anew each epoch.

    Args:
        split: Whose users' features are read.
        holdout: The parts.
        settings: Sizes; ``targets_per_sequence`` bounds the targets of a user, 0 for none.
        seed: Of the run.
    """

    def __init__(self, split: Split, holdout: Holdout, settings: BatchSettings, seed: int) -> None:
        self.settings = settings
        self._holdout = holdout
        self._codes = split.user_features.codes if split.user_features is not None else None
        self._users = np.flatnonzero(holdout.held.lengths)
        self._seed = seed

    @property
    def n_batches(self) -> int:
        """Batches per epoch."""
        return -(-self.n_rows // self.settings.batch_size)

    @property
    def n_rows(self) -> int:
        """Users per epoch."""
        return len(self._users)

    @property
    def batch_size(self) -> int:
        """Users of a full batch."""
        return self.settings.batch_size

    def epoch(self, epoch: int) -> HeldEpoch:
        """Shuffle users, contexts and targets for one epoch."""
        generator = numpy_generator(self._seed, "held", "epoch", epoch)
        kept = shuffle_rows(self._holdout.kept, generator)
        held = shuffle_rows(self._holdout.held, generator)
        return HeldEpoch(self.settings, kept, held, generator.permutation(self._users), self._codes)


class HeldEpoch:
    """The batches of one epoch, by number."""

    def __init__(
        self,
        settings: BatchSettings,
        kept: Ragged,
        held: Ragged,
        users: Ints,
        codes: Ints | None,
    ) -> None:
        self._settings, self._codes = settings, codes
        self._kept, self._held, self._users = kept, held, users

    def __getitem__(self, index: int) -> TrainingBatch:
        size, n_targets = self._settings.batch_size, self._settings.targets_per_sequence
        users = self._users[index * size : (index + 1) * size]
        contexts = [self._kept[user][-self._settings.max_history :] for user in users]
        targets = [self._held[user][: n_targets or None] for user in users]
        items = _left_padded(contexts)
        seen_from = np.repeat(np.arange(len(users)), [len(row) for row in targets])
        codes = None if self._codes is None else torch.from_numpy(self._codes[users])
        return TrainingBatch(
            SequenceBatch(torch.from_numpy(items), codes),
            torch.arange(len(users)),
            torch.full((len(users),), items.shape[1]),
            torch.from_numpy(users),
            torch.from_numpy(np.concatenate(targets)),
            torch.from_numpy(seen_from),
        )


def _left_padded(rows: Sequence[Ints]) -> Ints:
    length = max(len(row) for row in rows)
    padded = np.full((len(rows), length), PADDING, np.int64)
    for place, row in enumerate(rows):
        padded[place, length - len(row) :] = row
    return padded
