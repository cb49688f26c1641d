"""DIN: what a user did counts by how it bears on the candidate.

Shapes: **B** rows, **L** longest list, ``d`` columns of the candidate's table.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import ConfigError
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.dnn import DnnConfig, perceptron
from vizsla.models.ranker.embeddings import Embedded, Sequence

__all__ = ["ActivationUnit", "Dice", "Din", "DinConfig"]


class DinConfig(DnnConfig):
    """Layers of the perceptron and of the activation unit.

    Attributes:
        unit: Widths of the activation unit's layers.
        activation: Within the unit.
    """

    unit: tuple[int, ...] = (36,)
    activation: Literal["prelu", "dice"] = "prelu"


class Dice(nn.Module):
    """PReLU whose bend follows the data: ``p x + (1 - p) a x`` with ``p = sigmoid(norm(x))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)
        self.slope = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(V, width)`` of ``(V, width)``."""
        if len(x) < 2 and self.training:  # one value has no spread
            return torch.where(x > 0, x, self.slope * x)
        kept: Tensor = self.norm(x).sigmoid()
        return kept * x + (1 - kept) * self.slope * x


class ActivationUnit(nn.Module):
    """Weight of each behaviour for a candidate, not normalised (arXiv 1706.06978, section 4.3)."""

    def __init__(self, width: int, config: DinConfig) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        size = 4 * width
        for hidden in config.unit:
            parts.append(nn.Linear(size, hidden))
            parts.append(Dice(hidden) if config.activation == "dice" else nn.PReLU(hidden))
            size = hidden
        parts.append(nn.Linear(size, 1))
        self.layers = nn.Sequential(*parts)

    def forward(self, candidate: Tensor, behaviours: Sequence) -> Tensor:
        """Return the ``(B, d)`` weighted sum; empty places take no part, and cost nothing."""
        keys = behaviours.vectors[behaviours.mask]
        queries = candidate.repeat_interleave(behaviours.mask.sum(1), dim=0)
        seen = torch.cat([queries, keys, queries - keys, queries * keys], dim=1)
        weighted = self.layers(seen) * keys
        rows = behaviours.mask.nonzero()[:, 0]
        return torch.zeros_like(candidate).index_add(0, rows, weighted)


class Din(Backbone):
    """``w . x + MLP``, where each list of behaviours is replaced by its attended sum.

    Attended is every kept field of kind ``sequence`` that shares the table of a kept field,
    the candidate; other sequences stay averages.
    """

    config_class: ClassVar[type[DnnConfig]] = DinConfig
    reads_sequences: ClassVar[bool] = True
    config: DinConfig

    def __init__(self, schema: RankingSchema, config: DnnConfig) -> None:
        super().__init__(schema, config)
        assert isinstance(config, DinConfig)
        self.config = config
        attended = _attended(schema)
        if not attended:
            raise ConfigError(
                f"model din: frame {schema.frame!r} keeps no field of kind 'sequence' that shares "
                "the table of a kept field; declare one, or choose another model"
            )
        self._attended = [(one.spec.name, str(one.spec.shares)) for one in attended]
        self.units = nn.ModuleList(ActivationUnit(one.dim, config) for one in attended)
        self.layers = perceptron(schema.input_width, config)

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        vectors = dict(embedded.vectors)
        for (name, candidate), unit in zip(self._attended, self.units, strict=True):
            vectors[name] = unit(vectors[candidate], embedded.sequences[name])
        deep: Tensor = self.layers(torch.cat(list(vectors.values()), dim=1))
        return embedded.linear + deep[:, 0]


def _attended(schema: RankingSchema) -> list[RankerField]:
    single = {one.spec.name for one in schema.kept if not one.spec.is_list}
    return [one for one in schema.kept if one.spec.kind == "sequence" and one.spec.shares in single]
