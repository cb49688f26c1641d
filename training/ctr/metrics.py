"""How well probabilities rank and fit labels: exact, in NumPy.

Shapes: **B** rows.  A figure that is not defined, such as the AUC of a single class, is NaN
from its own function and left out of ``evaluate``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COLD_IMPRESSIONS",
    "auc",
    "calibration_ratio",
    "cold_start",
    "defined_auc",
    "evaluate",
    "gauc",
    "log_loss",
    "normalised_entropy",
]

COLD_IMPRESSIONS = 10
"""Items with fewer training rows are cold."""

_SMALLEST = 1e-7
Floats = NDArray[np.floating]


def auc(labels: Floats, scores: Floats) -> float:
    """Return the share of pairs of a positive and a negative that are in order; ties get half.

    Args:
        labels: ``(B,)`` 0 or 1.
        scores: ``(B,)`` anything that rises with the probability.

    Returns:
        NaN where there is only one class.

    Example:
        >>> auc(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.2, 0.7]))
        0.75
    """
    positive = np.asarray(labels) > 0.5
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return math.nan
    ranks = _mean_ranks(np.asarray(scores))
    above = float(ranks[positive].sum()) - n_positive * (n_positive + 1) / 2
    return above / (n_positive * n_negative)


def defined_auc(labels: Floats, scores: Floats) -> float | None:
    """Return the AUC as JSON has it, which knows no NaN: None where there is one class only."""
    value = auc(labels, scores)
    return None if math.isnan(value) else value


def log_loss(labels: Floats, probabilities: Floats) -> float:
    """Return the mean of ``-log p(label)``, with p cut at 1e-7 from 0 and 1; NaN of no row."""
    if not len(labels):
        return math.nan
    p = np.clip(np.asarray(probabilities, np.float64), _SMALLEST, 1 - _SMALLEST)
    y = np.asarray(labels, np.float64)
    return float(-(y * np.log(p) + (1 - y) * np.log1p(-p)).mean())


def normalised_entropy(labels: Floats, probabilities: Floats) -> float:
    """Return the log loss relative to that of the rows' own mean; below 1 is worth something.

    Returns:
        NaN where there is only one class.
    """
    rate = float(np.mean(labels)) if len(labels) else math.nan
    if not 0 < rate < 1:
        return math.nan
    return log_loss(labels, probabilities) / log_loss(labels, np.full(len(labels), rate))


def calibration_ratio(labels: Floats, probabilities: Floats) -> float:
    """Return predicted over actual positives; NaN where there is no positive."""
    actual = float(np.sum(labels, dtype=np.float64))
    return float(np.sum(probabilities, dtype=np.float64)) / actual if actual else math.nan


def gauc(labels: Floats, scores: Floats, groups: NDArray[np.integer]) -> float:
    """Return the mean AUC within groups, such as users, weighted by their rows.

    Groups of a single class say nothing and are left out.

    Args:
        labels: ``(B,)`` 0 or 1.
        scores: ``(B,)``.
        groups: ``(B,)`` whole numbers.

    Returns:
        NaN where no group has both classes.
    """
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    total, n_rows = 0.0, 0
    for rows in np.split(order, cuts):
        value = auc(labels[rows], scores[rows])
        if not math.isnan(value):
            total, n_rows = total + value * len(rows), n_rows + len(rows)
    return total / n_rows if n_rows else math.nan


def evaluate(
    labels: Floats, probabilities: Floats, users: NDArray[np.integer] | None = None
) -> dict[str, float]:
    """Return all figures that are defined, by name.

    Args:
        labels: ``(B,)`` 0 or 1.
        probabilities: ``(B,)``.
        users: ``(B,)`` for ``gauc``; None leaves it out.
    """
    figures = {
        "auc": auc(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
        "normalised_entropy": normalised_entropy(labels, probabilities),
        "calibration_ratio": calibration_ratio(labels, probabilities),
    }
    if users is not None:
        figures["gauc"] = gauc(labels, probabilities, users)
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def cold_start(
    labels: Floats,
    probabilities: Floats,
    items: NDArray[np.integer],
    training_items: NDArray[np.integer],
) -> dict[str, float]:
    """Return figures of rows whose item has fewer than 10 rows in training.

    Args:
        labels: ``(B,)`` 0 or 1.
        probabilities: ``(B,)``.
        items: ``(B,)`` item codes; ``UNKNOWN`` and ``MISSING`` are cold, whatever training has.
        training_items: Item codes of all training rows.

    Returns:
        ``n_rows``, and what is defined of ``evaluate``.
    """
    n_codes = 1 + int(max(items.max(initial=0), training_items.max(initial=0)))
    counts = np.bincount(training_items, minlength=n_codes)
    counts[:2] = 0
    cold = counts[items] < COLD_IMPRESSIONS
    return {"n_rows": float(cold.sum())} | evaluate(labels[cold], probabilities[cold])


def _mean_ranks(scores: Floats) -> NDArray[np.float64]:
    """Return ``(B,)`` ranks from 1; equal scores share the mean of theirs."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[places]
    return ranks
