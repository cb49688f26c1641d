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


class ItemNet(nn.Module):
    """Map item numbers to unit vectors.

    ``e_v = normalise(x + f(x))`` with ``x`` the item's embedding plus those of its
    features, and ``f`` a residual network that starts at zero.  Unit length makes an
    adversarial step relative by itself, and L2 neighbours are cosine neighbours.
    """

    codes: Tensor
    weights: Tensor

    def __init__(self, config: NannConfig) -> None:
        super().__init__()
        n_values = sum(config.item_feature_sizes) + sum(config.item_multi_sizes)
        size = config.embedding_size
        self.ids = nn.Embedding(config.n_items, size) if config.item_ids else None
        self.features = nn.Embedding(n_values + 1, size, padding_idx=0) if n_values else None
        self.residual = (
            mlp(size, config.item_hidden, size, zero=True) if config.item_hidden else None
        )
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
        x = self._sum(item_nums)
        if self.residual is not None:
            x = x + self.residual(x)
        return functional.normalize(x, dim=-1)

    def _sum(self, item_nums: Tensor | None) -> Tensor:
        """Return the embedding of the item itself, where it has one, plus those of its columns."""
        described = self.features is not None and self.codes.shape[1] > 0
        if self.ids is None:
            return self._feature_sum(item_nums)
        own = self.ids.weight if item_nums is None else self.ids(item_nums)
        return own + self._feature_sum(item_nums) if described else own

    def _feature_sum(self, item_nums: Tensor | None) -> Tensor:
        assert self.features is not None
        codes = self.codes if item_nums is None else self.codes[item_nums]
        weights = self.weights if item_nums is None else self.weights[item_nums]
        flat = functional.embedding_bag(
            codes.flatten(0, -2),
            self.features.weight,
            per_sample_weights=weights.flatten(0, -2),
            mode="sum",
        )
        return flat.view(*codes.shape[:-1], -1)


class ItemTable(nn.Module):
    """Item vectors as they are, in place of an ``ItemNet``.

    Args:
        vectors: ``(N, D)``; shared, not copied.
    """

    vectors: Tensor

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors)

    def forward(self, item_nums: Tensor | None = None) -> Tensor:
        """Return ``(..., D)`` vectors of the given items, or ``(N, D)`` of all."""
        return self.vectors if item_nums is None else self.vectors[item_nums]
