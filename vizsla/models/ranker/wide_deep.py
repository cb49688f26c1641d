"""Wide & Deep: a linear part that memorises and a perceptron that generalises."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.crosses import Crosses
from vizsla.models.ranker.dnn import Dnn, DnnConfig
from vizsla.models.ranker.embeddings import Embedded
from vizsla.models.ranker.split import SplitForm, Wide, layers_of

__all__ = ["WideDeep", "WideDeepConfig"]


class WideDeepConfig(DnnConfig):
    """Layers of the perceptron, and what the linear part memorises besides single values.

    Attributes:
        crosses: Fields of each crossed feature, by name.
        cross_buckets: Weights of each cross; combinations share them by their hash.
    """

    crosses: tuple[tuple[str, ...], ...] = ()
    cross_buckets: int = Field(default=65_536, ge=2, le=2**31 - 1)


class WideDeep(Dnn):
    """``w . [x, crosses(x)] + MLP(e_1, ..., e_F)`` (arXiv 1606.07792); without crosses a ``dnn``."""

    config_class: ClassVar[type[BaseModel]] = WideDeepConfig

    def __init__(self, schema: RankingSchema, config: BaseModel) -> None:
        super().__init__(schema, config)
        assert isinstance(config, WideDeepConfig)
        self._names = config.crosses
        self.crosses: Crosses | None = None
        if config.crosses:
            self.crosses = Crosses(schema, config.crosses, config.cross_buckets)

    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""
        logits = super().forward(embedded)
        if self.crosses is None:
            return logits
        assert embedded.inputs is not None
        wide: Tensor = self.crosses(embedded.inputs)
        return logits + wide

    def split(self) -> SplitForm:
        """Return the linear part, the crosses and the perceptron."""
        wide = None
        if self.crosses is not None:
            wide = Wide(self._names, self.crosses.weights.detach().cpu().numpy())
        return SplitForm(layers=layers_of(self.layers), wide=wide)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw the perceptron; crosses begin at zero, as first-order weights do."""
        super().reset_parameters(generator)
        if self.crosses is not None:
            torch.nn.init.zeros_(self.crosses.weights)
