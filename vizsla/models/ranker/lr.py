"""Logistic regression: a weight per code, and nothing else."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.embeddings import Embedded

__all__ = ["LogisticRegression", "LrConfig"]


class LrConfig(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LogisticRegression(Backbone):
    """``b + sum of weights``; it makes no vectors, so the widths of a schema only drop fields."""

    config_class: ClassVar[type[BaseModel]] = LrConfig
    reads_vectors: ClassVar[bool] = False
    config: LrConfig

    def __init__(self, schema: RankingSchema, config: BaseModel) -> None:
        super().__init__(schema, config)
        assert isinstance(config, LrConfig)
        self.config = config
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        return embedded.linear + self.bias
