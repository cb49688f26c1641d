"""What one part of the walk is worth: the same operating point with that part taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from training.bench.retrieval.points import EXHAUSTIVE, Point, System

__all__ = ["ablation_points"]


def ablation_points(chosen: Sequence[Point]) -> list[Point]:
    """Return variants of the seeded and of the unseeded walk, exhaustive scoring first.

    Args:
        chosen: Points of the test; the first of each walk is the one varied.
    """
    points = [Point(EXHAUSTIVE, 200)]
    for name in ("walk_proxy", "walk_entries"):
        mine = [point for point in chosen if point.system.name == name and point.k == 200]
        if mine:
            points += _variants(mine[len(mine) // 2])
    return points


def _variants(point: Point) -> list[Point]:
    system = point.system
    made = [
        point,
        replace(point, system=_named(system, "no_tables", scorer="no_tables")),
        replace(point, system=_named(system, "set_marks", backend="graph_set_marks")),
    ]
    if system.seeded:
        entries = (("entry_points_with_proxy", 1),)
        made.append(replace(point, system=_named(system, "and_entries", settings=entries)))
    rounds = dict(point.options)
    made += [
        replace(point, options=tuple(sorted((rounds | {"max_rounds": n}).items())))
        for n in (0, 1, 2, 3, 50)
        if n != rounds["max_rounds"] and (n or system.seeded)
    ]
    return made


def _named(system: System, what: str, **changes: Any) -> System:
    return replace(system, name=f"{system.name}, {what}", **changes)
