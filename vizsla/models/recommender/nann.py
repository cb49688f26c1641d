"""The NANN matcher: a two-sided head plus a deep branch with target attention.

``s_u(e_v) = u . e_v / temperature + deep(u, history, e_v)``: the deep branch starts at
zero, so training begins at the two-sided model and has to improve on it (spec 6.7).
Shapes as in ``base``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vizsla.models.recommender.attention import Match, TargetAttention
from vizsla.models.recommender.base import Matcher, SequenceBatch, UserState
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.context import context_mask, distances
from vizsla.models.recommender.encoders import build_encoder
from vizsla.models.recommender.features import RaggedCodes, pack_features
from vizsla.models.recommender.item_net import ItemNet
from vizsla.models.recommender.score_net import ScoreNet

__all__ = ["FoldedUser", "Nann"]

FoldedUser = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""``proxy (D,)``, ``keys (L, A)``, ``values (L, D)``, ``mask (L,)``, ``user part (H,)``, ``product weight (D, H)``."""


class Nann(Matcher):
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

    Config: ClassVar[type[NannConfig]] = NannConfig

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        self.config = config
        self.items = ItemNet(config)
        residual = config.context == "residual"
        self.contexts = nn.Embedding(config.n_items, config.embedding_size) if residual else None
        if self.contexts is not None:
            nn.init.zeros_(self.contexts.weight)
        self.encoder = build_encoder(config)
        n_values = sum(config.user_feature_sizes)
        self.profile = (
            nn.Embedding(n_values + 1, config.embedding_size, padding_idx=0) if n_values else None
        )
        self.attention = TargetAttention(config)
        self.score_net = ScoreNet(config)
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(config.temperature)), requires_grad=config.learn_temperature
        )

    @property
    def max_history(self) -> int:
        """Longest context, L."""
        return self.config.max_history

    @property
    def n_user_features(self) -> int:
        """Number of user columns, F."""
        return len(self.config.user_feature_sizes)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all initial weights from one generator; contexts start at zero."""
        super().reset_parameters(generator)
        if self.contexts is not None:
            nn.init.zeros_(self.contexts.weight)

    def set_item_features(
        self, codes: NDArray[np.int64], multi: Sequence[RaggedCodes] = ()
    ) -> None:
        """Give the item net its side features: ``(N, F)`` codes and ragged columns of codes."""
        sizes, multi_sizes = self.config.item_feature_sizes, self.config.item_multi_sizes
        self.items.set_features(*pack_features(codes, sizes, multi, multi_sizes))

    @torch.no_grad()
    def set_item_embeddings(self, embeddings: NDArray[np.float32]) -> None:
        """Start from given ``(N, D)`` item embeddings, e.g. a truncated SVD."""
        self.items.ids.weight.copy_(torch.from_numpy(embeddings))

    def item_vectors(self, item_nums: Tensor | None = None) -> Tensor:
        """Return unit vectors ``e_v``; see ``Matcher``."""
        vectors: Tensor = self.items(item_nums)
        return vectors

    def target_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return the states of targets; see ``Matcher``."""
        vectors, contexts = self._history(batch)
        user = self._user(contexts, batch, rows, columns)
        mask = context_mask(batch.mask[rows], columns, ordered=self.config.ordered)
        keys = self.attention.aged_keys(self.attention.keys(contexts)[rows], distances(mask))
        return UserState(user, vectors[rows], keys, mask)

    def two_sided_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return states without history, enough for the two-sided head and much cheaper."""
        _, contexts = self._history(batch)
        user = self._user(contexts, batch, rows, columns)
        size = (len(rows), 0, self.config.embedding_size)
        keys = user.new_zeros(len(rows), 0, self.config.attention_size)
        return UserState(user, user.new_zeros(size), keys, batch.mask[rows][:, :0])

    def final_states(self, batch: SequenceBatch) -> UserState:
        """Return the states after the whole sequences; see ``Matcher``."""
        n_rows, length = batch.item_nums.shape
        rows = torch.arange(n_rows, device=batch.item_nums.device)
        return self.target_states(batch, rows, torch.full_like(rows, length))

    def proxy(self, state: UserState) -> Tensor:
        """Return ``u / temperature``; see ``Matcher``."""
        return state.user / self.log_temperature.exp()

    def two_sided_scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return ``proxy . e_v``; see ``Matcher``."""
        return _dots(self.proxy(state), vectors)

    def scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return the deep scores; see ``Matcher``."""
        each = vectors if vectors.dim() == 3 else vectors.expand(len(state.user), -1, -1)
        first = self.score_net.item_part(vectors) + self.score_net.user_part(state.user)[:, None]
        first = first + each @ self.score_net.product_weight(state.user)
        match = self._match(
            self.attention.query(vectors), each, state.keys, state.values, state.mask
        )
        deep: Tensor = self.score_net(first, each, match)
        return self.two_sided_scores(state, vectors) + deep

    def item_tables(self) -> tuple[Tensor, ...]:
        """Return ``e_v``, attention queries and first-layer parts of all items."""
        vectors = self.item_vectors()
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
        deep: Tensor = self.score_net(
            first, vectors, self._match(queries, vectors, keys, values, mask)
        )
        return vectors @ proxy + deep

    def _match(
        self, queries: Tensor, vectors: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Match:
        match: Match = self.attention(queries, vectors, keys, values, mask)
        return match

    def _history(self, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """Return ``(B, L, D)`` item vectors of the sequences, and what the encoders read."""
        nums = batch.item_nums.clamp(min=0)
        vectors = self.item_vectors(nums) * batch.mask[..., None]
        if self.contexts is None:
            return vectors, vectors
        return vectors, vectors + self.contexts(nums) * batch.mask[..., None]

    def _user(
        self, contexts: Tensor, batch: SequenceBatch, rows: Tensor, columns: Tensor
    ) -> Tensor:
        user = self.encoder(contexts, batch.mask, rows, columns)
        if self.profile is not None and batch.user_features is not None:
            user = user + self._profile_sum(batch.user_features)[rows]
        return functional.normalize(user, dim=-1)

    def _profile_sum(self, user_features: Tensor) -> Tensor:
        assert self.profile is not None
        sizes = (0, *self.config.user_feature_sizes[:-1])
        starts = torch.tensor(sizes, device=user_features.device).cumsum(0)
        codes = torch.where(user_features > 0, user_features + starts, 0)
        total: Tensor = self.profile(codes).sum(1)
        return total


def _dots(users: Tensor, vectors: Tensor) -> Tensor:
    if vectors.dim() == 2:
        return users @ vectors.T
    return (vectors @ users[..., None]).squeeze(-1)
