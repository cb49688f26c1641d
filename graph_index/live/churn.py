"""What changes do to a graph: its coverage beside that of one built anew from the same items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.build import NEIGHBOURS, build_graph
from graph_index.graph import Graph
from graph_index.live.graph import LiveGraph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import Mode, ProxyScorer, Query, SearchOptions
from vizsla.rng import numpy_generator

__all__ = ["ChurnRow", "churn_rows", "churn_steps"]

ChurnRow = dict[str, str | int | float]
Advance = Callable[[float], None]

_INSERTED_TOGETHER = 256
_REMOVED_TOGETHER = 1024
_ASKED_TOGETHER = 32
_SEARCHES = 7
"""Once exhaustively, and three graphs from two starts."""


class _Renumbered:
    """A scorer whose item numbers are rows of a list of another one's items."""

    def __init__(self, scorer: ProxyScorer, nums: NDArray[np.int64]) -> None:
        self._scorer = scorer
        self._nums = nums

    @property
    def n_items(self) -> int:
        return len(self._nums)

    def user_state(self, queries: Sequence[Query]) -> Any:
        own = [replace(query, history=self._nums[query.history]) for query in queries]
        return self._scorer.user_state(own)

    def score(
        self, state: Any, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        return self._scorer.score(state, query_of, self._nums[item_nums])

    def proxy(self, state: Any) -> NDArray[np.float32]:
        return self._scorer.proxy(state)


def churn_steps(n_items: int, n_queries: int) -> int:
    """Return how many steps ``churn_rows`` counts: items built, changed and healed, and searches.

    Whatever the share, what is not built into the first graph is inserted, and what is not
    built into the second was healed.

    Example:
        >>> churn_steps(100, 10)
        270
    """
    return 2 * n_items + _SEARCHES * n_queries


def churn_rows(  # noqa: PLR0913  # a bench: each is a number of its report
    item_vectors: NDArray[np.float32],
    scorer: ProxyScorer,
    queries: Sequence[Query],
    *,
    share: float = 0.1,
    k: int = 50,
    seed: int = 0,
    clock: Clock | None = None,
    progress: Callable[[str], None] = lambda _: None,
    advance: Advance = lambda _: None,
) -> list[ChurnRow]:
    """Insert a share of the catalogue into a graph of the rest, remove as much, and search.

    A share of the items is held out, a graph is built over the others, the held-out ones
    are inserted and a share of the first ones is removed.  Then the same queries are
    walked on the graph before and after its background work and on one built anew from
    the very items that are left, seeded by the proxy and from the entry set alone.

    Args:
        item_vectors: ``(N, D)`` float32, the whole catalogue.
        scorer: Over these N items.
        queries: In item numbers of the whole catalogue.
        share: Of N that is inserted, and that is removed.
        k: Results compared with the exhaustive ones of the items that are left.
        seed: Chooses the items.
        clock: Measures times.
        progress: Told what comes next.
        advance: Told of steps that are done, ``churn_steps`` in all.

    Returns:
        A row per graph (``unhealed``, ``changed``, ``rebuilt``) and start (``proxy``,
        ``entries``): ``coverage_at_k``, ``scored_ratio``, and the times of its making.
    """
    clock = clock or SystemClock()
    n_items = len(item_vectors)
    n_changed = round(share * n_items)
    order = numpy_generator(seed, "churn").permutation(n_items)
    places = np.concatenate([np.sort(order[n_changed:]), order[:n_changed]])
    n_first = n_items - n_changed
    gone = numpy_generator(seed, "churn removes").permutation(n_first)[:n_changed]
    left = np.setdiff1d(places, places[gone])
    progress("searching all that is left exhaustively")
    compare = _Comparison(item_vectors, scorer, queries, left, k, advance)

    progress("building the first graph")
    first = item_vectors[places[:n_first]]
    live = LiveGraph(_built(first, seed, advance), first)
    progress("inserting")
    insert_s = _timed(clock, lambda: _insert(live, item_vectors[places[n_first:]], advance))
    remove_s = _timed(clock, lambda: live.remove(gone))
    unhealed = live.publish()
    progress("healing")
    heal_s = _timed(clock, lambda: _heal(live, advance))
    changed = live.publish()
    progress("building anew")
    started_s = clock.monotonic_s()
    rebuilt = _built(item_vectors[left], seed, advance)
    rebuild_s = clock.monotonic_s() - started_s

    times = {"insert_ms": 1e3 * insert_s / n_changed, "remove_ms": 1e3 * remove_s / n_changed}
    facts = {"n_items": len(left), "n_inserted": n_changed, "n_removed": n_changed}
    rows: list[ChurnRow] = []
    for start in ("proxy", "entries"):
        progress(f"searching, start: {start}")
        named = {"start": start, "k": k, **facts}
        rows += [
            {"graph": "unhealed", **named, **times, **compare(unhealed.graph, places, start)},
            {"graph": "changed", **named, **times, "heal_s": heal_s}
            | compare(changed.graph, places, start),
            {"graph": "rebuilt", **named, "rebuild_s": rebuild_s} | compare(rebuilt, left, start),
        ]
    return rows


class _Comparison:
    """Coverage of the exhaustive top k of some items, which is computed once."""

    def __init__(
        self,
        item_vectors: NDArray[np.float32],
        scorer: ProxyScorer,
        queries: Sequence[Query],
        left: NDArray[np.int64],
        k: int,
        advance: Advance,
    ) -> None:
        self._advance = advance
        self._item_vectors = item_vectors
        self._scorer = scorer
        # what is gone is in no history, whichever graph is asked
        self._queries = [
            replace(query, history=query.history[np.isin(query.history, left)]) for query in queries
        ]
        self._k = k
        self._n_left = len(left)
        self._settings = SearchSettings()
        line = np.zeros((len(left), 1), np.int32)
        everything = Graph(line, np.zeros(1, np.int32), np.ones(len(left), np.bool_))
        self._truth, _ = self._found(everything, left, SearchOptions(k=k, mode=Mode.EXHAUSTIVE))

    def __call__(self, graph: Graph, places: NDArray[np.int64], start: str) -> ChurnRow:
        seeds = self._settings.proxy_seeds if start == "proxy" else 0
        options = SearchOptions(k=self._k, mode=Mode.WALK, proxy_seeds=seeds)
        found, n_scored = self._found(graph, places, options)
        pairs = zip(found, self._truth, strict=True)
        hits = [np.isin(best, items).mean() for items, best in pairs]
        return {
            "coverage_at_k": float(np.mean(hits)),
            "scored_ratio": n_scored / len(self._queries) / self._n_left,
        }

    def _found(
        self, graph: Graph, places: NDArray[np.int64], options: SearchOptions
    ) -> tuple[list[NDArray[np.int64]], int]:
        """Return each query's items in numbers of the whole catalogue, and the scores computed."""
        retriever = GraphRetriever(graph, self._item_vectors[places], self._settings)
        scorer = _Renumbered(self._scorer, places)
        row_of = np.full(len(self._item_vectors), -1)
        row_of[places] = np.arange(len(places))
        asked = [replace(query, history=row_of[query.history]) for query in self._queries]
        found: list[NDArray[np.int64]] = []
        n_scored = 0
        for first in range(0, len(asked), _ASKED_TOGETHER):
            queries = asked[first : first + _ASKED_TOGETHER]
            for result in retriever.search(scorer, queries, options):
                found.append(places[result.item_nums])
                n_scored += result.work.n_scored
            self._advance(len(queries))
        return found, n_scored


def _built(vectors: NDArray[np.float32], seed: int, advance: Advance) -> Graph:
    done = 0.0

    def report(step: str, share: float) -> None:
        nonlocal done
        if step == NEIGHBOURS:
            advance((share - done) * len(vectors))
            done = share

    return build_graph(vectors, seed=seed, progress=report)


def _insert(live: LiveGraph, vectors: NDArray[np.float32], advance: Advance) -> None:
    for start in range(0, len(vectors), _INSERTED_TOGETHER):
        some = vectors[start : start + _INSERTED_TOGETHER]
        live.insert(some)
        live.publish()
        advance(len(some))


def _heal(live: LiveGraph, advance: Advance) -> None:
    while n_healed := live.heal(_REMOVED_TOGETHER):
        live.publish()
        advance(n_healed)
    live.refresh_entries()


def _timed(clock: Clock, work: Callable[[], None]) -> float:
    started_s = clock.monotonic_s()
    work()
    return clock.monotonic_s() - started_s
