"""Settings of building and searching a graph, with the defaults that were measured."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vizsla.contracts.tables import TableDtype

__all__ = ["BuildSettings", "SearchSettings"]


_LARGE = 200_000
_SMALL_EF, _LARGE_EF = 100, 200


class BuildSettings(BaseModel):
    """How to build a graph.

    Attributes:
        max_degree: Columns M of the neighbour table. 16 to 32 serve up to millions of
            items; every expanded item costs up to M deep scores.
        ef_construction: Beam of the build; quality and build time grow with it. None takes 100, and
            200 above 200,000 items, where 100 leaves islands that walks from their surroundings miss.
        n_entry_points: Entry items; None takes about ``5 * sqrt(N)``.
        kmeans_iterations: Lloyd steps that place the entry items.
        n_threads: Threads of the build. More than one is faster and makes the graph
            depend on scheduling: two builds are then equally good, not equal.
        table_dtype: How the bundle's item tables are stored; None leaves them as they are.
        device: Torch device on which the exact ``ef_construction`` nearest neighbours of each item
            are found and chosen from; None lets faiss build an HNSW graph on the processor.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_degree: int = Field(default=32, ge=4, le=512)
    ef_construction: int | None = Field(default=None, ge=8, le=4096)
    n_entry_points: int | None = Field(default=None, ge=1)
    kmeans_iterations: int = Field(default=10, ge=1, le=1000)
    n_threads: int = Field(default=1, ge=1)
    table_dtype: TableDtype | None = None
    device: str | None = None

    def beam_of_build(self, n_items: int) -> int:
        """Return ``ef_construction``, or the measured one for N items."""
        return self.ef_construction or (_LARGE_EF if n_items > _LARGE else _SMALL_EF)


class SearchSettings(BaseModel):
    """How to search, where the caller's ``SearchOptions`` leave it open.

    Attributes:
        beam_width: Items kept between rounds; at least ``k`` is always kept.
        entry_width: Scored entries that are expanded in the first round.
        max_rounds: Rounds after the entries; yields only when fewer than ``k`` items
            were found.
        proxy_seeds: Entries chosen by the scorer's proxy where it has one; 0 for none.
        seed_search: How proxy seeds are found: 0 by an exact scan in float32, 1 in int8, 2 by an
            HNSW index, which takes memory and is built when the retriever opens.
        seed_effort: How hard an approximate search for seeds looks: candidates that it keeps
            (``ef_search``); 0 as many as ``beam_width``. Never fewer than the seeds.
        auto_rescores: Where this is not 0, ``auto`` does not walk: it scores so many of the proxy's
            best and stops. For a bundle on which ``vizsla bench retrieval`` finds that cheaper.
        keep_percent: Share of the unvisited neighbours that each round scores, those with the best
            guess by the scorer's proxy; 100 scores all and needs no proxy.
        proxy_scan_below: Catalogues of at most so many items are multiplied with the proxy as a
            whole; larger ones are walked under it, which finds nearly all of the same seeds, unless
            a filter allows so little that multiplying that is faster.
        entry_points_with_proxy: 1 scores the entry set too when there are proxy seeds.
        exhaustive_below: ``auto`` scores everything when at most this many items may be
            returned.
        chunk_items: Items per scoring call of an exhaustive search.
        max_lockstep: Queries that are walked together.
        filtered_beam_width: ``beam_width`` of a query with a filter.
        filtered_proxy_seeds: ``proxy_seeds`` of a query with a filter, where those are not 0.
        filtered_entry_width: ``entry_width`` of a query with a filter. What it allows may be best in
            a part of the catalogue that the best seeds do not lead to: a wide first round looks
            around all of them.
        filtered_entry_points: 1 scores the entry set beside the proxy's seeds in a query with a
            filter, for the same reason.
        filtered_max_rounds: ``max_rounds`` of a query with a filter: what it allows may lie where
            the entries are poor, and a walk within it never scores more than it allows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    beam_width: int = Field(default=200, ge=1)
    entry_width: int = Field(default=50, ge=1)
    max_rounds: int = Field(default=3, ge=0)
    proxy_seeds: int = Field(default=500, ge=0)
    seed_search: int = Field(default=0, ge=0, le=2)
    seed_effort: int = Field(default=0, ge=0)
    auto_rescores: int = Field(default=0, ge=0)
    keep_percent: int = Field(default=100, ge=1, le=100)
    proxy_scan_below: int = Field(default=200_000, ge=0)
    entry_points_with_proxy: int = Field(default=0, ge=0, le=1)
    exhaustive_below: int = Field(default=8000, ge=0)
    chunk_items: int = Field(default=8192, ge=1)
    max_lockstep: int = Field(default=32, ge=1)
    filtered_beam_width: int = Field(default=700, ge=1)
    filtered_proxy_seeds: int = Field(default=1500, ge=0)
    filtered_entry_width: int = Field(default=50, ge=1)
    filtered_entry_points: int = Field(default=0, ge=0, le=1)
    filtered_max_rounds: int = Field(default=20, ge=0)

    @classmethod
    def for_catalogue(cls, n_items: int) -> SearchSettings:
        """Return the measured defaults of N items: a small share of many has to be looked for widely."""
        if n_items <= _LARGE:
            return cls()
        return cls(
            exhaustive_below=16_000,  # scored in 26 ms, the filtered walk takes 30
            filtered_beam_width=1500,
            filtered_entry_width=1500,
            filtered_entry_points=1,
        )
