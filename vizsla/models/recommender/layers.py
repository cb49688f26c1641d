"""Small layers that several matchers share, and their seeded initialisation."""

from __future__ import annotations

import math

import torch
from torch import nn

__all__ = ["MASKED", "ZeroLinear", "initialise", "mlp"]

MASKED = -1e9
"""Logit of an empty place: finite, so that a row of empty places gives no NaN."""


class ZeroLinear(nn.Linear):
    """A linear layer that starts at zero, so that its branch starts as a no-op."""

    def reset_parameters(self) -> None:
        """Set weights and bias to zero."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def mlp(n_in: int, n_hidden: int, n_out: int, *, zero: bool = False) -> nn.Sequential:
    """Build ``n_in -> n_hidden -> n_out`` with one ReLU; the last layer starts at zero if asked."""
    last = ZeroLinear(n_hidden, n_out) if zero else nn.Linear(n_hidden, n_out)
    return nn.Sequential(nn.Linear(n_in, n_hidden), nn.ReLU(), last)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Draw every random weight anew from one generator, so that a seed fixes the model.

    Embeddings get entries of variance ``1 / size`` (rows of about unit length); rows
    that stand for padding stay zero; ``ZeroLinear`` stays zero.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Embedding):
            _initialise_embedding(layer, generator)
        elif isinstance(layer, nn.Linear) and not isinstance(layer, ZeroLinear):
            _initialise_linear(layer, generator)


def _initialise_embedding(layer: nn.Embedding, generator: torch.Generator) -> None:
    layer.weight.normal_(std=layer.embedding_dim**-0.5, generator=generator)
    if layer.padding_idx is not None:
        layer.weight[layer.padding_idx] = 0


def _initialise_linear(layer: nn.Linear, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
