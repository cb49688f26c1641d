"""Factorisation machine: a weight per code, and a dot product per pair of fields."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.embeddings import Embedded
from vizsla.models.ranker.interactions import EqualWidths, pairwise

__all__ = ["Fm", "FmConfig"]


class FmConfig(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fm(Backbone):
    """``b + w . x + sum over pairs of <e_i, e_j>`` (Rendle, ICDM 2010)."""

    config_class: ClassVar[type[BaseModel]] = FmConfig
    config: FmConfig

    def __init__(self, schema: RankingSchema, config: BaseModel) -> None:
        super().__init__(schema, config)
        assert isinstance(config, FmConfig)
        self.config = config
        self.bias = nn.Parameter(torch.zeros(()))
        self.equal = EqualWidths(schema)

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        return embedded.linear + self.bias + pairwise(self.equal(embedded))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the maps between widths."""
        self.equal.reset_parameters(generator)
