"""Bayesian personalised ranking: the positive above each negative."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from training.losses.base import LogitBatch

__all__ = ["bpr"]


def bpr(logits: LogitBatch) -> Tensor:
    """Return ``(P,)`` weighted means of ``-log sigmoid(positive - negative)``.

    The logQ correction means nothing here and is not to be applied.

    Example:
        >>> import torch
        >>> bpr(LogitBatch(torch.zeros(1), torch.zeros(1, 2), torch.ones(1, 2)))
        tensor([0.6931])

    References:
        Rendle et al., UAI 2009.
    """
    weight = logits.per_positive(logits.weight)
    each = softplus(logits.per_positive(logits.negative) - logits.positive[:, None]) * weight
    return each.sum(dim=1) / weight.sum(dim=1).clamp(min=1e-12)
