"""A score and its item in one integer, so that selecting by size breaks ties by item number.

Shapes: **B** queries, **C** candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["EMPTY", "best", "items_of", "joined", "packed", "rank_of", "scores_of"]

EMPTY = -(2**63)
"""Key of a place without an item; below every other."""

_LARGEST = 2**31 - 1
_WORD = 2**32


def packed(scores: Tensor, item_nums: Tensor) -> Tensor:
    """Return int64 keys that order as the scores do, equal ones by item number, smaller first.

    Args:
        scores: ``(B, C)`` float32, no NaN.
        item_nums: ``(B, C)`` int64 below 2^31.

    Example:
        >>> keys = packed(torch.tensor([[0.5, -1.0, 0.5]]), torch.tensor([[7, 3, 4]]))
        >>> top = best(keys, 2)
        >>> items_of(top).tolist(), scores_of(top).tolist()
        ([[4, 7]], [[0.5, 0.5]])
    """
    bits = (scores + 0.0).view(torch.int32)  # minus zero becomes zero: they are equal
    return _mirrored(bits).long() * _WORD + (_LARGEST - item_nums)


def best(keys: Tensor, width: int) -> Tensor:
    """Return the ``min(width, C)`` largest keys of each row, best first."""
    return keys.topk(min(width, keys.shape[1]), dim=1).values


def joined(keys: Tensor, more: Tensor, width: int) -> Tensor:
    """Return the best of two sets of keys."""
    return best(torch.cat([keys, more], dim=1), width)


def items_of(keys: Tensor) -> Tensor:
    """Return the int64 item numbers; of ``EMPTY``, nothing meant."""
    return _LARGEST - (keys & (_WORD - 1))


def scores_of(keys: Tensor) -> Tensor:
    """Return the float32 scores; NaN of ``EMPTY``."""
    return _mirrored(rank_of(keys).int()).view(torch.float32)


def rank_of(keys: Tensor) -> Tensor:
    """Return the part of a key that the score decides: greater for a greater score."""
    return keys >> 32


def _mirrored(bits: Tensor) -> Tensor:
    """Turn float32 bits into integers of the same order, and back."""
    return bits ^ ((bits >> 31) & _LARGEST)
