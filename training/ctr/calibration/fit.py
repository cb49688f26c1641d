"""Fit one curve from logits to probabilities.

Shapes: **M** rows, **P** parameters of a curve.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from training.isotonic import pool_adjacent_violators
from vizsla.models.ranker.calibration import (
    MIN_SLOPE,
    Beta,
    Curve,
    Identity,
    Isotonic,
    Platt,
    Temperature,
    log_losses,
    sigmoid,
    to_logits,
)

__all__ = ["FITTERS", "fit_beta", "fit_isotonic", "fit_platt", "fit_temperature"]

Floats = NDArray[np.float64]
Mass = Floats | None
"""How many rows each row counts as; None for one each."""

_PRIOR = 0.1
"""Weight of the pull towards the raw logit, in rows: it keeps separable data finite."""

_N_STEPS = 100
_MAX_BINS = 256
_ROWS_PER_BIN = 25


def fit_temperature(logits: Floats, labels: Floats, mass: Mass = None) -> Temperature:
    """Fit the temperature of least log loss: ``(M,)`` logits and labels 0 or 1."""
    (slope,) = _logistic(logits[:, None], labels, np.ones(1), _rows(labels, mass))
    return Temperature(temperature=1 / max(float(slope), MIN_SLOPE))


def fit_platt(logits: Floats, labels: Floats, mass: Mass = None) -> Platt:
    """Fit slope and intercept of least log loss: ``(M,)`` logits and labels 0 or 1."""
    features = np.stack([logits, np.ones_like(logits)], axis=1)
    slope, intercept = _bounded(
        features, labels, np.array([1.0, 0.0]), _rows(labels, mass), n_slopes=1
    )
    return Platt(slope=slope, intercept=intercept)


def fit_beta(logits: Floats, labels: Floats, mass: Mass = None) -> Beta:
    """Fit both slopes and the intercept of least log loss: ``(M,)`` logits and labels 0 or 1."""
    low, high = -np.logaddexp(0, -logits), np.logaddexp(0, logits)
    features = np.stack([low, high, np.ones_like(logits)], axis=1)
    a, b, intercept = _bounded(
        features, labels, np.array([1.0, 1.0, 0.0]), _rows(labels, mass), n_slopes=2
    )
    return Beta(a=a, b=b, intercept=intercept)


def fit_isotonic(logits: Floats, labels: Floats, mass: Mass = None) -> Isotonic:
    """Fit a rising line: flat over each stretch that pooling made flat, straight between them.

    Rows are first put in at most 256 bins of equally many, each with one more row that has the
    mean label, so that no value lies at 0 or 1.

    Args:
        logits: ``(M,)``, at least one.
        labels: ``(M,)`` 0 or 1.
        mass: ``(M,)`` how many rows each counts as; one each without.
    """
    means, rates, masses = _binned(logits, labels, _rows(labels, mass))
    pooled = pool_adjacent_violators(rates, masses)
    inner = np.zeros(len(means), np.bool_)
    inner[1:-1] = (pooled[1:-1] == pooled[:-2]) & (pooled[1:-1] == pooled[2:])
    rising = means > np.concatenate([[-np.inf], np.maximum.accumulate(means)[:-1]])
    kept = rising & ~inner
    values = to_logits(pooled[kept])
    return Isotonic(knots=tuple(means[kept].tolist()), values=tuple(values.tolist()))


def _binned(logits: Floats, labels: Floats, mass: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean logit, share of positives and mass of each bin of about equally many rows."""
    n_bins = int(np.clip(len(logits) // _ROWS_PER_BIN, 1, _MAX_BINS))
    edges = np.unique(np.quantile(logits, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, logits, side="right")
    counts = np.bincount(bins, mass).astype(np.float64)
    filled = counts > 0
    masses = counts[filled] + 1
    means = np.bincount(bins, mass * logits)[filled] / counts[filled]
    positives = np.bincount(bins, mass * labels)[filled]
    return means, (positives + np.average(labels, weights=mass)) / masses, masses


def _rows(labels: Floats, mass: Mass) -> Floats:
    return np.ones(len(labels)) if mass is None else mass


def _identity(logits: Floats, labels: Floats, mass: Mass = None) -> Identity:
    del logits, labels, mass
    return Identity()


FITTERS: Mapping[str, Callable[[Floats, Floats, Mass], Curve]] = MappingProxyType(
    {
        "identity": _identity,
        "temperature": fit_temperature,
        "platt": fit_platt,
        "beta": fit_beta,
        "isotonic": fit_isotonic,
    }
)
"""Kind of curve to what fits it; the fewer the parameters, the earlier."""


def _bounded(
    features: Floats, labels: Floats, start: Floats, mass: Floats, n_slopes: int
) -> list[float]:
    """Fit with slopes of at least ``MIN_SLOPE``: one that falls below is held there."""
    free = np.ones(len(start), np.bool_)
    fitted = _logistic(features, labels, start, mass)
    while np.any(fitted[:n_slopes] < MIN_SLOPE):
        free[:n_slopes] &= fitted[:n_slopes] >= MIN_SLOPE
        fixed = features[:, ~free] @ np.full(int((~free).sum()), MIN_SLOPE)
        fitted = np.full(len(start), MIN_SLOPE)
        fitted[free] = _logistic(features[:, free], labels, start[free], mass, fixed)
    return [float(value) for value in fitted]


def _logistic(
    features: Floats, labels: Floats, start: Floats, mass: Floats, offset: Floats | float = 0.0
) -> Floats:
    """Return the ``(P,)`` weights of least log loss: damped Newton steps, a convex problem."""
    weights = start.copy()
    loss = _objective(features, labels, weights, start, mass, offset)
    for _ in range(_N_STEPS):
        step = _newton_step(features, labels, weights, start, mass, offset)
        if not np.any(np.abs(step) > 1e-9):
            break
        following = _objective(features, labels, weights - step, start, mass, offset)
        while following > loss and np.any(np.abs(step) > 1e-9):
            step /= 2
            following = _objective(features, labels, weights - step, start, mass, offset)
        weights, loss = weights - step, following
    return weights


def _newton_step(
    features: Floats,
    labels: Floats,
    weights: Floats,
    start: Floats,
    mass: Floats,
    offset: Floats | float,
) -> Floats:
    probabilities = sigmoid(features @ weights + offset)
    slope = features.T @ (mass * (probabilities - labels)) + _PRIOR * (weights - start)
    spread = mass * probabilities * (1 - probabilities)
    bend = features.T @ (features * spread[:, None]) + _PRIOR * np.eye(len(weights))
    return np.asarray(np.linalg.solve(bend, slope), np.float64)


def _objective(
    features: Floats,
    labels: Floats,
    weights: Floats,
    start: Floats,
    mass: Floats,
    offset: Floats | float,
) -> float:
    losses = log_losses(features @ weights + offset, labels)
    return float((mass * losses).sum() + _PRIOR / 2 * np.square(weights - start).sum())
