"""What one part of the walk is worth: the same operating point with that part taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from training.bench.retrieval.choose import EQUAL, coverage_tag
from training.bench.retrieval.points import EXHAUSTIVE, Point, System

__all__ = ["ablation_points", "points_beside"]

_DEPTH = 200


def ablation_points(chosen: Mapping[Point, Sequence[str]]) -> list[Point]:
    """Return variants of the seeded and of the unseeded walk, exhaustive scoring first.

    Args:
        chosen: Points of the test with their tags; that of the compared coverage is varied.
    """
    points = [Point(EXHAUSTIVE, _DEPTH)]
    for point in _compared(chosen):
        points += _variants(point)
    return points


def points_beside(chosen: Mapping[Point, Sequence[str]], name: str) -> list[Point]:
    """Return the same points for another bundle, exhaustive scoring first; rows are told apart by its name."""
    points = [Point(EXHAUSTIVE, _DEPTH), *_compared(chosen)]
    return [replace(point, system=_named(point.system, name)) for point in points]


def _compared(chosen: Mapping[Point, Sequence[str]]) -> list[Point]:
    """Return the seeded and the unseeded walk's points of the compared coverage."""
    points: list[Point] = []
    for name in ("walk_proxy", "walk_entries"):
        mine = {p: tags for p, tags in chosen.items() if (p.system.name, p.k) == (name, _DEPTH)}
        compared = [point for point, tags in mine.items() if coverage_tag(EQUAL) in tags]
        points += compared or list(mine)[-1:]
    return points


def _variants(point: Point) -> list[Point]:
    system = point.system
    made = [
        point,
        replace(point, system=_named(system, "no_tables", scorer="no_tables")),
        replace(point, system=_named(system, "set_marks", backend="graph_set_marks", slow=True)),
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
