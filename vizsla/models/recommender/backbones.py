"""Backbones of collaborative filtering: a vector per user and per item, scored by their dot product.

They know users by number, not by history, so they are trained and compared, never served.

Shapes: **U** users, **N** items, **D** embedding size, **E** distinct interactions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

__all__ = ["Backbone", "BackboneConfig"]


class BackboneConfig(BaseModel):
    """Hyperparameters that all backbones share.

    Attributes:
        embedding_size: D.
        init_std: Standard deviation of the initial embeddings, drawn from a normal distribution.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    embedding_size: int = Field(default=32, ge=1)
    init_std: float = Field(default=0.1, gt=0)


class Backbone(nn.Module, ABC):
    """Embeddings of users and items, and what becomes of them before they are multiplied.

    Args:
        n_users: U.
        n_items: N.
        config: Hyperparameters.
    """

    Config: ClassVar[type[BackboneConfig]] = BackboneConfig

    def __init__(self, n_users: int, n_items: int, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.users = nn.Parameter(torch.zeros(n_users, config.embedding_size))
        self.items = nn.Parameter(torch.zeros(n_items, config.embedding_size))

    @abstractmethod
    def tables(self) -> tuple[Tensor, Tensor]:
        """Return ``(U, D)`` user and ``(N, D)`` item vectors whose dot products are the scores."""

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the embeddings."""
        for table in (self.users, self.items):
            nn.init.normal_(table, std=self.config.init_std, generator=generator)

    def set_interactions(self, users: Tensor, items: Tensor) -> None:
        """Take the distinct training interactions, ``(E,)`` int64 each; most backbones need none."""
