"""Answers of the operating points, what they cost, and how much of the exhaustive answer they hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from graph_index.dot_walk import DotWalk
from training.bench.form import Row
from training.bench.retrieval.arena import Arena
from training.bench.retrieval.machine import Yardstick
from training.bench.retrieval.points import EXHAUSTIVE, Point
from training.bench.retrieval.scorers import SAME_SCORES
from training.metrics import coverage_at_k, recall_at_k
from vizsla.contracts.index import SearchResult
from vizsla.files import atomic_path

__all__ = ["BATCH", "DEPTHS", "Answers", "answer_all", "answer_side_by_side", "row_of", "truth"]

BATCH = 8
"""Queries of a batch: what a busy server finds waiting."""

DEPTHS = (50, 200)
"""List lengths of the coverage."""

_LARGE = 200_000
_SKIPPED_BLOCKS = 8


@dataclass(slots=True)
class Answers:
    """What a point answered so far.

    Attributes:
        first: Number of the first query of each answered block.
        results: Of the batches, query by query.
        alone_cpu_s: Processor seconds of each query asked alone.
        alone_wall_s: Wall seconds of the same.
        batch_cpu_s: Processor seconds of all batches.
    """

    first: list[int] = field(default_factory=list)
    results: list[SearchResult] = field(default_factory=list)
    alone_cpu_s: list[float] = field(default_factory=list)
    alone_wall_s: list[float] = field(default_factory=list)
    batch_cpu_s: float = 0.0

    @property
    def rows(self) -> NDArray[np.int64]:
        """Numbers of the answered queries."""
        starts = np.repeat(np.array(self.first, np.int64), BATCH) + np.tile(
            np.arange(BATCH), len(self.first)
        )
        return starts[: len(self.results)]

    def best_ms(self) -> float:
        """Return processor milliseconds per query, alone or in a batch, whichever is less."""
        batch = self.batch_cpu_s / len(self.results)
        alone = [float(np.mean(self.alone_cpu_s))] if self.alone_cpu_s else []
        return 1e3 * min([batch, *alone])


def truth(
    arena: Arena, scorer: str, part: str, advance: Callable[[int], object]
) -> NDArray[np.int64]:
    """Return ``(Q, k)`` exhaustive lists of a part, from the folder where they are there."""
    scorer = SAME_SCORES.get(scorer, scorer)
    n_queries = len(arena.part(part).queries)
    path = arena.folder / f"exhaustive-{scorer}-{part}-{n_queries}-seed-{arena.seed}.npy"
    if path.is_file():
        advance(n_queries)
        found: NDArray[np.int64] = np.load(path, allow_pickle=False)
        return found
    system = replace(EXHAUSTIVE, scorer=scorer)
    answers = answer_all(arena, Point(system, max(DEPTHS)), part, advance)
    lists = lists_of(answers.results, max(DEPTHS))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, lists, allow_pickle=False)
    return lists


def answer_all(
    arena: Arena, point: Point, part: str, advance: Callable[[int], object] = lambda _n: None
) -> Answers:
    """Answer all queries of a part in batches."""
    answers, n_queries = Answers(), len(arena.part(part).queries)
    arena.search(point.system, part, 0, 1, point.search_options())
    for start in range(0, n_queries, BATCH):
        _batch(arena, point, part, start, answers)
        advance(min(BATCH, n_queries - start))
    return answers


def answer_side_by_side(
    arena: Arena, points: Sequence[Point], part: str, advance: Callable[[int], object]
) -> dict[Point, Answers]:
    """Answer with all points block by block, so that a noisy minute is everybody's.

    First every query is asked in a batch, then every query alone; each block begins with
    another point, so that none finds the rows always read by the one before.  On a large
    catalogue exhaustive scoring answers only some of the blocks.
    """
    made = {point: Answers() for point in points}
    n_queries = len(arena.part(part).queries)
    for point in points:
        arena.search(point.system, part, 0, 1, point.search_options())
    for ask in (_batch, _alone):
        for block, start in enumerate(range(0, n_queries, BATCH)):
            first = block % len(points)
            for point in (*points[first:], *points[:first]):
                if _takes_part(arena, point, block):
                    ask(arena, point, part, start, made[point])
            advance(min(BATCH, n_queries - start))
    return made


def row_of(
    arena: Arena,
    point: Point,
    part: str,
    answers: Answers,
    exhaustive: NDArray[np.int64],
    yardstick: Yardstick,
) -> Row:
    """Make the table's row of one point; ``exhaustive`` holds the lists of the same scorer."""
    rows, n_items = answers.rows, arena.n_items
    scored = np.array([result.work.n_scored for result in answers.results])
    lists = lists_of(answers.results, point.k)
    targets = arena.part(part).cases.targets
    row: Row = {
        "system": point.system.name,
        "backend": point.system.backend,
        "scorer": point.system.scorer,
        "point": point.name,
        "k": point.k,
        "search": dict(point.options) | dict(point.system.settings),
        "part": part,
        "n_queries": len(rows),
        "n_items": n_items,
        **{f"coverage_at_{depth}": None for depth in DEPTHS},
        "scored_ratio": float(scored.mean() / n_items),
        "scored_p95_ratio": float(np.quantile(scored, 0.95) / n_items),
        "rounds": float(np.mean([result.work.n_rounds for result in answers.results])),
        "cpu_ms_per_query_batch_8": 1e3 * answers.batch_cpu_s / len(rows),
        "qps_1core": 1e3 / answers.best_ms(),
        "gemm_efficiency_ratio": yardstick.product_s(answers.results) / answers.batch_cpu_s,
        "bandwidth_ratio": yardstick.reading_s(answers.results) / answers.batch_cpu_s,
        "bytes_per_item": bytes_per_item(arena, point),
    }
    for depth in (depth for depth in DEPTHS if depth <= point.k):
        wanted = exhaustive[rows, :depth]
        row[f"coverage_at_{depth}"] = float(coverage_at_k(lists[:, :depth], wanted).mean())
        row[f"recall_at_{depth}"] = float(recall_at_k(lists, targets.take(rows), depth).mean())
        own = recall_at_k(exhaustive[rows], targets.take(rows), depth)
        row[f"scorer_recall_at_{depth}"] = float(own.mean())
    return row | _alone_figures(answers)


def bytes_per_item(arena: Arena, point: Point) -> float:
    """Return memory per item of tables, index and, where they are scanned beside narrower tables, the vectors."""
    tables = arena.torch_scorer.bytes_per_item
    # float32 tables hold the vectors themselves; the walk by dot product reads the narrow ones
    read_again = point.system.seeded and arena.torch_scorer.tables.dtype != "float32"
    walked = isinstance(getattr(arena.retriever(point.system), "source", None), DotWalk)
    vectors = 4 * arena.vectors.shape[1] if read_again and not walked else 0
    return float(tables + vectors + arena.retriever(point.system).index_bytes / arena.n_items)


def lists_of(results: Sequence[SearchResult], k: int) -> NDArray[np.int64]:
    """Return ``(Q, k)`` item numbers, padded with -1."""
    lists = np.full((len(results), k), -1, np.int64)
    for row, result in zip(lists, results, strict=True):
        row[: len(result.item_nums)] = result.item_nums
    return lists


def _takes_part(arena: Arena, point: Point, block: int) -> bool:
    large = point.system.grid == "all" and arena.n_items > _LARGE
    return not large or block % _SKIPPED_BLOCKS == 0


def _batch(arena: Arena, point: Point, part: str, start: int, answers: Answers) -> None:
    before_s = time.process_time()
    found = arena.search(point.system, part, start, start + BATCH, point.search_options())
    answers.batch_cpu_s += time.process_time() - before_s
    answers.first.append(start)
    answers.results += found


def _alone(arena: Arena, point: Point, part: str, start: int, answers: Answers) -> None:
    stop = min(start + BATCH, len(arena.part(part).queries))
    for query in range(start, stop):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        arena.search(point.system, part, query, query + 1, point.search_options())
        answers.alone_wall_s.append(time.perf_counter() - wall_s)
        answers.alone_cpu_s.append(time.process_time() - cpu_s)


def _alone_figures(answers: Answers) -> Row:
    if not answers.alone_cpu_s:
        return {}
    return {
        "cpu_ms_per_query": 1e3 * float(np.mean(answers.alone_cpu_s)),
        "p50_ms": 1e3 * float(np.quantile(answers.alone_wall_s, 0.5)),
        "p99_ms": 1e3 * float(np.quantile(answers.alone_wall_s, 0.99)),
    }
