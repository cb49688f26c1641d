"""How a ranker is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["RankerSettings", "TableOptimizer"]

TableOptimizer = Literal["auto", "adam", "sparse_adam", "rowwise_adagrad"]


class RankerSettings(BaseModel):
    """Model and loop.

    Attributes:
        model: Name in ``vizsla.models.ranker.RANKERS``.
        model_settings: Of the model's own config.
        epochs: At most so many passes.
        batch_size: Rows of a step.
        learning_rate: Of Adam, for everything that is not a table.
        table_learning_rate: Of the tables; 0 takes ``learning_rate``.
        table_optimizer: ``adam`` updates whole tables in every step, the others only the rows
            that a batch has looked up.  ``auto``: ``adam`` for tables of few rows,
            ``sparse_adam`` above, see ``training.ctr.optimizers``.
        reg: L2 on the vectors that a batch has looked up, per row.
        patience: Epochs without a better figure before training stops.
        metric: Validation figure that the best epoch has; log loss where there is no AUC.
        buffer_rows: Rows that are in memory and shuffled at once.
        checkpoint_minutes: Minutes between checkpoints within an epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str = "dnn"
    model_settings: dict[str, Any] = Field(default_factory=dict)
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=1024, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    table_learning_rate: float = Field(default=0.0, ge=0)
    table_optimizer: TableOptimizer = "auto"
    reg: float = Field(default=0.0, ge=0)
    patience: int = Field(default=2, ge=1)
    metric: Literal["auc", "log_loss"] = "auc"
    buffer_rows: int = Field(default=1 << 20, ge=1)
    checkpoint_minutes: float = Field(default=5.0, gt=0)
