"""The same list for everybody."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data import Ragged, Split

__all__ = ["Popularity"]


class Popularity:
    """Scores an item by its number of training interactions.

    The floor that every other model must clear, and what an unknown user gets.
    """

    def fit(self, split: Split) -> None:
        """Count."""
        self._counts = split.item_counts().astype(np.float32)

    def scores(self, histories: Ragged) -> NDArray[np.float32]:
        """Return ``(Q, N)`` counts, the same in every row."""
        return np.tile(self._counts, (len(histories), 1))
