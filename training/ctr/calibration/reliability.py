"""How far predicted probabilities are from what happens, apart from the luck of the sample.

Rows are put in bins of equal mass by their prediction; equal predictions share a bin.  In a bin,
``gap = mean(label - prediction)``.  Two figures are made of the gaps, weighted by rows:

``ece``
    ``sum_b w_b |gap_b|``, the usual one.  It is above zero for a perfect model as well: chance
    makes gaps, the more so the fewer rows a bin has.
``ece_debiased``
    ``sqrt(max(0, sum_b w_b (gap_b^2 - var_b)))`` with ``var_b`` the sample variance of
    ``label - prediction`` in the bin over its rows: the chance is subtracted (Ferro and Fricker,
    2012; Kumar et al., 2019), and ``squared_debiased``, before the root, has no bias for a
    sample of any size.  Without chance, it is never below ``ece``, since a root of mean squares
    is never below a mean.

Beside both stands what a perfectly calibrated model with the same predictions would show on as
many rows: labels are drawn from the predictions, over and over.

Shapes: **M** rows, **B** bins, **R** resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from training.evaluation.results import Estimate
from vizsla.errors import DataError
from vizsla.models.ranker.calibration import Scores
from vizsla.rng import numpy_generator

__all__ = ["Bin", "Reliability", "check_predictions", "reliability", "wilson"]

Floats = NDArray[np.float64]

N_BINS = 20
N_RESAMPLES = 500

_BLOCK_VALUES = 4_000_000
_QUANTILES = (0.025, 0.975)
_Z95 = 1.959963984540054


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Bin(_Frozen):
    """Rows with similar predictions.

    Attributes:
        n_rows: In the bin.
        predicted: Their mean prediction.
        rate: Share of positives; ``low`` and ``high`` are its 95 % Wilson interval.
        perfect_low: Between this and ``perfect_high`` lie 95 % of the shares that a perfectly
            calibrated model would show.
    """

    n_rows: int
    predicted: float
    rate: float
    low: float
    high: float
    perfect_low: float
    perfect_high: float


class Reliability(_Frozen):
    """Calibration on M rows; the figures are those of the module.

    Attributes:
        ece_if_perfect: Of a perfectly calibrated model, mean and 95 % interval.
        ece_debiased_if_perfect: The same for ``ece_debiased``.
        p_value: Share of perfectly calibrated samples with an ``ece`` at least as large.
        ratio: Predicted positives over true ones; None where there are no true ones.
    """

    n_rows: int
    n_positive: int
    ratio: float | None
    ece: float
    ece_if_perfect: Estimate
    ece_debiased: float
    ece_debiased_if_perfect: Estimate
    squared_debiased: float
    p_value: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Per bin, ``(B,)`` for the sample or ``(R, B)``: sums of labels, and of labels times predictions."""

    labels: Floats
    products: Floats


@dataclass(frozen=True, slots=True)
class _Binned:
    """Rows of predictions ``p`` sorted into bins, one after the other.

    Attributes:
        order: ``(M,)`` rows by bin.
        starts: ``(B,)`` places in ``order`` where bins begin.
        counts: ``(B,)`` rows.
        sums: ``(B,)`` of p.
        squares: ``(B,)`` of p squared.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: Floats
    sums: Floats
    squares: Floats


def reliability(
    probabilities: Scores,
    labels: Scores,
    *,
    n_bins: int = N_BINS,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Reliability:
    """Measure calibration.

    Args:
        probabilities: ``(M,)`` in [0, 1].
        labels: ``(M,)`` 0 or 1.
        n_bins: At most B.
        n_resamples: R, samples of a perfectly calibrated model.
        seed: Of the resamples.

    Raises:
        DataError: No row, a prediction that is no probability, or a label that is not 0 or 1.
    """
    predicted, truth = check_predictions(probabilities, labels)
    binned = _bin(predicted, n_bins)
    sample = _sums(binned, truth[None], predicted)
    drawn = _perfect(binned, predicted, n_resamples, seed)
    ece, squared = _figures(binned, sample)
    eces, squares = _figures(binned, drawn)
    total = float(truth.sum())
    return Reliability(
        n_rows=len(truth),
        n_positive=round(total),
        ratio=float(predicted.sum()) / total if total else None,
        ece=float(ece[0]),
        ece_if_perfect=_estimate(eces),
        ece_debiased=_root(squared)[0],
        ece_debiased_if_perfect=_estimate(_root(squares)),
        squared_debiased=float(squared[0]),
        p_value=float((1 + (eces >= ece[0]).sum()) / (1 + n_resamples)),
        bins=_bins(binned, sample.labels[0], drawn.labels),
    )


def check_predictions(probabilities: Scores, labels: Scores) -> tuple[Floats, Floats]:
    """Return both as float64.

    Raises:
        DataError: No row, a prediction that is no probability, or a label that is not 0 or 1.
    """
    predicted, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    if not len(truth):
        raise DataError("calibration needs at least one row")
    wrong = np.flatnonzero(~((predicted >= 0) & (predicted <= 1)))
    if len(wrong):
        raise DataError(f"prediction of row {wrong[0]} is {predicted[wrong[0]]}, not in [0, 1]")
    wrong = np.flatnonzero((truth != 0) & (truth != 1))
    if len(wrong):
        raise DataError(f"label of row {wrong[0]} is {truth[wrong[0]]}, not 0 or 1")
    return predicted, truth


def wilson(n_positive: Floats, n_rows: Floats) -> tuple[Floats, Floats]:
    """Return the 95 % Wilson interval of shares: both ``(B,)``, rows at least 1."""
    rate, z2 = n_positive / n_rows, _Z95**2
    centre = (rate + z2 / (2 * n_rows)) / (1 + z2 / n_rows)
    spread = rate * (1 - rate) / n_rows + z2 / (4 * n_rows**2)
    half = _Z95 * np.sqrt(spread) / (1 + z2 / n_rows)
    return np.maximum(centre - half, 0), np.minimum(centre + half, 1)


def _bin(predicted: Floats, n_bins: int) -> _Binned:
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, predicted, side="right")
    order = np.argsort(bins, kind="stable")
    starts = np.flatnonzero(np.diff(bins[order], prepend=-1))
    counts = np.diff(starts, append=len(predicted)).astype(np.float64)
    sums = np.add.reduceat(predicted[order], starts)
    squares = np.add.reduceat(np.square(predicted[order]), starts)
    return _Binned(order, starts, counts, sums, squares)


def _sums(binned: _Binned, labels: Floats, predicted: Floats) -> _Sums:
    """Sum ``(R, M)`` labels, and their products with predictions, over bins."""
    ordered = labels[:, binned.order]
    products = ordered * predicted[binned.order]
    return _Sums(
        np.add.reduceat(ordered, binned.starts, axis=1),
        np.add.reduceat(products, binned.starts, axis=1),
    )


def _perfect(binned: _Binned, predicted: Floats, n_resamples: int, seed: int) -> _Sums:
    """Draw labels from the predictions, R times."""
    generator = numpy_generator(seed, "perfect calibration", len(predicted))
    step = max(1, _BLOCK_VALUES // len(predicted))
    blocks = []
    for start in range(0, n_resamples, step):
        size = (min(step, n_resamples - start), len(predicted))
        labels = (generator.random(size) < predicted).astype(np.float64)
        blocks.append(_sums(binned, labels, predicted))
    return _Sums(
        np.concatenate([block.labels for block in blocks]),
        np.concatenate([block.products for block in blocks]),
    )


def _figures(binned: _Binned, sums: _Sums) -> tuple[Floats, Floats]:
    """Return ``(R,)`` ECE and ``(R,)`` debiased mean of squared gaps."""
    counts = binned.counts
    weights = counts / counts.sum()
    gaps = (sums.labels - binned.sums) / counts
    # the sum of (label - p)^2, since a label is its own square
    squares = sums.labels - 2 * sums.products + binned.squares
    # a bin of one row says nothing about its variance: the widest there is
    variance = np.where(counts > 1, squares / counts - gaps**2, 0.25) / np.maximum(counts - 1, 1)
    return np.abs(gaps) @ weights, (gaps**2 - variance) @ weights


def _bins(binned: _Binned, positives: Floats, drawn: Floats) -> tuple[Bin, ...]:
    counts = binned.counts
    low, high = wilson(positives, counts)
    perfect = np.quantile(drawn, _QUANTILES, axis=0) / counts
    columns = (binned.sums / counts, positives / counts, low, high, perfect[0], perfect[1])
    return tuple(
        Bin(
            n_rows=int(n),
            predicted=values[0],
            rate=values[1],
            low=values[2],
            high=values[3],
            perfect_low=values[4],
            perfect_high=values[5],
        )
        for n, values in zip(counts, np.stack(columns, axis=1).tolist(), strict=True)
    )


def _root(squared: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(squared, 0)), np.float64)


def _estimate(values: Floats) -> Estimate:
    low, high = np.quantile(values, _QUANTILES)
    return Estimate(mean=float(values.mean()), low=float(low), high=float(high))
