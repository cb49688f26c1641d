"""DCNv2: layers that multiply the input with itself, above them a perceptron."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.dnn import DnnConfig, perceptron
from vizsla.models.ranker.embeddings import Embedded

__all__ = ["Cross", "DcnV2", "DcnV2Config", "ExpertCross"]


class DcnV2Config(DnnConfig):
    """Layers of both parts.

    Attributes:
        n_cross: Cross layers.
        rank: Of their matrices; 0 for full ones.
        experts: Low-rank matrices per cross layer, between which a gate chooses; needs a ``rank``
            where there is more than one.
        structure: ``parallel`` reads the input twice, ``stacked`` crosses first.
    """

    n_cross: int = Field(default=2, ge=1, le=16)
    rank: int = Field(default=0, ge=0)
    experts: int = Field(default=1, ge=1, le=64)
    structure: Literal["parallel", "stacked"] = "parallel"

    @model_validator(mode="after")
    def _experts_have_a_rank(self) -> Self:
        if self.experts > 1 and not self.rank:
            raise ValueError(f"{self.experts} experts need a rank above 0, that of their matrices")
        return self


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


class ExpertCross(nn.Module):
    """A mixture of K low-rank cross layers (arXiv 2008.13535, equations 3 and 4).

    ::

        x_(l+1) = sum_i G_i(x_l) E_i(x_l) + x_l
        E_i(x)  = x_0 * (U_i tanh(C_i tanh(V_i^T x)) + b)

    The gate ``G`` is a softmax over the experts, so that b needs no weight of its own.
    """

    def __init__(self, width: int, rank: int, experts: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, experts * rank, bias=False)
        self.within = nn.Parameter(torch.empty(experts, rank, rank))
        self.up = nn.Linear(experts * rank, width)
        self.gate = nn.Linear(width, experts, bias=False)
        self.reset_parameters(None)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None) -> None:
        """Draw the maps within the experts' spaces so that a vector keeps about its length."""
        std = self.within.shape[1] ** -0.5
        nn.init.normal_(self.within, std=std, generator=generator)

    def forward(self, first: Tensor, x: Tensor) -> Tensor:
        """Return the next ``(B, width)``."""
        experts, rank, _ = self.within.shape
        low = self.down(x).tanh().view(-1, experts, rank)
        low = torch.einsum("bkr,ksr->bks", low, self.within).tanh()
        low = low * self.gate(x).softmax(1)[:, :, None]
        return torch.addcmul(x, first, self.up(low.flatten(1)))


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
        self.cross = nn.ModuleList(_layer(width, config) for _ in range(config.n_cross))
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

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw layers and gates, then what is within the experts."""
        super().reset_parameters(generator)
        for layer in self.cross:
            if isinstance(layer, ExpertCross):
                layer.reset_parameters(generator)


def _layer(width: int, config: DcnV2Config) -> nn.Module:
    if config.experts > 1:
        return ExpertCross(width, config.rank, config.experts)
    return Cross(width, config.rank)
