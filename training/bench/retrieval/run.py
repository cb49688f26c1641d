"""``vizsla bench retrieval``: tune every system on validation queries, report on test queries."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from graph_index.build import BuildProgress, build_graph
from graph_index.settings import BuildSettings
from training.bench.form import BenchFile, Row, Target
from training.bench.retrieval.ablations import ablation_points, points_beside
from training.bench.retrieval.arena import Arena
from training.bench.retrieval.choose import choose
from training.bench.retrieval.further import changed, divided, filtered, further_targets
from training.bench.retrieval.machine import Yardstick, measure_yardstick
from training.bench.retrieval.measure import (
    DEPTHS,
    Answers,
    answer_all,
    answer_side_by_side,
    row_of,
    truth,
)
from training.bench.retrieval.memory import memory_rows
from training.bench.retrieval.picture import plot_costs
from training.bench.retrieval.points import EXHAUSTIVE, SYSTEMS, Point, System, points_of
from training.bench.retrieval.presets import RetrievalPreset
from training.bench.retrieval.targets import recommended, retrieval_targets
from vizsla.cli_output import progress

__all__ = ["COLUMNS", "run_retrieval", "shown"]

COLUMNS = (
    "system",
    "point",
    "coverage_at_50",
    "coverage_at_200",
    "scorer_recall_at_50",
    "scored_ratio",
    "cpu_ms_per_query",
    "p50_ms",
    "p99_ms",
    "qps_1core",
    "speedup_vs_exhaustive",
    "gemm_efficiency_ratio",
    "bytes_per_item",
    "build_s",
)


def run_retrieval(
    arena: Arena, file: BenchFile, preset: RetrievalPreset, beside: Mapping[str, Arena]
) -> list[Target]:
    """Measure all systems that make sense for a bundle.

    Args:
        arena: The opened bundle.
        file: Rows are added to it a step at a time; the picture lies beside it.
        preset: Sizes and targets.
        beside: Name to another bundle of the same data, whose walks are measured at the same points.
    """
    yardstick = measure_yardstick(arena)
    systems = [system for system in SYSTEMS if arena.fits(system)]
    file.step("machine", lambda: [_without_none(asdict(yardstick))])
    file.step("build", partial(_build, arena))
    tuned: list[Row] = []
    for system in systems:
        tuned += file.step(f"tune {system.name}", partial(_tune, arena, system, yardstick))
    plot_costs(tuned, _title(arena), file.path.with_suffix(".png"))
    chosen = _chosen(systems, tuned, preset, arena.n_items)
    file.step("test", partial(_test, arena, chosen, yardstick))
    ablations = {point: () for point in ablation_points(chosen) if arena.fits(point.system)}
    file.step("ablations", partial(_test, arena, ablations, yardstick))
    for name, other in beside.items():
        points = dict.fromkeys(points_beside(chosen, name), ())
        file.step(f"beside {name}", partial(_test, other, points, yardstick))
    file.step("memory", partial(_memory, {"": arena, **beside}))
    file.step("filters", partial(filtered, arena, preset))
    if preset.n_shards:
        file.step("shards", partial(divided, arena, preset))
    if preset.churn_share:
        file.step("churn", partial(changed, arena, preset))
    file.step("auto", lambda: recommended(file.result.rows))
    rows = file.result.rows
    return [*retrieval_targets(preset, rows), *further_targets(preset, rows)]


def shown(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the table: those on test queries."""
    return [row for row in rows if row.get("part") == "test"]


def _build(arena: Arena) -> list[Row]:
    """Build the graph once more, to know how long it takes with one thread."""
    manifest = arena.bundle.manifest.index
    settings = BuildSettings(max_degree=arena.graph.max_degree)
    if manifest is not None:
        settings = settings.model_copy(update={"ef_construction": manifest.ef_construction})
    start_s = time.perf_counter()
    with progress("building the graph", total=1.0, unit="graphs") as bar:
        report: BuildProgress = lambda step, _share: bar.note(step)  # noqa: E731
        build_graph(arena.vectors, settings, arena.seed, progress=report)
    return [{"build_s": time.perf_counter() - start_s, "n_items": arena.n_items}]


def _memory(arenas: Mapping[str, Arena]) -> list[Row]:
    return [
        {"system": name or "this bundle", **row}
        for name, arena in arenas.items()
        for row in memory_rows(arena.bundle.path)
    ]


def _tune(arena: Arena, system: System, yardstick: Yardstick) -> list[Row]:
    points = [point for k in _depths(arena) for point in points_of(system, k, arena.n_items)]
    n_queries = len(arena.part("validation").queries)
    with progress(system.name, total=n_queries * (len(points) + 1), unit="queries") as bar:
        lists = truth(arena, system.scorer, "validation", bar.advance)
        rows = []
        for point in points:
            answers = answer_all(arena, point, "validation", bar.advance)
            rows.append(row_of(arena, point, "validation", answers, lists, yardstick))
    return rows


def _chosen(
    systems: Sequence[System], tuned: Sequence[Row], preset: RetrievalPreset, n_items: int
) -> dict[Point, Sequence[str]]:
    """Return the points to measure on test: of each depth first exhaustive scoring."""
    points: dict[Point, Sequence[str]] = {}
    depths = sorted({row["k"] for row in tuned})
    for k in depths:
        points[Point(EXHAUSTIVE, k)] = ()
    for system in systems:
        rows = [row for row in tuned if row["system"] == system.name]
        shares = sorted({share for name, _, share, _ in preset.shares if name == system.name})
        tags = choose(rows, shares)
        known = {point.name: point for k in depths for point in points_of(system, k, n_items)}
        points |= {known[name]: tagged for name, tagged in tags.items()}
    return points


def _test(arena: Arena, points: Mapping[Point, Sequence[str]], yardstick: Yardstick) -> list[Row]:
    """Measure points side by side; the first exhaustive one of each depth is the yardstick."""
    scorers = {point.system.scorer for point in points}
    n_queries = len(arena.part("test").queries)
    with progress("test", total=n_queries * (2 + len(scorers)), unit="queries") as bar:
        lists = {scorer: truth(arena, scorer, "test", bar.advance) for scorer in scorers}
        made = answer_side_by_side(arena, list(points), "test", bar.advance)
    return [
        _test_row(arena, point, made, lists[point.system.scorer], yardstick)
        | {"chosen_for": list(points[point])}
        for point in points
    ]


def _test_row(
    arena: Arena,
    point: Point,
    made: dict[Point, Answers],
    lists: NDArray[np.int64],
    yardstick: Yardstick,
) -> Row:
    row = row_of(arena, point, "test", made[point], lists, yardstick)
    everything = made.get(Point(EXHAUSTIVE, point.k))
    timed = point.system.scorer != "deep_only" and everything is not None
    speedup = everything.best_ms() / made[point].best_ms() if timed and everything else None
    return row | {
        "speedup_vs_exhaustive": speedup,
        "build_s": arena.build_s.get(point.system.name),
    }


def _depths(arena: Arena) -> list[int]:
    return [depth for depth in DEPTHS if depth <= arena.n_items // 4] or [min(DEPTHS)]


def _title(arena: Arena) -> str:
    manifest = arena.bundle.manifest
    return (
        f"{manifest.dataset.name}: {manifest.model.name}, {arena.n_items:,} items, "
        f"bundle {manifest.content_hash[:12]}, {arena.sizes['validation']} validation queries"
    )


def _without_none(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
