"""Move the marked entries of each row to its front, without asking how many there are."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["compacted"]


def compacted(values: Tensor, marked: Tensor, width: int, fill: int) -> Tensor:
    """Return ``(B, width)`` the first marked values of each row, in order, then ``fill``.

    Args:
        values: ``(B, C)`` int64.
        marked: ``(B, C)`` bool.
        width: Columns of the answer.
        fill: What stands where a row has fewer.

    Example:
        >>> compacted(torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, True]]), 3, -1).tolist()
        [[7, 9, -1]]
    """
    places = marked.cumsum(1, dtype=torch.int32).sub_(1)
    # what is not marked, or comes too late, goes to a last column that is cut off
    places = places.masked_fill(~marked, width).clamp_(max=width)
    out = values.new_full((len(values), width + 1), fill)
    return out.scatter_(1, places.long(), values)[:, :width]
