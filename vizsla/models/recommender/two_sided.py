"""The two-sided matcher: a user net and an item net that meet in one dot product.

Its parts are those every deep matcher here builds on; on its own it is the ablation
"two-sided" (paper, 5.1.3) and the model of the first training stage.  Shapes as in ``base``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vizsla.models.recommender.base import Matcher, SequenceBatch, UserState
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.encoders import build_encoder
from vizsla.models.recommender.features import RaggedCodes, pack_features
from vizsla.models.recommender.item_net import ItemNet, ItemTable

__all__ = ["TwoSided", "dots"]


class TwoSided(Matcher):
    """Cosine of a user and an item vector over a temperature.

    Args:
        config: Sizes and options.

    Example:
        >>> matcher = TwoSided(NannConfig(n_items=5, embedding_size=8))
        >>> state = matcher.final_states(SequenceBatch(torch.tensor([[0, 1, 2]])))
        >>> matcher.scores(state, matcher.item_vectors()).shape
        torch.Size([1, 5])
    """

    Config: ClassVar[type[NannConfig]] = NannConfig
    config: NannConfig

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        self.config = config
        size = config.embedding_size
        self.items = ItemTable.empty(config) if config.fixed_items else ItemNet(config)
        residual = config.context == "residual"
        self.contexts = nn.Embedding(config.n_items, size) if residual else None
        self._clear_contexts()
        self.encoder = build_encoder(config)
        n_values = sum(config.user_feature_sizes)
        self.profile = nn.Embedding(n_values + 1, size, padding_idx=0) if n_values else None
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
        self._clear_contexts()

    def set_item_features(
        self, codes: NDArray[np.int64], multi: Sequence[RaggedCodes] = ()
    ) -> None:
        """Give the item net its side features: ``(N, F)`` codes and ragged columns of codes."""
        assert isinstance(self.items, ItemNet)
        sizes, multi_sizes = self.config.item_feature_sizes, self.config.item_multi_sizes
        self.items.set_features(*pack_features(codes, sizes, multi, multi_sizes))

    @torch.no_grad()
    def set_item_embeddings(self, embeddings: NDArray[np.float32]) -> None:
        """Start from given ``(N, D)`` item embeddings, e.g. a truncated SVD, where items have any."""
        assert isinstance(self.items, ItemNet)
        if self.items.ids is not None:
            self.items.ids.weight.copy_(torch.from_numpy(embeddings))

    @torch.no_grad()
    def with_fixed_items(self, vectors: Tensor, known_as: Tensor) -> TwoSided:
        """Return a matcher over a table of items; see ``Matcher``."""
        fixed = copy.copy(self)
        fixed._modules = dict(self._modules)
        fixed.config = self.config.model_copy(update={"n_items": len(vectors), "fixed_items": True})
        fixed.items = ItemTable(vectors, self.items.features, self.items.residual)
        if self.contexts is not None:
            contexts = self.contexts.weight[known_as.clamp(min=0)] * (known_as >= 0)[:, None]
            n_rows, size = contexts.shape
            fixed.contexts = nn.Embedding(n_rows, size, _weight=contexts, _freeze=True)
        return fixed

    @torch.no_grad()
    def forget_items(self, item_nums: Tensor) -> None:
        """Set the items' contexts to zero; see ``Matcher``."""
        if self.contexts is not None:
            self.contexts.weight[item_nums] = 0

    def vectors_of_columns(
        self, codes: NDArray[np.int64], weights: NDArray[np.float32], item_nums: NDArray[np.int64]
    ) -> Tensor:
        """Return ``(R, D)`` vectors from packed columns; see ``ItemNet.of_columns``."""
        tensors = (torch.from_numpy(part) for part in (codes, weights, item_nums))
        return self.items.of_columns(*(t.to(self.log_temperature.device) for t in tensors))

    def item_vectors(self, item_nums: Tensor | None = None) -> Tensor:
        """Return unit vectors ``e_v``; see ``Matcher``."""
        vectors: Tensor = self.items(item_nums)
        return vectors

    def target_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return the states of targets, without history; see ``Matcher``."""
        return self.two_sided_states(batch, rows, columns)

    def two_sided_states(self, batch: SequenceBatch, rows: Tensor, columns: Tensor) -> UserState:
        """Return states without history, enough for the two-sided head and much cheaper."""
        _, contexts = self._history(batch)
        user = self._user(contexts, batch, rows, columns)
        size = (len(rows), 0, self.config.embedding_size)
        none = user.new_zeros(size)
        return UserState(user, none, none, batch.mask[rows][:, :0])

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
        return dots(self.proxy(state), vectors)

    def scores(self, state: UserState, vectors: Tensor) -> Tensor:
        """Return the two-sided scores; deep matchers add to them."""
        return self.two_sided_scores(state, vectors)

    def fold(self, state: UserState, row: int) -> Any:
        """Fold one user's side into its proxy."""
        return self.proxy(state)[row]

    def folded_scores(self, folded: Any, tables: tuple[Tensor, ...]) -> Tensor:
        """Return ``(C,)`` dot products of gathered item vectors."""
        return torch.mv(tables[0], folded)

    def _clear_contexts(self) -> None:
        if self.contexts is not None:
            nn.init.zeros_(self.contexts.weight)

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


def dots(users: Tensor, vectors: Tensor) -> Tensor:
    """Return ``(P, C)`` dot products of ``(P, D)`` users with ``(C, D)`` or ``(P, C, D)`` vectors."""
    if vectors.dim() == 2:
        return users @ vectors.T
    return (vectors @ users[..., None]).squeeze(-1)
