"""A mixture of logits as a ``ComponentScorer``: what a bound on its scores is made of.

Shapes: **B** queries, **I** components a side, **E** size of a component, **N** items.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.contracts.tables import ItemTables
from vizsla.models.recommender.mixture_of_logits import MixtureOfLogits
from vizsla.models.recommender.scorer import ScorerState, TorchScorer

__all__ = ["MixtureScorer"]


class MixtureScorer(TorchScorer):
    """``TorchScorer`` that also shows the components.

    The gates of a pair sum to 1, so the mixture is at most its largest logit times the mixture's
    weight over the temperature, or its smallest where that weight is negative.

    Args:
        matcher: A trained mixture.
        device: Where to score.
        tables: See ``TorchScorer``.
    """

    def __init__(
        self, matcher: MixtureOfLogits, device: str = "cpu", *, tables: ItemTables | None = None
    ) -> None:
        super().__init__(matcher, device, tables=tables)
        with torch.inference_mode():
            self._scale = float(matcher.weight / matcher.log_temperature.exp())

    @property
    def item_components(self) -> NDArray[np.float32]:
        """``(N, I, E)`` unit vectors."""
        return self.tables.rows(1, slice(None))

    def components(self, state: ScorerState) -> NDArray[np.float32]:
        """Return ``(B, I, E)``: the users' components times the mixture's weight."""
        users = [folded[1].cpu().numpy() for folded in state.folded]
        scaled: NDArray[np.float32] = np.stack(users) * np.float32(self._scale)
        return scaled
