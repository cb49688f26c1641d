"""Fit a ranker's uncertainty: the last layer on training rows, items on validation rows.

Shapes: **M** rows, **D** hidden units, **C** codes of the item field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.fields import FIRST_KNOWN
from vizsla.models.ranker.calibration import Curve, Floats, Scores, sigmoid
from vizsla.models.ranker.uncertainty import Uncertainty

__all__ = ["ItemPrior", "Seen", "curvature", "fit_items", "fit_last_layer", "fit_uncertainty"]

_N_ROUNDS = 50
_PRECISIONS = (0.25, 1e4)
"""A new item's own deviation is held to be at most 2 in logits: few data say more of new items."""

_EFFICIENCIES = (1e-6, 1e2)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a ranker made of labelled rows.

    Attributes:
        logits: ``(M,)`` raw.
        labels: ``(M,)`` 0 or 1.
        hidden: ``(M, D)`` what the last layer reads; ``(0, D)`` where nobody asks.
        items: ``(M,)`` codes of the item field.
    """

    logits: Scores
    labels: Scores
    hidden: Scores
    items: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ItemPrior:
    """``1 / (precision + efficiency * information)``: how items vary beyond what the model says.

    The information of an item is ``sum p (1 - p)`` over its training rows.

    Attributes:
        precision: One over the variance of new items.
        efficiency: How much of an item's training rows the model has made use of; 0 where old
            items are as uncertain as new ones.
    """

    precision: float
    efficiency: float

    def variance(self, information: Floats) -> Floats:
        """Return variances of logits for ``(C,)`` information."""
        return np.asarray(1 / (self.precision + self.efficiency * information), np.float64)


def fit_uncertainty(
    train: Iterable[Seen], valid: Seen, weights: Scores, curve: Curve, n_codes: int
) -> Uncertainty:
    """Fit both parts.

    Rows whose item has no code of its own tell nothing of one item, so they are left out of
    the second part, and the item of code ``UNKNOWN`` counts as never shown.

    Args:
        train: Rows that the ranker was trained on, piece by piece.
        valid: Rows that it was not; what the last layer reads of them is not needed.
        weights: ``(D + 1,)`` of the last layer, the bias last.
        curve: From raw to calibrated logits; the deviations are of calibrated ones.
        n_codes: C.
    """
    bend, information = np.zeros((len(weights), len(weights))), np.zeros(n_codes)
    for part in train:
        bend += curvature(part.hidden, sigmoid(part.logits))
        spread = _spread(sigmoid(curve.logits(part.logits)))
        information += np.bincount(part.items, spread, n_codes)
    information[:FIRST_KNOWN] = 0
    calibrated = curve.logits(valid.logits)
    step = 1e-3
    slope = float(np.mean(curve.logits(valid.logits + step) - calibrated) / step)
    own = valid.items >= FIRST_KNOWN
    prior = fit_items(sigmoid(calibrated[own]), valid.labels[own], valid.items[own], information)
    return Uncertainty(
        (slope * fit_last_layer(bend, weights)).astype(np.float32),
        prior.variance(information).astype(np.float32),
    )


def fit_last_layer(bend: Floats, weights: Scores) -> Floats:
    """Return a factor of the covariance of a last layer: Laplace's approximation.

    The precision of the prior is the one of greatest evidence (MacKay, 1992), so that nothing
    has to be tuned.

    Args:
        bend: ``(D + 1, D + 1)`` of all training rows, a sum of what ``curvature`` gives.
        weights: ``(D + 1,)``, the bias last.

    Returns:
        ``(D + 1, D + 1)``; the covariance is this times its transpose.
    """
    values, vectors = np.linalg.eigh(bend)
    values = np.maximum(values, 0)
    norm = float(np.square(np.asarray(weights, np.float64)).sum())
    precision = 1.0
    for _ in range(_N_ROUNDS):
        known = float((values / (values + precision)).sum())
        precision = float(np.clip(known / max(norm, 1e-9), 1e-6, 1e6))
    return np.asarray(vectors / np.sqrt(values + precision), np.float64)


def curvature(hidden: Scores, probabilities: Floats) -> Floats:
    """Return ``(D + 1, D + 1)``: the second derivative of the log loss of rows by a last layer.

    Args:
        hidden: ``(M, D)`` what the layer reads.
        probabilities: ``(M,)`` of the same rows.
    """
    block = np.concatenate([np.asarray(hidden, np.float64), np.ones((len(hidden), 1))], axis=1)
    return np.asarray(block.T @ (block * _spread(probabilities)[:, None]), np.float64)


def fit_items(
    probabilities: Floats, labels: Scores, items: NDArray[np.int32], information: Floats
) -> ItemPrior:
    """Fit how much items differ from their predictions on rows that were not trained on.

    An item with surplus ``s = sum(label - p)`` and ``I = sum p (1 - p)`` on these rows, whose
    true logit lies ``N(0, v)`` off, has ``s ~ N(0, I + I^2 v)``; the prior of greatest
    likelihood is taken.

    Args:
        probabilities: ``(M,)`` calibrated, of validation rows.
        labels: ``(M,)`` 0 or 1.
        items: ``(M,)`` codes of the item field.
        information: ``(C,)`` of training rows.
    """
    from scipy.optimize import minimize

    surplus = np.bincount(items, labels - probabilities, len(information))
    own = np.bincount(items, _spread(probabilities), len(information))
    met = own > 0
    surplus, own, before = surplus[met], own[met], information[met]

    def misfit(logs: Floats) -> float:
        precision, efficiency = np.exp(logs)
        variance = own + np.square(own) / (precision + efficiency * before)
        return float((np.log(variance) + np.square(surplus) / variance).sum())

    bounds = [tuple(np.log(_PRECISIONS)), tuple(np.log(_EFFICIENCIES))]
    starts = [(np.log(1.0), np.log(0.1)), (np.log(100.0), np.log(1e-3))]
    found = [minimize(misfit, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(found, key=lambda one: float(one.fun))
    return ItemPrior(*(float(value) for value in np.exp(best.x)))


def _spread(probabilities: Floats) -> Floats:
    return np.asarray(probabilities * (1 - probabilities), np.float64)
