"""What every CTR model is: embedding tables, and a backbone that turns them into one logit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker.embeddings import Embedded, FieldEmbeddings
from vizsla.models.ranker.inputs import FieldInputs
from vizsla.models.ranker.split import SplitForm
from vizsla.models.recommender.layers import initialise

__all__ = ["Backbone", "Ranker"]


class Backbone(nn.Module, ABC):
    """Everything of a ranker but its tables; widths may differ from field to field.

    Attributes:
        config_class: Its settings.
        config: What it was built with.
        first_order: Whether it reads ``Embedded.linear``.
        reads_sequences: Whether it reads ``Embedded.sequences``.
        reads_vectors: Whether it reads anything else; without, no vectors are made.
    """

    config_class: ClassVar[type[BaseModel]]
    first_order: ClassVar[bool] = True
    reads_sequences: ClassVar[bool] = False
    reads_vectors: ClassVar[bool] = True
    config: BaseModel

    @abstractmethod
    def __init__(self, schema: RankingSchema, config: BaseModel) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, embedded: Embedded) -> Tensor:
        """Return ``(B,)`` logits."""

    def split(self) -> SplitForm | None:
        """Return the weights where user and item side can be computed apart; None where not."""
        return None

    def last_layer(self) -> nn.Linear | None:
        """Return the last layer of the perceptron; None where no hidden layer lies before it."""
        layers = getattr(self, "layers", None)
        last = layers[-1] if isinstance(layers, nn.Sequential) and len(layers) > 1 else None
        return last if isinstance(last, nn.Linear) and last.out_features == 1 else None

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all initial weights from one generator."""
        initialise(self, generator)


class Ranker(nn.Module):
    """A CTR model: ``sigmoid(logit)`` is the probability of a positive label.

    Args:
        schema: Kept fields and their widths.
        backbone: Built for the same schema.
        embeddings: Tables, of the schema unless others are given.
    """

    def __init__(
        self,
        schema: RankingSchema,
        backbone: Backbone,
        embeddings: nn.Module | None = None,
        *,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        self.schema = schema
        self.backbone = backbone
        self.embeddings = embeddings or FieldEmbeddings(
            schema,
            sparse=sparse,
            first_order=backbone.first_order,
            vectors=backbone.reads_vectors,
            sequences=backbone.reads_sequences,
        )

    def forward(self, inputs: FieldInputs) -> Tensor:
        """Return ``(B,)`` logits."""
        logits: Tensor = self.backbone(self.embeddings(inputs))
        return logits

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all initial weights from one generator."""
        self.backbone.reset_parameters(generator)
        reset = getattr(self.embeddings, "reset_parameters")  # noqa: B009 - nn.Module hides it
        reset(generator)
