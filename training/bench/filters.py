"""``vizsla bench filters``: does the filtered top k hold, at any selectivity, wherever it lies?

A public dataset has no targeting, so the attributes are made: a uniform number, and a
category by vector (k-means).  What a filter allows is then spread at random (``random``), some
categories that are the same for all users (``categories``), the categories that the query's own
proxy likes best (``near``), or least (``far``: the hardest, since neither proxy nor
scorer was trained to tell such items apart).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graph_index.attach import open_retriever
from graph_index.attributes import AttributeStore
from graph_index.nearest import medoids
from training.bench.form import BenchFile, Row, Target
from training.bench.queries import known_queries
from vizsla.bundles import Bundle, load, read_tables
from vizsla.contracts.filters import Filter
from vizsla.contracts.index import Mode, ProxyScorer, Query, Retriever, SearchOptions, SearchResult
from vizsla.models.recommender.loading import load_scorer
from vizsla.rng import numpy_generator

__all__ = ["COLUMNS", "KINDS", "SELECTIVITIES", "filter_rows", "filter_targets", "run_filters"]

COLUMNS = (
    "dataset",
    "filter",
    "selectivity",
    "method",
    "searched_by",
    "n_allowed",
    "coverage_at_50",
    "coverage_at_200",
    "lowest_coverage_at_200",
    "scored_ratio",
    "cpu_ms_per_query",
)

KINDS = ("random", "categories", "near", "far")
SELECTIVITIES = (0.9, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.001)
METHODS: dict[str, dict[str, Any]] = {
    "auto": {"mode": Mode.AUTO},
    "walk": {"mode": Mode.WALK},
    "walk, entries only": {"mode": Mode.WALK, "proxy_seeds": 0},
    "exhaustive": {"mode": Mode.EXHAUSTIVE},
}
K, TOP = 200, 50
LEAST_COVERAGE = 0.98
N_CATEGORIES = 200
"""At most; an eighth of the items where those are few."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A catalogue with made attributes, Q queries, and the score of every item for them.

    Attributes:
        scores: ``(Q, N)`` float32.
        liking: ``(Q, categories)`` what the queries' proxies think of each category's medoid.
        sizes: Items of each category.
    """

    retriever: Retriever
    scorer: ProxyScorer
    attributes: AttributeStore
    queries: Sequence[Query]
    scores: NDArray[np.float32]
    liking: NDArray[np.float32]
    sizes: NDArray[np.int64]
    seed: int


def run_filters(
    bundles: dict[str, Path], file: BenchFile, n_queries: int, seed: int
) -> list[Target]:
    """Measure every bundle, resuming by dataset, filter and selectivity; return the targets."""
    for name, path in bundles.items():
        known = {row["step"] for row in file.result.rows}
        if {f"{name} {kind} {share}" for kind in KINDS for share in SELECTIVITIES} <= known:
            continue
        opened = load(path, verify=False)
        data = filtered_catalogue(opened, known_queries(path, opened, n_queries, seed), seed)
        for kind in KINDS:
            for share in SELECTIVITIES:
                make = partial(_rows, name, data, kind, share)
                file.step(f"{name} {kind} {share}", make)
    return list(filter_targets(file.result.rows))


def filter_rows(
    name: str,
    bundle: Bundle,
    queries: Sequence[Query],
    seed: int,
    methods: Sequence[str] = tuple(METHODS),
) -> list[Row]:
    """Return all rows of one bundle: every kind of filter at every selectivity by some methods."""
    data = filtered_catalogue(bundle, queries, seed)
    return [
        row
        for kind in KINDS
        for share in SELECTIVITIES
        for row in _rows(name, data, kind, share, methods)
    ]


def filter_targets(rows: Sequence[Row]) -> Iterator[Target]:
    """Yield what ``auto`` has to hold: 98 % at the worst selectivity of every kind of filter."""
    for name in dict.fromkeys(row["dataset"] for row in rows):
        for kind in KINDS:
            mine = [row for row in rows if (row["dataset"], row["filter"]) == (name, kind)]
            found = [row["coverage_at_200"] for row in mine if row["method"] == "auto"]
            worst = min(found, default=None)
            label = f"{name}: least coverage_at_200, filter {kind}"
            yield Target.of(label, worst, ">=", LEAST_COVERAGE)


def filtered_catalogue(bundle: Bundle, queries: Sequence[Query], seed: int) -> Filtered:
    """Make attributes and score everything once: the right answer under any filter."""
    model = bundle.manifest.model
    scorer = load_scorer(model.name, model.config, bundle.weights(), read_tables(bundle))
    vectors = np.asarray(bundle.item_vectors())
    n_categories = max(1, min(N_CATEGORIES, len(vectors) // 8))
    centres = medoids(vectors, n_categories, iterations=10, seed=seed)
    nearest = np.argmax(vectors @ vectors[centres].T, axis=1)
    items = pa.table(
        {
            "item_id": bundle.vocabulary.ids(),
            "uniform": numpy_generator(seed, "bench filters").random(len(vectors)),
            "category": [str(category) for category in nearest],
        }
    )
    scores, proxies = _everything(scorer, queries)
    return Filtered(
        open_retriever(bundle),
        scorer,
        AttributeStore(items, bundle.vocabulary),
        queries,
        scores,
        proxies @ vectors[centres].T,
        np.bincount(nearest, minlength=len(centres)),
        seed,
    )


def _everything(
    scorer: ProxyScorer, queries: Sequence[Query]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    scores, proxies = [], []
    everything = np.arange(scorer.n_items)
    for query in queries:
        state = scorer.user_state([query])
        scores.append(scorer.score(state, np.zeros(scorer.n_items, np.int64), everything))
        proxies.append(scorer.proxy(state))
    return np.stack(scores), np.concatenate(proxies)


def _filters(data: Filtered, kind: str, share: float) -> list[list[Filter]]:
    """Return each query's filters; a category that is too large is thinned by the number."""
    if kind == "random":
        return [[_condition(attribute="uniform", lt=share)]] * len(data.queries)
    if kind == "categories":
        order = numpy_generator(data.seed, "bench filters", kind).permutation(len(data.sizes))
        return [_of_categories(data, order, share)] * len(data.queries)
    order = np.argsort(data.liking if kind == "far" else -data.liking, axis=1)
    return [_of_categories(data, row, share) for row in order]


def _of_categories(data: Filtered, order: NDArray[np.int64], share: float) -> list[Filter]:
    wanted = share * data.sizes.sum()
    together = np.cumsum(data.sizes[order])
    n_taken = int(np.searchsorted(together, wanted)) + 1
    taken = order[:n_taken]
    filters = [_condition(attribute="category", any_of=[str(c) for c in taken])]
    if n_taken == 1:
        filters.append(_condition(attribute="uniform", lt=float(wanted / together[0])))
    return filters


def _condition(**fields: object) -> Filter:
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    return Filter.model_validate(fields)


def _rows(
    name: str, data: Filtered, kind: str, share: float, methods: Sequence[str] = tuple(METHODS)
) -> list[Row]:
    allowed = [data.attributes.allowed(filters) for filters in _filters(data, kind, share)]
    truth = [_best(row, mask) for row, mask in zip(data.scores, allowed, strict=True)]
    rows = []
    for method in methods:
        options = METHODS[method]
        _searched(data, allowed[:1], options)  # indexes are opened and kernels loaded by the first
        start_s = time.process_time()
        found = _searched(data, allowed, options)
        spent_s = time.process_time() - start_s
        at_k = [_share(t, f.item_nums) for t, f in zip(truth, found, strict=True)]
        top = [_share(t[:TOP], f.item_nums[:TOP]) for t, f in zip(truth, found, strict=True)]
        rows.append(
            {
                "dataset": name,
                "filter": kind,
                "selectivity": share,
                "method": method,
                "searched_by": "/".join(sorted({f.work.mode for f in found})),
                "n_allowed": round(float(np.mean([mask.sum() for mask in allowed]))),
                "coverage_at_50": float(np.mean(top)),
                "coverage_at_200": float(np.mean(at_k)),
                "lowest_coverage_at_200": float(np.min(at_k)),
                "scored_ratio": float(np.mean([f.work.n_scored for f in found]))
                / data.retriever.n_items,
                "cpu_ms_per_query": 1000 * spent_s / len(found),
            }
        )
    return rows


def _searched(
    data: Filtered, allowed: Sequence[NDArray[np.bool_]], options: dict[str, Any]
) -> list[SearchResult]:
    return [
        data.retriever.search(data.scorer, [query], SearchOptions(k=K, allowed=(mask,), **options))[
            0
        ]
        for query, mask in zip(data.queries, allowed, strict=False)
    ]


def _best(scores: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    items = np.flatnonzero(mask)
    order = np.lexsort((items, -scores[items]))[:K]
    return items[order]


def _share(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    return float(np.isin(truth, found).mean()) if len(truth) else 1.0
