"""How a backbone is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from training.loop_settings import LoopSettings
from training.recipe import NegativeSettings

__all__ = ["BackboneRecipe"]


class BackboneRecipe(LoopSettings):
    """One run of a backbone, except data, seed and place.

    The defaults are those of the code released with Bayesian negative sampling: per-triple
    gradient descent at 0.01 with an L2 weight of 0.01 on the three embeddings it touches.
    Triples are taken ``batch_size`` at a time with their gradients summed, so that a step
    moves a triple as far as it would alone.

    Attributes:
        model: Name in ``BACKBONES``.
        model_settings: Hyperparameters of the model's own ``Config``.
        loss: Name in ``LOSSES``.
        reduction: Whether a batch's losses are summed or averaged.
        touched_reg: L2 weight of the embeddings that a batch touches, once per touch; unlike
            ``reg`` it leaves all others alone.
        temperature: Scores are divided by it.
        negatives: Where negatives come from. The default, the sampler's own settings, is the
            variant of Bayesian sampling that validation prefers on MovieLens-100K, NDCG@20 .237
            of eight variants (``vizsla bench training --preset bns``): calibrated item-item
            prior, 20 candidates, ``weight`` 10, F from 64 items, no warm start.
    """

    model: str = "mf"
    model_settings: dict[str, Any] = Field(default_factory=dict)
    loss: str = "bpr"
    reduction: Literal["sum", "mean"] = "sum"
    touched_reg: float = Field(default=0.01, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    negatives: NegativeSettings = NegativeSettings(sampler="bns", n_negatives=1)
    epochs: int = Field(default=100, ge=0)
    batch_size: int = Field(default=512, ge=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "sgd"
    learning_rate: float = Field(default=0.01, gt=0)
    gradient_clip: float = Field(default=0.0, ge=0)
    metric: str = "ndcg_at_20"
    patience: int = Field(default=0, ge=0)
    validate_every: int = Field(default=5, ge=0)

    @property
    def is_propagated(self) -> bool:
        """Whether the vectors are more than the embeddings, which then are penalised themselves."""
        return self.model != "mf"
