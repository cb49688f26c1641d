"""The item net: ``e_v`` from an item's identity and its side features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vizsla.errors import IncompatibleArtifactError
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.layers import mlp

__all__ = ["ItemNet", "ItemTable"]


class _ReadsColumns(nn.Module):
    """What both forms share: a vector from packed columns, for items that no training saw.

    Attributes:
        ids: The items' own embeddings, where they have any.
        features: Embeddings of the columns' values; None where the net reads no columns.
        residual: See ``ItemNet``.
    """

    ids: nn.Embedding | None
    features: nn.Embedding | None
    residual: nn.Sequential | None

    def of_columns(self, codes: Tensor, weights: Tensor, item_nums: Tensor) -> Tensor:
        """Return ``(R, D)`` vectors of items with these columns.

        Args:
            codes: ``(R, W)`` int64 packed codes, see ``pack_features``.
            weights: ``(R, W)`` float32.
            item_nums: ``(R,)`` int64 whose own embedding goes in; -1, and any item of a net
                without embeddings, has none: zero, the mean of what training starts from.
        """
        x = self._bag(codes, weights)
        if self.ids is not None:
            x = x + self.ids(item_nums.clamp(min=0)) * (item_nums >= 0)[:, None]
        return self._refined(x)

    def _bag(self, codes: Tensor, weights: Tensor) -> Tensor:
        assert self.features is not None
        flat = functional.embedding_bag(
            codes.flatten(0, -2),
            self.features.weight,
            per_sample_weights=weights.flatten(0, -2),
            mode="sum",
        )
        return flat.view(*codes.shape[:-1], -1)

    def _refined(self, x: Tensor) -> Tensor:
        if self.residual is not None:
            x = x + self.residual(x)
        return functional.normalize(x, dim=-1)


class ItemNet(_ReadsColumns):
    """Map item numbers to unit vectors.

    ``e_v = normalise(x + f(x))`` with ``x`` the item's embedding plus those of its
    features, and ``f`` a residual network that starts at zero.  Unit length makes an
    adversarial step relative by itself, and L2 neighbours are cosine neighbours.
    """

    codes: Tensor
    weights: Tensor

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.ids = nn.Embedding(config.n_items, size) if config.item_ids else None
        self.features = _features(config)
        self.residual = _residual(config)
        self.register_buffer("codes", torch.zeros(config.n_items, 0, dtype=torch.int64))
        self.register_buffer("weights", torch.zeros(config.n_items, 0))

    def set_features(self, codes: NDArray[np.int64], weights: NDArray[np.float32]) -> None:
        """Take the packed side features of all items, ``(N, W)`` each.

        Raises:
            IncompatibleArtifactError: Not one row per item, or a code that has no embedding.
        """
        n_values = self.features.num_embeddings if self.features is not None else 1
        n_items = len(self.codes)
        if len(codes) != n_items or codes.max(initial=0) >= n_values:
            raise IncompatibleArtifactError(
                f"item features {codes.shape} with codes up to {codes.max(initial=0)} do not fit "
                f"{n_items} items and {n_values - 1} feature values"
            )
        self.codes = torch.from_numpy(codes).to(self.codes.device)
        self.weights = torch.from_numpy(weights).to(self.codes.device)

    def forward(self, item_nums: Tensor | None = None) -> Tensor:
        """Return ``(..., D)`` unit vectors of the given items, or ``(N, D)`` of all."""
        return self._refined(self._sum(item_nums))

    def _sum(self, item_nums: Tensor | None) -> Tensor:
        """Return the embedding of the item itself, where it has one, plus those of its columns."""
        described = self.features is not None and self.codes.shape[1] > 0
        if self.ids is None:
            return self._feature_sum(item_nums)
        own = self.ids.weight if item_nums is None else self.ids(item_nums)
        return own + self._feature_sum(item_nums) if described else own

    def _feature_sum(self, item_nums: Tensor | None) -> Tensor:
        codes = self.codes if item_nums is None else self.codes[item_nums]
        weights = self.weights if item_nums is None else self.weights[item_nums]
        return self._bag(codes, weights)


class ItemTable(_ReadsColumns):
    """Item vectors as they are, in place of an ``ItemNet``, which it remembers the columns of.

    Args:
        vectors: ``(N, D)``; shared, not copied.
        features: See ``ItemNet``; shared too.
        residual: See ``ItemNet``; of use only with ``features``.
    """

    vectors: Tensor

    def __init__(
        self,
        vectors: Tensor,
        features: nn.Embedding | None = None,
        residual: nn.Sequential | None = None,
    ) -> None:
        super().__init__()
        self.ids = None
        self.features = features
        self.residual = residual if features is not None else None
        self.register_buffer("vectors", vectors)

    @classmethod
    def empty(cls, config: NannConfig) -> ItemTable:
        """Build the table that a configuration with ``fixed_items`` describes, of zeros."""
        vectors = torch.zeros(config.n_items, config.embedding_size)
        return cls(vectors, _features(config), _residual(config))

    def forward(self, item_nums: Tensor | None = None) -> Tensor:
        """Return ``(..., D)`` vectors of the given items, or ``(N, D)`` of all."""
        return self.vectors if item_nums is None else self.vectors[item_nums]


def _features(config: NannConfig) -> nn.Embedding | None:
    n_values = sum(config.item_feature_sizes) + sum(config.item_multi_sizes)
    return nn.Embedding(n_values + 1, config.embedding_size, padding_idx=0) if n_values else None


def _residual(config: NannConfig) -> nn.Sequential | None:
    size = config.embedding_size
    return mlp(size, config.item_hidden, size, zero=True) if config.item_hidden else None
