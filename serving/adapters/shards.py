"""A sharded bundle in serving: its scorers, and what reaches the shards."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from graph_index.attach import load_graph
from graph_index.shards.client import ShardClient
from graph_index.shards.engine import EmbeddedShard, OpenShardScorer, ShardEngine, ShardScorer
from graph_index.shards.retriever import ShardedRetriever
from vizsla.bundles import Bundle, open_shard, read_tables, shard_item_nums
from vizsla.clock import SystemClock
from vizsla.contracts.index import ProxyScorer

__all__ = ["Connect", "all_alive", "embedded_shards", "open_sharded", "shard_scorer_loader"]

Connect = Callable[[Bundle], list[ShardClient]]
"""Reaches all shards of a bundle, in the order of their numbers."""

_MOST_THREADS = 32


def shard_scorer_loader(threads: int) -> OpenShardScorer:
    """Return what builds a shard's scorer; ``threads`` are torch's, for the whole process."""

    def load_shard_scorer(whole: Bundle, shard: Bundle) -> ShardScorer:
        import torch

        from vizsla.models.recommender.loading import load_matcher
        from vizsla.models.recommender.split_scorer import ShardScorer

        torch.set_num_threads(threads)
        model = whole.manifest.model
        matcher = load_matcher(model.name, model.config, whole.weights())
        return ShardScorer(matcher, shard.item_vectors(), read_tables(shard))

    return load_shard_scorer


def embedded_shards(bundle: Bundle, threads: int = 1) -> list[ShardClient]:
    """Open all shards in this process."""
    assert bundle.manifest.shards is not None
    n_shards, clock = len(bundle.manifest.shards.shards), SystemClock()
    pool = ThreadPoolExecutor(min(2 * n_shards, _MOST_THREADS), thread_name_prefix="shard")
    open_scorer = shard_scorer_loader(threads)
    return [
        EmbeddedShard(
            shard_item_nums(open_shard(bundle, number)),
            ShardEngine(bundle.path, number, open_scorer).search,
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
