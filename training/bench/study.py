"""Arms over several seeds: means, and how each differs from the one it is held against.

Arms are compared within a seed, on the seed's own queries: what a seed has in common cancels.
Two intervals say how sure a difference is. Over *seeds*: Student's t of the differences of the
seeds, which holds everything that another training would change, and is wide with three of
them. Over *queries*: a bootstrap of all pairs of query and seed, which holds the queries alone.
A difference is *clear* when neither interval holds zero.

Shapes: **S** seeds, **Q** queries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from training.bench.form import Row
from training.bench.measure import unpacked
from training.bootstrap import mean_intervals

__all__ = ["Estimate", "find", "seed_estimate", "summarise"]

Estimate = list[float | None]
"""``[mean, low, high]`` of a 95 % interval; the ends are None where they cannot be known."""

Floats = NDArray[np.float64]

_ABOUT = ("cpu_s", "share", "validation_served_recall_at_20")
"""Columns of every fork that are averaged but not compared."""


def seed_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of S values with Student's 95 % interval; one value has none.

    Example:
        Three seeds: 4.30 standard errors to each side.

        >>> [round(end, 3) for end in seed_estimate([1.0, 2.0, 3.0])]
        [2.0, -0.484, 4.484]
    """
    table = np.asarray(values, np.float64)
    mean, n_seeds = float(table.mean()), len(table)
    if n_seeds < 2:
        return [mean, None, None]
    half = float(stdtrit(n_seeds - 1, 0.975) * table.std(ddof=1) / math.sqrt(n_seeds))
    return [mean, mean - half, mean + half]


def summarise(
    rows: Sequence[Row], arms: Sequence[str], columns: Sequence[str], against: str
) -> Iterator[Row]:
    """Yield a row per dataset and arm.

    ``COLUMN`` holds the mean over seeds, ``COLUMN_gain`` the difference from the arm
    ``against`` over the seeds that both have, ``COLUMN_gain_by_query`` the same with the
    interval over queries, and ``COLUMN_clear`` whether neither holds zero.

    Args:
        rows: Of forks.
        arms: In the order wanted; those without a row are left out.
        columns: Figures.
        against: The arm that the others are held against.
    """
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        own = [row for row in rows if row["dataset"] == dataset]
        by_arm = {arm: {row["seed"]: row for row in own if row["arm"] == arm} for arm in arms}
        for arm, seeds in by_arm.items():
            if seeds:
                pairs = [(row, by_arm[against].get(seed)) for seed, row in seeds.items()]
                yield _summary(dataset, arm, pairs, columns, is_base=arm == against)


def find(summary: Sequence[Row], dataset: str, arm: str) -> Row | None:
    """Return the summary of an arm on a dataset, None where it was not trained."""
    for row in summary:
        if (row["dataset"], row["arm"]) == (dataset, arm):
            return row
    return None


def _summary(
    dataset: str,
    arm: str,
    pairs: Sequence[tuple[Row, Row | None]],
    columns: Sequence[str],
    *,
    is_base: bool,
) -> Row:
    made: Row = {"dataset": dataset, "arm": arm, "n_seeds": len(pairs)}
    made["n_queries"] = sum(row["n_queries"] for row, _ in pairs)
    made |= {name: seed_estimate([row[name] for row, _ in pairs]) for name in _ABOUT}
    matched = [(row, base) for row, base in pairs if base is not None and not is_base]
    for column in columns:
        made[column] = seed_estimate([row[column] for row, _ in pairs])
        if matched:
            made |= _gains(column, matched)
    return made


def _gains(column: str, pairs: Sequence[tuple[Row, Row]]) -> dict[str, Estimate | bool]:
    by_seed = seed_estimate([row[column] - base[column] for row, base in pairs])
    by_query = _by_query(column, pairs)
    return {
        f"{column}_gain": by_seed,
        f"{column}_gain_by_query": by_query,
        f"{column}_clear": _without_zero(by_seed) and _without_zero(by_query),
    }


def _by_query(column: str, pairs: Sequence[tuple[Row, Row]]) -> Estimate:
    gains = np.concatenate([_queries(row, column) - _queries(base, column) for row, base in pairs])
    return list(mean_intervals({column: gains}, seed=0)[column])


def _queries(row: Mapping[str, Mapping[str, str]], column: str) -> Floats:
    return unpacked(row["queries"][column])


def _without_zero(estimate: Estimate) -> bool:
    _, low, high = estimate
    return low is not None and high is not None and (low > 0 or high < 0)
