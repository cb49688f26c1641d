"""DCNv2: layers that multiply the input with itself, above them a perceptron."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.dnn import DnnConfig, perceptron
from vizsla.models.ranker.embeddings import Embedded

__all__ = ["Cross", "DcnV2", "DcnV2Config"]


class DcnV2Config(DnnConfig):
    """Layers of both parts.

    Attributes:
        n_cross: Cross layers.
        rank: Of their matrices; 0 for full ones.
        structure: ``parallel`` reads the input twice, ``stacked`` crosses first.
    """

    n_cross: int = Field(default=2, ge=1, le=16)
    rank: int = Field(default=0, ge=0)
    structure: Literal["parallel", "stacked"] = "parallel"


class Cross(nn.Module):
    """``x_(l+1) = x_0 * (W x_l + b) + x_l``; with a rank, ``W = U V`` of that rank."""

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        full = [nn.Linear(width, width)]
        low = [nn.Linear(width, rank, bias=False), nn.Linear(rank, width)] if rank else full
        self.weights = nn.Sequential(*low)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """Return the next ``(B, width)``."""
        return torch.addcmul(x, first, self.weights(x))


class DcnV2(Backbone):
    """Deep & cross network, version 2 (arXiv 2008.13535); any widths, and no linear part."""

    config_class: ClassVar[type[DnnConfig]] = DcnV2Config
    first_order: ClassVar[bool] = False
    config: DcnV2Config

    def __init__(self, schema: RankingSchema, config: DnnConfig) -> None:
        super().__init__(schema, config)
        assert isinstance(config, DcnV2Config)
        self.config = config
        width = schema.input_width
        self.cross = nn.ModuleList(Cross(width, config.rank) for _ in range(config.n_cross))
        self.layers = perceptron(width, config)
        parallel = config.structure == "parallel"
        self.crossed = nn.Linear(width, 1, bias=False) if parallel else None

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        first = x = embedded.flat
        for layer in self.cross:
            x = layer(first, x)
        if self.crossed is None:
            stacked: Tensor = self.layers(x)
            return stacked[:, 0]
        logits: Tensor = self.layers(first) + self.crossed(x)
        return logits[:, 0]
