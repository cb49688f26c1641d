"""What the attention is worth: the matcher without it (paper, 5.1.3)."""

from __future__ import annotations

from torch import Tensor

from vizsla.models.recommender.attention import N_MATCH_FEATURES, Match
from vizsla.models.recommender.nann import Nann

__all__ = ["NoAttention"]


class NoAttention(Nann):
    """``Nann`` with the attention replaced by the mean of the history."""

    def _match(
        self, queries: Tensor, vectors: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Match:
        del queries, keys
        weights = mask / mask.sum(-1, keepdim=True).clamp(min=1)
        mean = (weights.unsqueeze(-2) @ values).expand_as(vectors)
        features = vectors.new_zeros(*vectors.shape[:-1], N_MATCH_FEATURES)
        features[..., 0] = (mean * vectors).sum(-1)
        return Match(mean, features)
