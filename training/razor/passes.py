"""Passes over encoded rows: what every search does with its supernet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim import Adam, Optimizer

from training.ctr.optimizers import SparseAdam
from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import DataError, TrainingError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import FieldInputs, to_inputs

__all__ = ["Progress", "batch_rows", "check_labels", "label_loss", "optimisers", "step", "tensors"]

Progress = Callable[[int, int], None]
"""Called with the steps that are done and the steps that there are."""


def batch_rows(
    n_rows: int, batch_size: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield every row once, shuffled; one left alone is dropped, it cannot be normalised."""
    order = generator.permutation(n_rows)
    for start in range(0, n_rows, batch_size):
        rows = order[start : start + batch_size]
        if len(rows) > 1:
            yield rows


def tensors(
    schema: RankingSchema, rows: EncodedRows, places: NDArray[np.int64]
) -> tuple[FieldInputs, Tensor, Tensor | None]:
    """Return some rows as inputs, labels and weights."""
    batch = rows.take(places)
    assert batch.labels is not None
    weights = None if batch.weights is None else torch.from_numpy(batch.weights)
    return to_inputs(schema, batch), torch.from_numpy(batch.labels), weights


def label_loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean log loss, by weight where rows have any."""
    if weights is None:
        return binary_cross_entropy_with_logits(logits, labels)
    losses = binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1e-12)


def optimisers(
    model: nn.Module, learning_rate: float, without: tuple[nn.Parameter, ...] = ()
) -> list[Optimizer]:
    """Return Adam for all weights, the one for sparse gradients where tables are."""
    left = {id(weight) for weight in without}
    tables = [
        part.weight for part in model.modules() if isinstance(part, nn.Embedding) and part.sparse
    ]
    left |= {id(weight) for weight in tables}
    dense = [weight for weight in model.parameters() if id(weight) not in left]
    return [Adam(dense, lr=learning_rate, fused=True), SparseAdam(tables, lr=learning_rate)]


def step(loss: Tensor, optimizers: list[Optimizer]) -> float:
    """Take one step down; returns the loss.

    Raises:
        TrainingError: The loss is not finite.
    """
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError("the loss is not finite: lower the learning rate of the search")
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    for optimizer in optimizers:
        optimizer.step()
    return value


def check_labels(rows: EncodedRows, what: str = "training rows") -> None:
    """Refuse rows that nothing can be learned from.

    Raises:
        DataError: No rows, no labels, or only one label.
    """
    if rows.labels is None or len(rows) < 2:
        raise DataError(f"{what}: at least two labelled rows are needed")
    positive = int((rows.labels > 0.5).sum())
    if positive in (0, len(rows)):
        raise DataError(f"{what}: every label is {int(positive > 0)}; both classes are needed")
