"""What every loss is given.

Shapes: **P** positives of a batch, **S** negatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LogitBatch", "Loss"]


@dataclass(frozen=True, slots=True)
class LogitBatch:
    """Scores of the positives and of their negatives.

    Attributes:
        positive: ``(P,)`` float32.
        negative: ``(P, S)`` float32.
        weight: ``(P, S)`` float32, at least 0; 0 removes a negative.
    """

    positive: Tensor
    negative: Tensor
    weight: Tensor

    def with_weights(self) -> Tensor:
        """Return ``(P, 1 + S)`` logits, positive first, with weights as shifts by their log.

        A weight of 0 becomes -inf, so such a negative has no probability and no gradient.
        """
        shifted = self.negative + torch.log(self.weight)
        return torch.cat([self.positive[:, None], shifted], dim=1)


Loss = Callable[[LogitBatch], Tensor]
"""Maps a batch to ``(P,)`` losses, one per positive."""
