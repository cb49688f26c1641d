"""What the training loop is told, whatever it trains."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from training.schedules import Schedule

__all__ = ["NEVER", "LoopSettings"]

NEVER = 0
"""Epochs between validations where there is nothing to validate on."""


class LoopSettings(BaseModel):
    """Settings of one stage that every kind of model shares.

    Attributes:
        epochs: Passes over the data; 0 skips the stage.
        batch_size: Sequences or pairs per batch.
        optimizer: ``adam``, ``adamw``, or ``sgd`` without momentum.
        learning_rate: Peak rate.
        beta2: Decay of the second moment of Adam.
        reg: Weight decay (AdamW) or L2 weight (Adam, SGD).
        schedule: How the rate moves after the warm-up.
        warmup_ratio: Share of the steps in which the rate rises.
        final_ratio: Rate at the end of a falling schedule relative to the peak.
        schedule_epochs: Epochs over which the rate moves, at least ``epochs``; 0 for ``epochs``.
        gradient_clip: Largest norm of the gradient; 0 for no bound.
        metric: Validation metric to maximise, or a sum: ``recall_at_20+ndcg_at_20``; ``-nll``
            minimises the targets' negative log-likelihood.
        patience: Validations without a gain before the stage ends; 0 never ends early.
        validate_every: Epochs between validations; 0 never validates and keeps the last weights.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(default=10, ge=0)
    batch_size: int = Field(default=128, ge=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    beta2: float = Field(default=0.999, gt=0, lt=1)
    reg: float = Field(default=0.0, ge=0)
    schedule: Schedule = "constant"
    warmup_ratio: float = Field(default=0.0, ge=0, lt=1)
    final_ratio: float = Field(default=0.01, ge=0, le=1)
    schedule_epochs: int = Field(default=0, ge=0)
    gradient_clip: float = Field(default=5.0, ge=0)
    metric: str = "recall_at_20"
    patience: int = Field(default=3, ge=0)
    validate_every: int = Field(default=1, ge=0)

    @field_validator("metric")
    @classmethod
    def _nll_falls(cls, metric: str) -> str:
        if "nll" in metric.split("+"):
            raise ValueError("nll falls as a model gets better: write -nll")
        return metric

    @property
    def frozen_but(self) -> tuple[str, ...]:
        """Prefixes of what the optimiser may change; empty for all."""
        return ()
