"""What every loss is given.

Shapes: **P** positives of a batch, **Q** contexts they are seen from, **S** negatives.
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
        negative: ``(Q, S)`` float32.
        weight: ``(Q, S)`` float32, at least 0; 0 removes a negative.
        row_of: ``(P,)`` int64 in [0, Q): whose negatives a positive has; None for its own, P = Q.
    """

    positive: Tensor
    negative: Tensor
    weight: Tensor
    row_of: Tensor | None = None

    def per_positive(self, rows: Tensor) -> Tensor:
        """Repeat ``(Q, ...)`` rows for their positives: ``(P, ...)``."""
        return rows if self.row_of is None else rows[self.row_of]

    def weighted_negative(self) -> Tensor:
        """Return ``(Q, S)`` negative logits with weights as shifts by their log.

        A weight of 0 becomes a huge negative number: such a negative has no probability and
        no gradient.  Not -inf, whose gradient is NaN for a row without any negative.
        """
        return self.negative + torch.log(self.weight).clamp_(min=NEVER)


Loss = Callable[[LogitBatch], Tensor]
"""Maps a batch to ``(P,)`` losses, one per positive."""
