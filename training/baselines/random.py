"""Chance level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data import Ragged, Split
from vizsla.rng import numpy_generator

__all__ = ["Random"]


class Random:
    """Scores every item at random, anew in every call after ``fit``.

    Args:
        seed: Same seed and same calls, same scores.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed

    def fit(self, split: Split) -> None:
        """Remember the number of items and start the sequence of draws."""
        self._n_items = split.n_items
        self._generator = numpy_generator(self._seed, "random baseline")

    def scores(self, histories: Ragged) -> NDArray[np.float32]:
        """Return ``(Q, N)`` draws in [0, 1)."""
        return self._generator.random((len(histories), self._n_items), np.float32)
