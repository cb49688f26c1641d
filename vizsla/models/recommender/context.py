"""What of a sequence a target may see, and left-padded batches.

Shapes: **B** sequences, **L** length, **P** targets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.models.recommender.base import PADDING, SequenceBatch

__all__ = ["context_mask", "distances", "pad_histories"]


def context_mask(mask: Tensor, columns: Tensor, *, ordered: bool) -> Tensor:
    """Return ``(P, L)`` bool: the places a target in column ``columns[p]`` is seen from.

    With an order these are the earlier places, without one all others; never the target.

    Args:
        mask: ``(P, L)`` bool, where the target's sequence has an item.
        columns: ``(P,)`` int64; L stands for "after the whole sequence".
        ordered: Whether the sequence has an order.

    Example:
        >>> whole = torch.tensor([[False, True, True, True]])
        >>> context_mask(whole, torch.tensor([2]), ordered=True).tolist()
        [[False, True, False, False]]
        >>> context_mask(whole, torch.tensor([2]), ordered=False).tolist()
        [[False, True, False, True]]
    """
    places = torch.arange(mask.shape[1], device=mask.device)
    targets = columns[:, None]
    return mask & (places < targets if ordered else places != targets)


def distances(mask: Tensor) -> Tensor:
    """Return ``(P, L)`` int64: how many context items lie at or after each place, minus one.

    The most recent item of the context has distance 0.

    Example:
        >>> distances(torch.tensor([[False, True, True, False]])).tolist()
        [[1, 1, 0, 0]]
    """
    later = mask.flip(1).cumsum(1).flip(1)
    return (later - 1).clamp(min=0)


def pad_histories(histories: Sequence[NDArray[np.int64]], max_history: int) -> SequenceBatch:
    """Left-pad histories to one length, keeping the last ``max_history`` items of each.

    Example:
        >>> pad_histories([np.array([1, 2, 3]), np.array([4])], 2).item_nums.tolist()
        [[2, 3], [-1, 4]]
    """
    rows = [history[-max_history:] for history in histories]
    length = max((len(row) for row in rows), default=0)
    table = np.full((len(rows), max(length, 1)), PADDING, np.int64)
    for row, items in zip(table, rows, strict=True):
        row[table.shape[1] - len(items) :] = items
    return SequenceBatch(torch.from_numpy(table))
