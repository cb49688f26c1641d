"""What the attention and the deep branch are worth: the matcher without them (paper, 5.1.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from vizsla.models.recommender.attention import N_MATCH_FEATURES, Match
from vizsla.models.recommender.base import SequenceBatch, UserState
from vizsla.models.recommender.nann import FoldedUser, Nann

__all__ = ["NoAttention", "TwoSided"]


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


class TwoSided(Nann):
    """The two-sided head alone: its deep scores are its proxy's."""

    def target_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return states without history."""
        return self.two_sided_states(batch, rows, columns)

    def scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return the two-sided scores."""
        return self.two_sided_scores(state, vectors)

    def item_tables(self) -> tuple[Tensor, ...]:
        """Return ``e_v`` of all items."""
        return (self.item_vectors(),)

    def folded_scores(self, folded: FoldedUser, tables: tuple[Tensor, ...]) -> Tensor:
        """Return the dot products of gathered item vectors."""
        return torch.mv(tables[0], folded[0])
