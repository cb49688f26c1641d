"""A sharded bundle in serving: the engine of one shard, and what connects a search with them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph_index.attach import load_graph, open_retriever
from graph_index.shards.client import FanOut, Pending, ShardClient, ready
from graph_index.shards.folded import folded, rows
from graph_index.shards.retriever import ShardedRetriever
from graph_index.shards.wire import ShardCall
from vizsla.bundles import Bundle, load, open_shard, read_tables, shard_item_nums, verify_shard
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import ProxyScorer, SearchOptions, SearchResult

__all__ = [
    "Connect",
    "EmbeddedShard",
    "ShardEngine",
    "all_alive",
    "embedded_shards",
    "open_sharded",
]

Connect = Callable[[Bundle], list[ShardClient]]
"""Reaches all shards of a bundle, in the order of their numbers."""

_MOST_THREADS = 32


class ShardEngine:
    """One shard, opened: searches for users who were folded elsewhere.

    Args:
        bundle: The whole bundle's directory.
        number: Of the shard.
        threads: Of torch, for the whole process.
        clock: For deadlines; None for the machine's.

    Raises:
        ArtifactError: The shard is damaged, or of another bundle.
    """

    def __init__(
        self, bundle: Path, number: int, threads: int = 1, clock: Clock | None = None
    ) -> None:
        import torch

        from vizsla.models.recommender.loading import load_matcher
        from vizsla.models.recommender.split_scorer import shard_scorer

        torch.set_num_threads(threads)
        whole = load(bundle, verify=False)
        shard = open_shard(whole, number)
        verify_shard(shard)
        self._clock: Clock = clock or SystemClock()
        self._retriever = open_retriever(shard, clock=self._clock)
        model = whole.manifest.model
        matcher = load_matcher(model.name, model.config, whole.weights())
        self._scorer = shard_scorer(matcher, shard.item_vectors(), read_tables(shard))

    def search(self, call: ShardCall) -> list[SearchResult]:
        """Answer a call in the shard's own item numbers."""
        from vizsla.models.recommender.split_scorer import unpacked

        options = call.options_at(self._retriever.n_items, self._clock.monotonic_s())
        scorer = folded(self._scorer, self._scorer.fold(unpacked(call.state)))
        return self._retriever.search(scorer, rows(call.n_queries), options)


class EmbeddedShard:
    """A ``ShardClient`` of a shard in this process, searched by a thread of its own."""

    def __init__(
        self,
        item_nums: NDArray[np.int64],
        search: Callable[[ShardCall], list[SearchResult]],
        pool: ThreadPoolExecutor,
        clock: Clock,
    ) -> None:
        self._item_nums = item_nums
        self._search = search
        self._pool = pool
        self._clock = clock

    @property
    def item_nums(self) -> NDArray[np.int64]:
        """Local row to item number of the catalogue."""
        return self._item_nums

    def submit(self, fan_out: FanOut, options: SearchOptions) -> Pending:
        """Begin a search."""
        call = ShardCall.of(fan_out.state, options, self._clock.monotonic_s())
        return ready(self._pool.submit(self._search, call))


def embedded_shards(bundle: Bundle) -> list[ShardClient]:
    """Open all shards in this process."""
    assert bundle.manifest.shards is not None
    n_shards, clock = len(bundle.manifest.shards.shards), SystemClock()
    pool = ThreadPoolExecutor(min(2 * n_shards, _MOST_THREADS), thread_name_prefix="shard")
    return [
        EmbeddedShard(
            shard_item_nums(open_shard(bundle, number)),
            ShardEngine(bundle.path, number).search,
            pool,
            clock,
        )
        for number in range(n_shards)
    ]


def open_sharded(
    bundle: Bundle, connect: Connect | None = None
) -> tuple[ProxyScorer, ShardedRetriever]:
    """Return what folds users, and what searches all shards; no item table is read here.

    Raises:
        ArtifactError: The weights or a shard cannot be used.
    """
    from vizsla.models.recommender.loading import load_matcher
    from vizsla.models.recommender.split_scorer import UserSideScorer

    model = bundle.manifest.model
    matcher = load_matcher(model.name, model.config, bundle.weights())
    clients = (connect or embedded_shards)(bundle)
    return UserSideScorer(matcher, bundle.manifest.n_items), ShardedRetriever(clients)


def all_alive(bundle: Bundle) -> NDArray[np.bool_]:
    """Return ``(N,)`` which items of a sharded bundle may be returned."""
    assert bundle.manifest.shards is not None
    alive = np.zeros(bundle.manifest.n_items, np.bool_)
    for number in range(len(bundle.manifest.shards.shards)):
        shard = open_shard(bundle, number)
        alive[shard_item_nums(shard)] = load_graph(shard)[0].alive
    return alive
