"""The score net: a small network over user, candidate and their match.

Its first layer is a sum of parts, so that serving computes the candidate's part
once per catalogue and the user's part once per request (exact, spec 3.6).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from vizsla.models.recommender.attention import N_MATCH_FEATURES, Match
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.layers import ZeroLinear

__all__ = ["ScoreNet"]

N_FEATURES = N_MATCH_FEATURES + 1


class ScoreNet(nn.Module):
    """``s = w . MLP(LayerNorm(W_v e_v + W_u u + W_uv (u * e_v) + W_c [c, c * e_v, m])) + w_m . m``.

    LayerNorm, because batch statistics of shared negatives do not hold at serving time.
    Both output layers start at zero: the untrained net adds nothing.
    """

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        size, widths = config.embedding_size, config.score_hidden
        self.scale = config.deep_scale
        self.item = nn.Linear(size, widths[0], bias=False)
        self.user = nn.Linear(size, widths[0])
        self.product = nn.Linear(size, widths[0], bias=False)
        self.match = nn.Linear(2 * size + N_FEATURES, widths[0], bias=False)
        self.norm = nn.LayerNorm(widths[0])
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.out = ZeroLinear(widths[-1], 1)
        self.direct = ZeroLinear(N_FEATURES, 1, bias=False)

    def item_part(self, vectors: Tensor) -> Tensor:
        """Return ``(..., H)``: the part of the first layer that only the candidate decides."""
        part: Tensor = self.item(vectors)
        return part

    def user_part(self, user: Tensor) -> Tensor:
        """Return ``(..., H)``: the part of the first layer that only the user decides."""
        part: Tensor = self.user(user)
        return part

    def product_weight(self, user: Tensor) -> Tensor:
        """Return ``(..., D, H)``: fold ``u`` into the weight that meets ``e_v``."""
        return (self.product.weight * user.unsqueeze(-2)).transpose(-1, -2)

    def forward(self, first: Tensor, vectors: Tensor, match: Match, cosines: Tensor) -> Tensor:
        """Return ``(..., C)`` scores.

        Args:
            first: ``(..., C, H)`` sum of the item, user and product parts.
            vectors: ``(..., C, D)``.
            match: The history's answer to these candidates.
            cosines: ``(..., C)`` of the user and the candidates, so that the net can rescale
                the two-sided score.
        """
        features = torch.cat([match.features, cosines.unsqueeze(-1)], -1)
        parts = [match.context, match.context * vectors, features]
        x = torch.relu(self.norm(first + self.match(torch.cat(parts, -1))))
        for layer in self.hidden:
            x = torch.relu(layer(x))
        out: Tensor = self.out(x) + self.direct(features)
        return out.squeeze(-1) * self.scale
