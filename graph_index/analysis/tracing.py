"""A walk, written down: what was scored in which round, and from where each item was reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.retriever import GraphRetriever
from vizsla.contracts.index import Mode, ProxyScorer, Query, Scorer, SearchOptions, SearchResult

__all__ = ["NOWHERE", "Trace", "trace_walk"]

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Trace:
    """One query's walk.

    Attributes:
        item_nums: ``(V,)`` items in the order in which they were scored.
        scores: ``(V,)`` their scores.
        round_of: ``(V,)`` 0 for the start, then the round.
        reached_from: ``(V,)`` the best item scored earlier that has it as a neighbour, -1 for none.
        answer: What the walk returned.
    """

    item_nums: NDArray[np.int64]
    scores: NDArray[np.float32]
    round_of: NDArray[np.int64]
    reached_from: NDArray[np.int64]
    answer: SearchResult

    def path_to(self, item_num: int) -> list[int]:
        """Return the items on the way to one that was scored, from the start to the item."""
        places = {num: place for place, num in enumerate(self.item_nums.tolist())}
        path = [item_num]
        while (before := int(self.reached_from[places[path[-1]]])) != NOWHERE:
            path.append(before)
        return path[::-1]


class _Recording:
    """Passes everything on, and keeps what was scored; its proxy is there if the scorer has one."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.calls: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []

    @property
    def n_items(self) -> int:
        return self._scorer.n_items

    def user_state(self, queries: Sequence[Query]) -> Any:
        return self._scorer.user_state(queries)

    def score(
        self, state: Any, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        scores = self._scorer.score(state, query_of, item_nums)
        self.calls.append((item_nums, scores))
        return scores


class _RecordingProxy(_Recording):
    def proxy(self, state: Any) -> NDArray[np.float32]:
        assert isinstance(self._scorer, ProxyScorer)
        return self._scorer.proxy(state)


def trace_walk(
    retriever: GraphRetriever,
    scorer: Scorer,
    query: Query,
    k: int,
    proxy_seeds: int | None = None,
) -> Trace:
    """Walk as a search does, whatever the size of the catalogue, and write it down.

    Args:
        retriever: With the settings to walk with.
        scorer: Scores its items.
        query: The user.
        k: Results wanted.
        proxy_seeds: See ``SearchOptions``; 0 starts at the entry set.
    """
    kind = _RecordingProxy if isinstance(scorer, ProxyScorer) else _Recording
    recording = kind(scorer)
    options = SearchOptions(k=k, mode=Mode.WALK, proxy_seeds=proxy_seeds)
    answer = retriever.search(recording, [query], options)[0]
    items = np.concatenate([nums for nums, _ in recording.calls])
    scores = np.concatenate([found for _, found in recording.calls])
    rounds = np.repeat(np.arange(len(recording.calls)), [len(nums) for nums, _ in recording.calls])
    return Trace(items, scores, rounds, _origins(retriever, items, scores, rounds), answer)


def _origins(
    retriever: GraphRetriever,
    items: NDArray[np.int64],
    scores: NDArray[np.float32],
    rounds: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return for each item the best one of the round before that links to it, or of any before."""
    neighbors = retriever.graph.neighbors
    origins = np.full(len(items), NOWHERE, np.int64)
    for number in range(1, int(rounds.max(initial=0)) + 1):
        best_first = np.flatnonzero(rounds < number)
        recent = rounds[best_first] == number - 1
        best_first = best_first[np.lexsort((-scores[best_first], ~recent))]
        links = neighbors[items[best_first]]
        for place in np.flatnonzero(rounds == number).tolist():
            rows = np.flatnonzero((links == items[place]).any(axis=1))
            if len(rows):
                origins[place] = items[best_first[rows[0]]]
    return origins
