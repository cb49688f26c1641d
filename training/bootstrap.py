"""How sure a mean over queries is, and a difference of two rankings on the same queries.

Shapes: **Q** queries, **R** resamples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vizsla.errors import ContractError
from vizsla.rng import numpy_generator

__all__ = ["Interval", "mean_intervals", "paired_differences"]

Floats = NDArray[np.float64]

_BLOCK_VALUES = 8_000_000
"""Draws held at once: 64 MB of int64."""


class Interval(NamedTuple):
    """A mean with its percentile interval."""

    mean: float
    low: float
    high: float


def mean_intervals(
    values: Mapping[str, Floats], *, seed: int, n_resamples: int = 2_000, level: float = 0.95
) -> dict[str, Interval]:
    """Estimate means over queries and how far another sample of queries would move them.

    Percentile bootstrap: the queries are drawn again with replacement, the same
    draws for every name.

    Args:
        values: Name to ``(Q,)`` float64, one value per query, the same Q >= 1 for all names.
        seed: Same seed, same intervals.
        n_resamples: R; 2,000 makes the ends of a 95 % interval stable to a few percent of its width.
        level: Share of resampled means inside.

    Raises:
        ContractError: No value, or different Q.

    Example:
        >>> mean_intervals({"recall_at_1": np.array([1.0, 1.0])}, seed=0)
        {'recall_at_1': Interval(mean=1.0, low=1.0, high=1.0)}
    """
    if not values:
        return {}
    table = _table(list(values.values()))
    means = _resampled_means(table, seed, n_resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=1)
    rows = zip(values, table.mean(axis=1), low, high, strict=True)
    return {name: Interval(float(m), float(lo), float(hi)) for name, m, lo, hi in rows}


def paired_differences(
    ours: Mapping[str, Floats],
    theirs: Mapping[str, Floats],
    *,
    seed: int,
    n_resamples: int = 2_000,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Estimate the mean of ``ours - theirs`` over the same queries, name by name.

    Much narrower than comparing two separate intervals, since a hard query is
    hard for both.  ``low > 0`` means that ours is better at this level.

    Args:
        ours: Name to ``(Q,)`` float64.
        theirs: The same names, the same Q queries in the same order.
        seed: Same seed, same intervals.
        n_resamples: See ``mean_intervals``.
        level: See ``mean_intervals``.

    Raises:
        ContractError: A name is missing in theirs, or the lengths differ.

    Example:
        >>> gain = paired_differences(
        ...     {"mrr": np.array([0.5, 1.0])}, {"mrr": np.array([0.25, 0.75])}, seed=0
        ... )["mrr"]
        >>> gain.mean, gain.low > 0
        (0.25, True)
    """
    missing = [name for name in ours if name not in theirs]
    if missing:
        raise ContractError(f"nothing to compare {missing[0]} with")
    gains = {name: _minus(ours[name], theirs[name]) for name in ours}
    return mean_intervals(gains, seed=seed, n_resamples=n_resamples, level=level)


def _minus(ours: Floats, theirs: Floats) -> Floats:
    if len(ours) != len(theirs):
        raise ContractError(f"{len(ours)} queries against {len(theirs)}")
    return np.asarray(ours - theirs, np.float64)


def _table(rows: list[Floats]) -> Floats:
    if len({len(row) for row in rows}) != 1 or len(rows[0]) == 0:
        raise ContractError("a mean needs one value per query, and at least one query")
    return np.asarray(np.stack(rows), np.float64)


def _resampled_means(values: Floats, seed: int, n_resamples: int) -> Floats:
    """``(M, R)`` means of M rows of values, each resample shared by all rows."""
    n_queries = values.shape[1]
    generator = numpy_generator(seed, "bootstrap", n_queries)
    step = max(1, _BLOCK_VALUES // n_queries)
    blocks = [min(step, n_resamples - start) for start in range(0, n_resamples, step)]
    return np.concatenate([_block(values, generator, rows) for rows in blocks], axis=1)


def _block(values: Floats, generator: np.random.Generator, rows: int) -> Floats:
    n_queries = values.shape[1]
    drawn = generator.integers(n_queries, size=(rows, n_queries))
    drawn += np.arange(rows)[:, None] * n_queries
    times = np.bincount(drawn.ravel(), minlength=rows * n_queries).reshape(rows, n_queries)
    return np.asarray(values @ times.T.astype(np.float64) / n_queries, np.float64)
