"""The plain one: a linear part plus a perceptron over all fields side by side."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.embeddings import Embedded
from vizsla.models.ranker.split import SplitForm, layers_of

__all__ = ["Dnn", "DnnConfig", "perceptron"]


class DnnConfig(BaseModel):
    """Layers of the perceptron.

    Attributes:
        hidden: Widths of its layers, first to last.
        dropout: After every layer.
        layer_norm: Whether layers are normalised before the ReLU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[int, ...] = (128, 64)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    layer_norm: bool = False


class Dnn(Backbone):
    """``w . x + MLP(e_1, ..., e_F)``: the backbone of i-Razor (arXiv 2204.00281, section 3)."""

    config_class: ClassVar[type[BaseModel]] = DnnConfig
    config: DnnConfig

    def __init__(self, schema: RankingSchema, config: BaseModel) -> None:
        super().__init__(schema, config)
        assert isinstance(config, DnnConfig)
        self.config = config
        self.layers = perceptron(schema.input_width, config)

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        deep: Tensor = self.layers(embedded.flat)
        return embedded.linear + deep[:, 0]

    def split(self) -> SplitForm:
        """Return the linear part and the perceptron."""
        return SplitForm(layers=layers_of(self.layers))


def perceptron(width: int, config: DnnConfig) -> nn.Sequential:
    """Return layers from ``width`` inputs to one logit."""
    parts: list[nn.Module] = []
    for hidden in config.hidden:
        parts.append(nn.Linear(width, hidden))
        if config.layer_norm:
            parts.append(nn.LayerNorm(hidden))
        parts.append(nn.ReLU())
        if config.dropout:
            parts.append(nn.Dropout(config.dropout))
        width = hidden
    parts.append(nn.Linear(width, 1))
    return nn.Sequential(*parts)
