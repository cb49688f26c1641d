"""Whether a process's memory stays flat while it works: a verdict, and what it is made from."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from typing import Any

__all__ = ["MOST_GROWTH_MIB_PER_MIN", "MemoryWatch"]

WARM_UP_S = 120.0
"""Until then tables get their second buffers and caches fill; that is no leak."""

SHORTEST_S = 300.0
"""A trend over less than that, after the warm-up, is noise."""

BLOCK_S = 15.0
MOST_GROWTH_MIB_PER_MIN = 1.0
MOST_GROWTH_RATIO = 0.05
"""From the first floor after the warm-up to the last: a slope does not see a leak that comes in steps."""


class MemoryWatch:
    """Memory of one life of a process.

    The trend is that of the least memory in blocks of 15 seconds: what requests and background
    work hold for a moment comes and goes, what is never given back lifts the floor.  It is
    the median slope between any two blocks (Theil and Sen), which a single step moves little.

    Example:
        >>> watch = MemoryWatch()
        >>> for second in range(600):
        ...     watch.note(second, 100 + second / 30)
        >>> report = watch.report()
        >>> report["verdict"], report["slope_mib_per_min"], report["peak_mib"]
        ('grows', 2.0, 120.0)
    """

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def note(self, at_s: float, mib: float) -> None:
        """Take a sample, ``at_s`` seconds after the process was ready."""
        self._samples.append((at_s, mib))

    @property
    def floor_mib(self) -> float:
        """Least memory in the last block; 0 before the first sample."""
        floors = _floors(self._samples)
        return floors[-1][1] if floors else 0.0

    def report(self) -> dict[str, Any]:
        """Return seconds watched, memory in MiB, its trend, and the verdict.

        ``verdict`` is ``flat``, ``grows`` (by more than a MiB a minute, or by more than a
        twentieth in all), or ``too short`` for a life of which less than five minutes are left
        after the warm-up; then there is no slope.
        """
        if not self._samples:
            return {"watched_s": 0, "verdict": "too short"}
        values = [mib for _, mib in self._samples]
        facts: dict[str, Any] = {
            "watched_s": round(self._samples[-1][0]),
            "first_mib": round(values[0], 1),
            "last_mib": round(values[-1], 1),
            "peak_mib": round(max(values), 1),
        }
        warm = [sample for sample in self._samples if sample[0] >= WARM_UP_S]
        if not warm or warm[-1][0] - warm[0][0] < SHORTEST_S:
            return {**facts, "verdict": "too short"}
        floors = _floors(warm)
        slope, first, last = 60 * _slope(floors), floors[0][1], floors[-1][1]
        grows = slope > MOST_GROWTH_MIB_PER_MIN or last > first * (1 + MOST_GROWTH_RATIO)
        return {
            **facts,
            "warm_floor_mib": round(first, 1),
            "last_floor_mib": round(last, 1),
            "slope_mib_per_min": round(slope, 3),
            "verdict": "grows" if grows else "flat",
        }


def _floors(samples: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the middle and the least memory of each block."""
    blocks = itertools.groupby(samples, key=lambda sample: int(sample[0] / BLOCK_S))
    return [((number + 0.5) * BLOCK_S, min(mib for _, mib in block)) for number, block in blocks]


def _slope(points: Sequence[tuple[float, float]]) -> float:
    pairs = itertools.combinations(points, 2)
    return statistics.median((after[1] - at[1]) / (after[0] - at[0]) for at, after in pairs)
