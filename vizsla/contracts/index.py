"""Seam 4 and 5: the graph index, what searches it, and what scores its items.

Shapes: **B** queries, **C** candidates, **D** vector size, **E** entry points,
**K** results, **L** history, **M** degree, **N** items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

__all__ = [
    "ComponentScorer",
    "GradientScorer",
    "IndexManifest",
    "MissingShard",
    "Mode",
    "ProxyScorer",
    "Query",
    "Retriever",
    "Scorer",
    "SearchOptions",
    "SearchResult",
    "SearchWork",
    "StopReason",
    "UpdatableScorer",
]


class Mode(StrEnum):
    """How to search: ``auto`` lets the index choose by catalogue size and measured cost."""

    AUTO = "auto"
    WALK = "walk"
    EXHAUSTIVE = "exhaustive"


class StopReason(StrEnum):
    """Why a search ended."""

    EXHAUSTED = "exhausted"  # no unexpanded item left in the beam
    ROUNDS = "rounds"
    BUDGET = "budget"  # max_scored reached
    DEADLINE = "deadline"
    NO_IMPROVEMENT = "no_improvement"  # best new score below the worst kept
    COMPLETE = "complete"  # every item was scored, or could not be better


@dataclass(frozen=True, slots=True)
class Query:
    """One request as the model sees it, in item numbers.

    Attributes:
        history: ``(L,)`` int64 item numbers, oldest first; empty for a cold start.
        user_features: ``(F,)`` int64 codes of the user's side features, 0 = unknown,
            or None where the model has none.
    """

    history: NDArray[np.int64]
    user_features: NDArray[np.int64] | None = None


@runtime_checkable
class Scorer(Protocol):
    """A deep matching function over a fixed table of items.

    Only the item varies during a search: everything about the user goes into
    the state once, everything about an item is in tables built beforehand.
    """

    @property
    def n_items(self) -> int:
        """Number of items N; item numbers are 0 to N - 1."""
        ...

    def user_state(self, queries: Sequence[Query]) -> Any:
        """Fold everything that does not depend on the item, once per batch of B queries."""
        ...

    def score(
        self, state: Any, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Score a ragged batch of candidates of several queries in one call.

        Args:
            state: What ``user_state`` returned for B queries.
            query_of: ``(C,)`` int64 in [0, B), ascending: whose candidate it is.
            item_nums: ``(C,)`` int64 in [0, N), each item at most once per query.

        Returns:
            ``(C,)`` float32, finite; higher is better.
        """
        ...


@runtime_checkable
class ProxyScorer(Scorer, Protocol):
    """A scorer with a cheap stand-in: a vector per query to multiply with the item vectors."""

    def proxy(self, state: Any) -> NDArray[np.float32]:
        """Return ``(B, D)`` float32; its dot product with an item vector approximates the score."""
        ...


@runtime_checkable
class ComponentScorer(ProxyScorer, Protocol):
    """A proxy scorer whose score exceeds its proxy by at most a largest product of components.

    ``score(u, v) <= proxy(u) . e_v + max over i, j of components(u)[i] . item_components[v, j]``:
    a gated mixture of dot products is one, as its gates are a weighted mean.
    """

    @property
    def item_components(self) -> NDArray[np.float32]:
        """``(N, J, S)`` float32, J components of each item."""
        ...

    def components(self, state: Any) -> NDArray[np.float32]:
        """Return ``(B, I, S)`` float32, I components of each query, signs and weights folded in."""
        ...


@runtime_checkable
class GradientScorer(Scorer, Protocol):
    """A scorer that can tell in which direction of the item vector its score grows."""

    def gradient(
        self, state: Any, query_of: NDArray[np.int64], item_nums: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return ``(C, D)`` float32: the score's derivative by the item vector at each candidate.

        Args:
            state: What ``user_state`` returned for B queries.
            query_of: ``(C,)`` int64 in [0, B), ascending.
            item_nums: ``(C,)`` int64 in [0, N).
        """
        ...


@runtime_checkable
class UpdatableScorer(Scorer, Protocol):
    """A scorer whose table of items can be extended while it is in use."""

    def with_items(self, item_nums: NDArray[np.int64], vectors: NDArray[np.float32]) -> Self:
        """Return a scorer that knows further items, or others at the same numbers.

        This one goes on as it was, except for items at numbers that are written again:
        nobody may ask it for those any more.

        Args:
            item_nums: ``(R,)`` int64; numbers beyond N - 1 follow on without a gap.
            vectors: ``(R, D)`` float32, all that is known of the items.
        """
        ...


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """What a caller may ask of one search.

    Attributes:
        k: Results wanted, at least 1.
        mode: See ``Mode``.
        beam_width: Items kept between rounds; None takes the index's own setting.
        entry_width: Entries expanded first, best by score; None takes the index's setting.
        max_rounds: Bound on rounds; None takes the index's setting.
        max_scored: Bound on deep scores per query, None for no bound.
        deadline_s: Monotonic second at which to stop with the best so far, None for none.
        proxy_seeds: Items to seed by the scorer's proxy; 0 for entry points only, None takes
            the index's setting.
        seed_effort: How hard an approximate search for those looks, HNSW's ``ef_search``; 0 as
            hard as ``beam_width``, None takes the index's setting.
        excluded: One int64 array of item numbers per query that may be walked
            through but never returned; empty tuple for none.
        allowed: One ``(N,)`` bool bitmap per query, None where every item is allowed: items
            outside may be walked through but are never returned. Queries with equal filters
            should bring the same array. Empty tuple for no filters.
    """

    k: int = 50
    mode: Mode = Mode.AUTO
    beam_width: int | None = None
    entry_width: int | None = None
    max_rounds: int | None = None
    max_scored: int | None = None
    deadline_s: float | None = None
    proxy_seeds: int | None = None
    seed_effort: int | None = None
    excluded: tuple[NDArray[np.int64], ...] = ()
    allowed: tuple[NDArray[np.bool_] | None, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchWork:
    """What one query cost.

    Attributes:
        mode: ``walk`` or ``exhaustive``, never ``auto``.
        n_scored: Deep scores computed; every item at most once.
        n_rounds: Rounds of the walk, 0 when exhaustive.
        n_proxy_scored: Dot products computed to seed the walk.
        stopped_by: Why it ended.
        parts_us: Microseconds per part (``state``, ``seed``, ``score``, ``bookkeeping``),
            of the whole batch that the query was searched in.
    """

    mode: Mode
    n_scored: int
    n_rounds: int
    n_proxy_scored: int
    stopped_by: StopReason
    parts_us: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MissingShard:
    """A part of the catalogue that an answer knows nothing of.

    Attributes:
        shard: Its number.
        n_shards: Number of shards.
        reason: ``late`` at the deadline, ``failed`` with an error, or ``skipped`` since it
            had been either several times just before.
    """

    shard: int
    n_shards: int
    reason: Literal["late", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best items of one query.

    Attributes:
        item_nums: ``(K,)`` int64, best first; ties go to the smaller number.
        scores: ``(K,)`` float32, non-increasing.
        work: What it cost.
        missing: Shards that did not answer, in order; always empty without shards.
    """

    item_nums: NDArray[np.int64]
    scores: NDArray[np.float32]
    work: SearchWork
    missing: tuple[MissingShard, ...] = ()


@runtime_checkable
class Retriever(Protocol):
    """Finds the best items of a catalogue under a scorer."""

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        ...

    def search(
        self, scorer: Scorer, queries: Sequence[Query], options: SearchOptions
    ) -> list[SearchResult]:
        """Answer B queries, each independent of the others in the batch."""
        ...


class IndexManifest(BaseModel):
    """What is known about a graph index; stored beside its arrays.

    Attributes:
        backend: Registered name of the backend that built it.
        n_items: N.
        max_degree: M, columns of the neighbour table.
        ef_construction: Beam of the build.
        n_entry_points: E.
        vocab_hash: Hash of the item vocabulary whose rows these are.
        vectors_hash: SHA-256 of ``item_vectors.npy``.
        report: Degrees, reachability and repairs, see ``graph_index.check``.
        search: Default search settings of this graph.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = 1
    backend: str
    n_items: int
    max_degree: int
    ef_construction: int
    n_entry_points: int
    vocab_hash: str
    vectors_hash: str
    seed: int
    report: dict[str, float]
    search: dict[str, int]
