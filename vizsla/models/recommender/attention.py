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
from vizsla.models.recommender.layers import MASKED, masked_softmax, mlp

__all__ = ["N_MATCH_FEATURES", "Match", "TargetAttention"]

N_MATCH_FEATURES = 9
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
            mask: ``(..., L)`` bool.
        """
        logits = queries @ keys.transpose(-1, -2) * self.scale
        cosines = vectors @ values.transpose(-1, -2)
        places = mask.unsqueeze(-2)
        weights = masked_softmax(logits, places)
        pooled = self._pooled(logits, cosines, weights, places)
        return Match(weights @ values, torch.stack(pooled, dim=-1))

    def _pooled(
        self, logits: Tensor, cosines: Tensor, weights: Tensor, places: Tensor
    ) -> list[Tensor]:
        known = places.any(-1)
        count = places.sum(-1).clamp(min=1)
        return [
            (cosines * weights).sum(-1),
            (cosines * places).sum(-1) / count,
            _largest(cosines, places, known),
            _soft_largest(cosines * SHARPNESS, places, known, count) / SHARPNESS,
            self._latest(cosines, places),
            (logits * places).sum(-1) / count,
            _largest(logits, places, known),
            _soft_largest(logits, places, known, count),
            self._latest(logits, places),
        ]

    def _latest(self, similarities: Tensor, places: Tensor) -> Tensor:
        """Return the similarity with the most recent item: the last True place."""
        if not self.ordered:
            return torch.zeros_like(similarities[..., 0])
        last = places & (places.flip(-1).cumsum(-1).flip(-1) == 1)
        return (similarities * last).sum(-1)


def _largest(similarities: Tensor, places: Tensor, known: Tensor) -> Tensor:
    return similarities.masked_fill(~places, MASKED).amax(-1) * known


def _soft_largest(similarities: Tensor, places: Tensor, known: Tensor, count: Tensor) -> Tensor:
    total = similarities.masked_fill(~places, MASKED).logsumexp(-1)
    return (total - count.log()) * known
