"""Train a schema from scratch and measure it; the same for everything that is compared."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict
from torch import Tensor

from training.bench.ranking.data import RankingData
from training.ctr.loop import train_ranker
from training.ctr.metrics import evaluate
from training.ctr.predicting import predict
from training.ctr.settings import RankerSettings
from vizsla.contracts.ranking import RankingSchema

__all__ = ["Figures", "retrain"]


class Figures(BaseModel):
    """What one trained schema reaches; the epoch is chosen on validation rows.

    Attributes:
        valid: Figures on validation rows, ``auc`` and ``log_loss`` among them.
        test: Those on test rows.
        n_parameters: Entries of all tables.
        input_width: Columns of all fields.
        epochs: That were run.
        train_s: Seconds.
    """

    model_config = ConfigDict(frozen=True)

    valid: dict[str, float]
    test: dict[str, float]
    n_parameters: int
    input_width: int
    epochs: int
    train_s: float


def retrain(
    schema: RankingSchema,
    data: RankingData,
    settings: RankerSettings,
    seed: int,
    weights: Mapping[str, Tensor] | None = None,
) -> Figures:
    """Train until validation stops improving, and measure the best epoch."""
    started = time.perf_counter()
    trained = train_ranker(schema, data.train, data.valid, settings, seed, weights=weights)
    took = time.perf_counter() - started
    assert data.test.labels is not None
    return Figures(
        valid=trained.metrics,
        test=evaluate(data.test.labels, predict(trained.ranker, data.test)),
        n_parameters=schema.n_parameters,
        input_width=schema.input_width,
        epochs=len(trained.history),
        train_s=took,
    )
