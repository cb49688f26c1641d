"""The NANN matcher: a two-sided head plus a deep branch with target attention.

``s_u(e_v) = u . e_v / temperature + deep(u, history, e_v)``: the deep branch starts at
zero, so training begins at the two-sided model and has to improve on it (spec 6.7).
Shapes as in ``base``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vizsla.models.recommender.attention import Match, TargetAttention
from vizsla.models.recommender.base import CompiledScore, SequenceBatch, UserState
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.context import context_mask, distances
from vizsla.models.recommender.fused import FusedNann
from vizsla.models.recommender.score_net import ScoreNet
from vizsla.models.recommender.two_sided import TwoSided

__all__ = ["FoldedUser", "Nann"]

FoldedUser = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""``proxy (D,)``, ``keys (L, A)``, ``values (L, D)``, ``mask (L,)``, ``user part (H,)``, ``product weight (D, H)``."""


class Nann(TwoSided):
    """The deep matcher of Chen et al., CIKM 2022, with LayerNorm and a residual dot product.

    Args:
        config: Sizes and options.

    Example:
        >>> matcher = Nann(NannConfig(n_items=5, embedding_size=8))
        >>> batch = SequenceBatch(torch.tensor([[0, 1, 2]]))
        >>> state = matcher.final_states(batch)
        >>> matcher.scores(state, matcher.item_vectors()).shape
        torch.Size([1, 5])
    """

    def __init__(self, config: NannConfig) -> None:
        super().__init__(config)
        self.attention = TargetAttention(config)
        self.score_net = ScoreNet(config)

    def target_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return the states of targets; see ``Matcher``."""
        vectors, contexts = self._history(batch)
        user = self._user(contexts, batch, rows, columns)
        mask = context_mask(batch.mask[rows], columns, ordered=self.config.ordered)
        keys = self.attention.aged_keys(self.attention.keys(contexts)[rows], distances(mask))
        return UserState(user, vectors[rows], keys, mask)

    def scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return the deep scores; see ``Matcher``."""
        return self.batch_scores(state, self.tables_of(vectors))

    def batch_scores(self, state: UserState, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(P, C)`` scores of table rows, per user or shared; see ``Matcher``."""
        vectors, queries, item_part = tables
        each = vectors if vectors.dim() == 3 else vectors.expand(len(state.user), -1, -1)
        first = item_part + self.score_net.user_part(state.user)[:, None]
        first = first + each @ self.score_net.product_weight(state.user)
        match = self._match(queries, each, state.keys, state.values, state.mask)
        return self._with_deep(self.two_sided_scores(state, vectors), first, each, match)

    @torch.no_grad()
    def scale_deep(self, factor: float) -> None:
        """Multiply the deep branch's output by a factor, in place."""
        for layer in (self.score_net.out, self.score_net.direct):
            for parameter in layer.parameters():
                parameter.mul_(factor)

    def tables_of(self, vectors: Tensor) -> tuple[Tensor, ...]:
        """Return ``e_v``, attention queries and first-layer parts of items."""
        return vectors, self.attention.query(vectors), self.score_net.item_part(vectors)

    def fold(self, state: UserState, row: int) -> FoldedUser:
        """Fold one user's side; empty places are dropped, but never all."""
        mask, user = state.mask[row], state.user[row]
        kept = mask if mask.any() else slice(0, 1)
        history = (state.keys[row][kept], state.values[row][kept], mask[kept])
        net = self.score_net
        return (self.proxy(state)[row], *history, net.user_part(user), net.product_weight(user))

    def folded_scores(self, folded: FoldedUser, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(C,)`` scores of gathered table rows; equal to ``scores``."""
        proxy, keys, values, mask, user_part, product = folded
        vectors, queries, item_part = tables
        first = torch.addmm(item_part + user_part, vectors, product)
        match = self._match(queries, vectors, keys, values, mask)
        return self._with_deep(vectors @ proxy, first, vectors, match)

    def compiled(self) -> CompiledScore | None:
        """Return the compiled score; a subclass with another match has to bring its own."""
        return FusedNann(self) if type(self)._match is Nann._match else None

    def _with_deep(self, two_sided: Tensor, first: Tensor, vectors: Tensor, match: Match) -> Tensor:
        """Return the two-sided scores plus the deep branch's."""
        cosines = two_sided * self.log_temperature.exp()
        deep: Tensor = self.score_net(first, vectors, match, cosines)
        return two_sided + deep

    def _match(
        self, queries: Tensor, vectors: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Match:
        match: Match = self.attention(queries, vectors, keys, values, mask)
        return match
