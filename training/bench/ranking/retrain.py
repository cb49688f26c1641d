"""Train a schema from scratch and measure it; the same for everything that is compared."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata
from torch import Tensor

from training.bench.ranking.data import RankingData
from training.razor.passes import batch_rows, label_loss, step, tensors
from vizsla.contracts.ranking import RankingSchema
from vizsla.fields import EncodedRows
from vizsla.models.ranker import Ranker
from vizsla.models.ranker.dnn import Dnn, DnnConfig
from vizsla.rng import numpy_generator, torch_generator

__all__ = ["Figures", "RetrainSettings", "auc", "retrain", "train_schema"]


class RetrainSettings(BaseModel):
    """The loop that every compared schema gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.0
    learning_rate: float = 0.001
    batch_size: int = 512
    l2: float = 0.0
    max_epochs: int = 15
    patience: int = 1


class Figures(BaseModel):
    """What one trained schema reaches; the epoch is chosen on validation rows."""

    model_config = ConfigDict(frozen=True)

    valid_auc: float
    valid_log_loss: float
    test_auc: float
    test_log_loss: float
    n_parameters: int
    input_width: int
    epochs: int
    train_s: float


def retrain(
    schema: RankingSchema,
    data: RankingData,
    seed: int,
    settings: RetrainSettings | None = None,
    tables: Mapping[str, Tensor] | None = None,
) -> Figures:
    """Train until validation AUC falls, and measure the best epoch."""
    started = time.perf_counter()
    model, epochs = train_schema(schema, data, seed, settings or RetrainSettings(), tables)
    took = time.perf_counter() - started
    valid, test = predicted(model, data.valid), predicted(model, data.test)
    assert data.valid.labels is not None
    assert data.test.labels is not None
    return Figures(
        valid_auc=auc(data.valid.labels, valid),
        valid_log_loss=log_loss(data.valid.labels, valid),
        test_auc=auc(data.test.labels, test),
        test_log_loss=log_loss(data.test.labels, test),
        n_parameters=schema.n_parameters,
        input_width=schema.input_width,
        epochs=epochs,
        train_s=took,
    )


def train_schema(
    schema: RankingSchema,
    data: RankingData,
    seed: int,
    settings: RetrainSettings,
    tables: Mapping[str, Tensor] | None = None,
) -> tuple[Ranker, int]:
    """Return the ranker of the epoch with the best validation AUC, and how many were run."""
    model = Ranker(schema, Dnn(schema, DnnConfig(hidden=settings.hidden, dropout=settings.dropout)))
    model.reset_parameters(torch_generator(seed, "retrain"))
    if tables is not None:
        model.load_state_dict(dict(tables), strict=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    generator = numpy_generator(seed, "retrain", "rows")
    best, kept, waited, epoch = -1.0, copy.deepcopy(model.state_dict()), 0, 0
    assert data.valid.labels is not None
    while epoch < settings.max_epochs and waited <= settings.patience:
        epoch += 1
        model.train()
        for places in batch_rows(len(data.train), settings.batch_size, generator):
            inputs, labels, weights = tensors(schema, data.train, places)
            embedded = model.embeddings(inputs)
            loss = label_loss(model.backbone(embedded), labels, weights)
            if settings.l2:
                loss = loss + settings.l2 * embedded.flat.square().sum(1).mean()
            step(loss, [optimizer])
        reached = auc(data.valid.labels, predicted(model, data.valid))
        waited += 1
        if reached > best:
            best, kept, waited = reached, copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(kept)
    return model, epoch


@torch.no_grad()
def predicted(model: Ranker, rows: EncodedRows, batch_size: int = 8192) -> NDArray[np.float64]:
    """Return ``(B,)`` probabilities."""
    model.eval()
    parts = [
        model(tensors(model.schema, rows, np.arange(start, min(start + batch_size, len(rows))))[0])
        for start in range(0, len(rows), batch_size)
    ]
    found: NDArray[np.float64] = torch.sigmoid(torch.cat(parts).double()).numpy()
    return found


def auc(labels: NDArray[np.float32], scores: NDArray[np.float64]) -> float:
    """Return the probability that a positive scores above a negative; ties count half."""
    positive = labels > 0.5
    n_positive = int(positive.sum())
    n_negative = len(labels) - n_positive
    ranks = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(ranks / (n_positive * n_negative))


def log_loss(labels: NDArray[np.float32], scores: NDArray[np.float64]) -> float:
    """Return the mean log loss, probabilities clipped at 1e-7."""
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    return float(-np.where(labels > 0.5, np.log(clipped), np.log(1 - clipped)).mean())
