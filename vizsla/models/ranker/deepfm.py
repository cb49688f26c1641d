"""DeepFM: a factorisation machine and a perceptron over the same vectors."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.dnn import DnnConfig, perceptron
from vizsla.models.ranker.embeddings import Embedded
from vizsla.models.ranker.interactions import EqualWidths, pairwise

__all__ = ["DeepFm"]


class DeepFm(Backbone):
    """``w . x + FM(e) + MLP(e)`` (arXiv 1703.04247); the perceptron reads the raw widths."""

    config_class: ClassVar[type[BaseModel]] = DnnConfig
    config: DnnConfig

    def __init__(self, schema: RankingSchema, config: BaseModel) -> None:
        super().__init__(schema, config)
        assert isinstance(config, DnnConfig)
        self.config = config
        self.equal = EqualWidths(schema)
        self.layers = perceptron(schema.input_width, config)

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        deep: Tensor = self.layers(embedded.flat)
        return embedded.linear + pairwise(self.equal(embedded)) + deep[:, 0]

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the perceptron, then the maps between widths."""
        super().reset_parameters(generator)
        self.equal.reset_parameters(generator)
