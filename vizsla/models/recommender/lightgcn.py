"""LightGCN: embeddings averaged over the neighbourhoods of the interaction graph.

Shapes: **U** users, **N** items, **D** embedding size, **E** distinct interactions.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from vizsla.models.recommender.backbones import Backbone, BackboneConfig

__all__ = ["LightGcn", "LightGcnConfig"]


class LightGcnConfig(BackboneConfig):
    """Hyperparameters of LightGCN.

    Attributes:
        n_layers: Hops of propagation.
    """

    n_layers: int = Field(default=1, ge=0)


class LightGcn(Backbone):
    """Scores the means over layers of ``E_{k+1} = D^{-1/2} A D^{-1/2} E_k``.

    The graph is bipartite, so each hop is two products with one ``U x N`` block and its
    transpose; both are kept in compressed rows, and the gradient is the same two products
    with their parts exchanged.  The blocks belong to the data, not to the weights.

    References:
        He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for
        Recommendation", SIGIR 2020, equations 3 to 6.
    """

    Config = LightGcnConfig

    def __init__(self, n_users: int, n_items: int, config: LightGcnConfig) -> None:
        super().__init__(n_users, n_items, config)
        self.n_layers = config.n_layers
        nothing = torch.zeros(0, dtype=torch.int64)
        self._to_users, self._to_items = _blocks(nothing, nothing, n_users, n_items)

    def set_interactions(self, users: Tensor, items: Tensor) -> None:
        """Build the normalised blocks."""
        self._to_users, self._to_items = _blocks(users, items, len(self.users), len(self.items))

    def tables(self) -> tuple[Tensor, Tensor]:
        """Propagate and average."""
        users: Tensor = self.users
        items: Tensor = self.items
        user_sum, item_sum = users, items
        for _ in range(self.n_layers):
            users, items = (
                _product(self._to_users, self._to_items, items),
                _product(self._to_items, self._to_users, users),
            )
            user_sum, item_sum = user_sum + users, item_sum + items
        return user_sum / (self.n_layers + 1), item_sum / (self.n_layers + 1)


def _blocks(users: Tensor, items: Tensor, n_users: int, n_items: int) -> tuple[Tensor, Tensor]:
    """Return ``D^{-1/2} A D^{-1/2}`` from items to users and from users to items."""
    of_user = torch.bincount(users, minlength=n_users).float()
    of_item = torch.bincount(items, minlength=n_items).float()
    values = (of_user[users] * of_item[items]).rsqrt()
    shape = (n_users, n_items)
    with warnings.catch_warnings():
        # compressed rows are "beta" in torch; that they are checked costs a pass over them
        warnings.filterwarnings("ignore", "Sparse", UserWarning)
        block = torch.sparse_coo_tensor(
            torch.stack([users, items]), values, shape, check_invariants=True
        ).coalesce()
        return block.to_sparse_csr(), block.t().coalesce().to_sparse_csr()


def _product(matrix: Tensor, transpose: Tensor, dense: Tensor) -> Tensor:
    product: Tensor = _Product.apply(matrix, transpose, dense)  # type: ignore[no-untyped-call]
    return product


class _Product(torch.autograd.Function):
    """A constant sparse matrix times a dense one; its transpose, kept beside it, is the gradient."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transpose: Tensor, dense: Tensor) -> Tensor:
        ctx.transpose = transpose
        return matrix @ dense

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transpose @ gradients[0]
