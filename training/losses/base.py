"""What every loss is given.

Shapes: **P** positives of a batch, **S** negatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["LogitBatch", "Loss"]

NEVER = -1e6


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

    def weighted_negative(self) -> Tensor:
        """Return ``(P, S)`` negative logits with weights as shifts by their log.

        A weight of 0 becomes a huge negative number: such a negative has no probability and
        no gradient.  Not -inf, whose gradient is NaN for a row without any negative.
        """
        return self.negative + torch.log(self.weight).clamp_(min=NEVER)


Loss = Callable[[LogitBatch], Tensor]
"""Maps a batch to ``(P,)`` losses, one per positive."""
