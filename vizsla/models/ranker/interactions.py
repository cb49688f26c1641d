"""Products of pairs of fields, also where fields differ in width.

Shapes: **B** rows, **F** fields, **D** the largest width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.embeddings import Embedded

__all__ = ["EqualWidths", "pairwise"]


class EqualWidths(nn.Module):
    """All fields as vectors of the largest width: narrower ones by a learned map of their own.

    Fields of the largest width are taken as they are, so that there is nothing to learn where
    all widths are equal (mixed-dimension embeddings, arXiv 1909.11810).
    """

    def __init__(self, schema: RankingSchema) -> None:
        super().__init__()
        self.width = max(one.dim for one in schema.kept)
        self._equal = all(one.dim == self.width for one in schema.kept)
        self._names: dict[int, list[str]] = {}
        for one in schema.kept:
            self._names.setdefault(one.dim, []).append(one.spec.name)
        self.maps = nn.ParameterDict(
            {
                str(dim): nn.Parameter(torch.empty(len(names), dim, self.width))
                for dim, names in self._names.items()
                if dim != self.width
            }
        )
        self.reset_parameters(None)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None) -> None:
        """Draw the maps so that a vector keeps about its length."""
        for weights in self.maps.values():
            nn.init.normal_(weights, std=1 / math.sqrt(self.width), generator=generator)

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B, F, D)``, fields in the order of their widths, which no sum depends on."""
        if self._equal:
            flat = embedded.flat
            return flat.view(len(flat), -1, self.width)
        parts = []
        for dim, names in self._names.items():
            vectors = torch.stack([embedded.vectors[name] for name in names], dim=1)
            if dim != self.width:
                vectors = torch.einsum("bfd,fde->bfe", vectors, self.maps[str(dim)])
            parts.append(vectors)
        return torch.cat(parts, dim=1)


def pairwise(vectors: Tensor) -> Tensor:
    """Return the sum of the dot products of all pairs, in O(F D): half of (sum)^2 - sum of squares.

    Args:
        vectors: ``(B, F, D)``.

    Returns:
        ``(B,)``.
    """
    return (vectors.sum(1).square() - vectors.square().sum(1)).sum(1) / 2
