"""Calibration of parts of the rows: by a field's values, by how well an item is known, by score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.ctr.calibration.reliability import check_predictions, reliability, wilson
from training.ctr.metrics import COLD_IMPRESSIONS, defined_auc
from vizsla.models.ranker.calibration import Scores

__all__ = ["Segment", "cold_segments", "decile_segments", "segments"]

_MAX_VALUES = 20
_ECE_BINS = 10
_LEVEL = 0.05


class Segment(BaseModel):
    """Rows that have something in common.

    Attributes:
        field: What they were grouped by: a field's name, ``impressions`` or ``score``.
        value: What they have in common.
        predicted: Mean prediction.
        rate: Share of positives, with its 95 % Wilson interval ``low`` to ``high``.
        ratio: Predicted over true positives; None where there are no true ones.
        auc: Within the segment; None with one label only.
        ece: Of 10 bins within the segment.
        ece_if_perfect: Its mean for a perfectly calibrated model on the same rows.
        z: ``(positives - predicted positives)`` over its standard deviation if all predictions
            are right.
        off: Whether that is too far from 0 for chance, at 5 % for all segments of the field
            together (Bonferroni).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    value: str
    n_rows: int
    predicted: float
    rate: float
    low: float
    high: float
    ratio: float | None
    auc: float | None
    ece: float
    ece_if_perfect: float
    z: float
    off: bool


def segments(
    probabilities: Scores,
    labels: Scores,
    groups: NDArray[np.int64],
    names: Sequence[str],
    *,
    field: str,
    seed: int = 0,
) -> tuple[Segment, ...]:
    """Measure calibration per group, the largest groups first.

    Args:
        probabilities: ``(M,)``.
        labels: ``(M,)`` 0 or 1.
        groups: ``(M,)`` places in ``names``; -1 for rows that belong to none.
        names: What each group is called.
        field: What rows were grouped by.
        seed: Of the resamples.

    Returns:
        At most 20; all further groups together are the last, named ``(others)``.
    """
    predicted, truth = check_predictions(probabilities, labels)
    counts = np.bincount(groups[groups >= 0], minlength=len(names))
    largest = np.argsort(-counts, kind="stable")
    kept = [int(group) for group in largest[:_MAX_VALUES] if counts[group]]
    parts = [(names[group], np.flatnonzero(groups == group)) for group in kept]
    others = np.flatnonzero(np.isin(groups, [g for g in largest[_MAX_VALUES:] if counts[g]]))
    if len(others):
        parts.append(("(others)", others))
    limit = _z_limit(len(parts))
    return tuple(
        _segment(predicted[rows], truth[rows], field, name, limit, seed) for name, rows in parts
    )


def cold_segments(
    probabilities: Scores, labels: Scores, impressions: NDArray[np.int64], *, seed: int = 0
) -> tuple[Segment, ...]:
    """Measure calibration by how often a row's item was shown in training: ``(M,)`` counts."""
    edges = [1, COLD_IMPRESSIONS, 100, 1000]
    names = ["0", "1 to 9", "10 to 99", "100 to 999", "1000 and more"]
    groups = np.searchsorted(edges, impressions, side="right")
    found = segments(probabilities, labels, groups, names, field="impressions", seed=seed)
    return tuple(sorted(found, key=lambda one: names.index(one.value)))


def decile_segments(probabilities: Scores, labels: Scores, *, seed: int = 0) -> tuple[Segment, ...]:
    """Measure calibration by tenths of the rows, the lowest predictions first."""
    predicted = np.asarray(probabilities, np.float64)
    edges = np.quantile(predicted, np.linspace(0, 1, 11)[1:-1])
    groups = np.searchsorted(edges, predicted, side="right")
    names = [f"{10 * tenth} to {10 * tenth + 10} %" for tenth in range(10)]
    found = segments(predicted, labels, groups, names, field="score", seed=seed)
    return tuple(sorted(found, key=lambda one: names.index(one.value)))


def _segment(
    predicted: NDArray[np.float64],
    truth: NDArray[np.float64],
    field: str,
    value: str,
    limit: float,
    seed: int,
) -> Segment:
    figures = reliability(predicted, truth, n_bins=_ECE_BINS, n_resamples=200, seed=seed)
    low, high = wilson(truth.sum(keepdims=True), np.full(1, float(len(truth))))
    z = _z(predicted, truth)
    return Segment(
        field=field,
        value=value,
        n_rows=len(truth),
        predicted=float(predicted.mean()),
        rate=float(truth.mean()),
        low=float(low[0]),
        high=float(high[0]),
        ratio=figures.ratio,
        auc=defined_auc(truth, predicted),
        ece=figures.ece,
        ece_if_perfect=figures.ece_if_perfect.mean,
        z=z,
        off=abs(z) > limit,
    )


def _z(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the surplus of positives in standard deviations, which a certain row has none of."""
    deviation = math.sqrt(float((predicted * (1 - predicted)).sum()) + 1e-12)
    return float((truth - predicted).sum()) / deviation


def _z_limit(n_segments: int) -> float:
    """Return the |z| that chance exceeds in one of n segments with probability 5 %."""
    from scipy.special import ndtri

    return float(-ndtri(_LEVEL / 2 / max(n_segments, 1)))
