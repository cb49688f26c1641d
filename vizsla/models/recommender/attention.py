"""Target attention: what in a history speaks for a candidate.

Everything here depends on the candidate through ``e_v`` only: dot products with
the history's vectors, and with its keys through the query net.
Shapes: **P** targets, **C** candidates, **L** length, **D** size, **A** attention size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.layers import MASKED, mlp

__all__ = ["N_MATCH_FEATURES", "Match", "TargetAttention"]

N_MATCH_FEATURES = 8
SHARPNESS = 8.0
"""Factor of cosines inside the log-sum-exp: between their mean and their maximum."""


@dataclass(frozen=True, slots=True)
class Match:
    """What the score net learns about candidates from the history.

    Attributes:
        context: ``(..., C, D)`` attention-weighted history.
        features: ``(..., C, N_MATCH_FEATURES)`` pooled dot products.
    """

    context: Tensor
    features: Tensor


class TargetAttention(nn.Module):
    """Scaled dot-product attention from a candidate to the history (paper, App. A).

    ``query(e_v)`` does not depend on the user and ``keys`` not on the candidate, so
    serving computes each once.  Keys carry how long ago an item was, if there is an order.
    """

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        size = config.attention_size
        self.ordered = config.ordered
        self.scale = size**-0.5
        self.query = mlp(config.embedding_size, config.attention_hidden, size)
        self.key = mlp(config.embedding_size, config.attention_hidden, size)
        self.recency = nn.Embedding(config.max_history + 1, size) if config.ordered else None

    def keys(self, context: Tensor) -> Tensor:
        """Return ``(..., A)`` keys of history items, without their recency."""
        keys: Tensor = self.key(context)
        return keys

    def aged_keys(self, keys: Tensor, ages: Tensor) -> Tensor:
        """Add the recency vectors of ``ages`` (0 = latest) to ``keys`` ``(..., L, A)``."""
        if self.recency is None:
            return keys
        aged: Tensor = keys + self.recency(ages.clamp(max=self.recency.num_embeddings - 1))
        return aged

    def forward(
        self, queries: Tensor, vectors: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Match:
        """Match candidates with a history.

        Args:
            queries: ``(..., C, A)``.
            vectors: ``(..., C, D)`` item vectors.
            keys: ``(..., L, A)``.
            values: ``(..., L, D)`` item vectors of the history.
            mask: ``(..., L)`` bool, left-padded if there is an order.
        """
        known = mask.any(-1)[..., None]
        penalty = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, MASKED)[
            ..., None, :
        ]
        logits = queries * self.scale @ keys.transpose(-1, -2) + penalty
        cosines = vectors @ values.transpose(-1, -2) + penalty
        total = logits.logsumexp(-1, keepdim=True)
        context = torch.exp(logits - total) @ values * known[..., None]
        pooled = [
            (context * vectors).sum(-1),
            cosines.amax(-1) * known,
            (cosines * SHARPNESS).logsumexp(-1) / SHARPNESS * known,
            total.squeeze(-1) * known,
            *self._means(queries, vectors, keys, values, mask),
        ]
        return Match(context, torch.stack(pooled, dim=-1))

    def _means(
        self, queries: Tensor, vectors: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> list[Tensor]:
        """Return the mean similarity to the history, and that to its most recent item.

        By linearity these are dot products with one vector, so they cost nothing per item.
        """
        mean = mask / mask.sum(-1, keepdim=True).clamp(min=1)
        last = self._last(mask)
        return [
            _dot(vectors, mean, values),
            _dot(vectors, last, values),
            _dot(queries * self.scale, mean, keys),
            _dot(queries * self.scale, last, keys),
        ]

    def _last(self, mask: Tensor) -> Tensor:
        """Return ``(..., L)`` weights that pick the most recent item, or nothing without an order."""
        if not self.ordered:
            return torch.zeros(mask.shape, device=mask.device)
        return (mask & (mask.flip(-1).cumsum(-1).flip(-1) == 1)).float()


def _dot(candidates: Tensor, weights: Tensor, history: Tensor) -> Tensor:
    pooled = (weights.unsqueeze(-2) @ history).transpose(-1, -2)
    return (candidates @ pooled).squeeze(-1)
