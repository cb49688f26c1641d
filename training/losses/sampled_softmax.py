"""Sampled softmax: the positive against its negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.base import LogitBatch

__all__ = ["sampled_softmax"]


def sampled_softmax(logits: LogitBatch) -> Tensor:
    """Return ``(P,)`` cross-entropies of the positive among itself and its negatives.

    Negatives of weight 0 (accidental hits, items the user has) take no part.

    Example:
        Two equal logits; the masked third does not count: ``log 2``.

        >>> batch = LogitBatch(
        ...     torch.zeros(1), torch.tensor([[0.0, 9.0]]), torch.tensor([[1.0, 0.0]])
        ... )
        >>> sampled_softmax(batch)
        tensor([0.6931])
    """
    against = logits.per_positive(torch.logsumexp(logits.weighted_negative(), dim=1))
    return torch.nn.functional.softplus(against - logits.positive)
