"""Lists found by searching under the bundle's own scorer, and what they cost.

Shapes: **Q** queries, **K** results, **D** vector size, **N** items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data import EvalCases, Split
from training.evaluation.results import Work
from training.ranking import slice_rows, top_k_rows
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import ProxyScorer, Query, Retriever, SearchOptions, SearchResult

__all__ = ["Found", "queries_of", "search", "two_sided_top_k", "user_vectors"]

_QUERY_BATCH = 32


@dataclass(frozen=True, slots=True)
class Found:
    """The lists of Q queries and the work behind them.

    Attributes:
        top_items: ``(Q, K)`` int64, best first, padded with -1.
        n_scored: ``(Q,)`` int64 deep scores.
        n_rounds: ``(Q,)`` int64 rounds.
        n_proxy_scored: ``(Q,)`` int64 dot products.
        seconds: Wall time of all.
    """

    top_items: NDArray[np.int64]
    n_scored: NDArray[np.int64]
    n_rounds: NDArray[np.int64]
    n_proxy_scored: NDArray[np.int64]
    seconds: float

    def work(self, n_items: int) -> Work:
        """Summarise the cost per query."""
        ratios = self.n_scored / n_items
        return Work(
            scored_ratio_mean=float(ratios.mean()),
            scored_ratio_p95=float(np.quantile(ratios, 0.95)),
            rounds_mean=float(self.n_rounds.mean()),
            proxy_scored_mean=float(self.n_proxy_scored.mean()),
            ms_per_query=1e3 * self.seconds / len(self.n_scored),
        )


def queries_of(split: Split, cases: EvalCases, columns: Sequence[str]) -> list[Query]:
    """Return the queries as serving would make them.

    Args:
        split: Where the users' side features are.
        cases: Q queries.
        columns: User columns that the bundle's model reads, in its order; may be empty.
    """
    features = split.user_features
    if features is None or not columns:
        return [Query(history) for history in cases.histories]
    places = [features.names.index(name) for name in columns]
    codes = features.codes[cases.user_nums][:, places]
    return [Query(history, row) for history, row in zip(cases.histories, codes, strict=True)]


def search(
    retriever: Retriever,
    scorer: ProxyScorer,
    queries: Sequence[Query],
    cases: EvalCases,
    options: SearchOptions,
    *,
    advance: Callable[[int], object] | None = None,
    clock: Clock | None = None,
) -> Found:
    """Search for all queries, leaving out what each user has seen.

    Args:
        retriever: What searches.
        scorer: Of the same items.
        queries: Q queries.
        cases: The same Q queries; their seen items are excluded.
        options: What to ask for; ``excluded`` is filled in.
        advance: Called with the number of queries done after each batch.
        clock: For the time it took.
    """
    clock, results = clock or SystemClock(), list[SearchResult]()
    start_s = clock.monotonic_s()
    for start in range(0, len(queries), _QUERY_BATCH):
        batch = queries[start : start + _QUERY_BATCH]
        excluded = tuple(slice_rows(cases.seen, start, start + len(batch)))
        results += retriever.search(scorer, batch, replace(options, excluded=excluded))
        if advance is not None:
            advance(len(batch))
    return Found(
        top_items=_padded([result.item_nums for result in results], options.k),
        n_scored=np.array([result.work.n_scored for result in results], np.int64),
        n_rounds=np.array([result.work.n_rounds for result in results], np.int64),
        n_proxy_scored=np.array([result.work.n_proxy_scored for result in results], np.int64),
        seconds=clock.monotonic_s() - start_s,
    )


def user_vectors(scorer: ProxyScorer, queries: Sequence[Query]) -> NDArray[np.float32]:
    """Return ``(Q, D)`` vectors of the two-sided head."""
    blocks = [
        scorer.proxy(scorer.user_state(queries[start : start + _QUERY_BATCH]))
        for start in range(0, len(queries), _QUERY_BATCH)
    ]
    return np.concatenate(blocks)


def two_sided_top_k(
    users: NDArray[np.float32],
    item_vectors: NDArray[np.float32],
    cases: EvalCases,
    k: int,
    advance: Callable[[int], object] | None = None,
) -> NDArray[np.int64]:
    """Return ``(Q, k)``: the exact best unseen items by dot product."""
    found, step = [], 8 * _QUERY_BATCH
    for start in range(0, len(users), step):
        stop = min(start + step, len(users))
        scores = users[start:stop] @ item_vectors.T
        found.append(top_k_rows(scores, k, slice_rows(cases.seen, start, stop)))
        if advance is not None:
            advance(stop - start)
    return np.concatenate(found)


def _padded(rows: Sequence[NDArray[np.int64]], k: int) -> NDArray[np.int64]:
    table = np.full((len(rows), k), -1, np.int64)
    for place, row in zip(table, rows, strict=True):
        place[: len(row)] = row
    return table
