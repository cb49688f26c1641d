"""One shard, opened: searches for users who were folded elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graph_index.attach import open_retriever
from graph_index.shards.client import FanOut, Pending, ready
from graph_index.shards.folded import folded, rows
from graph_index.shards.wire import ShardCall
from vizsla.bundles import Bundle, load, open_shard, verify_shard
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import ProxyScorer, SearchOptions, SearchResult

__all__ = ["EmbeddedShard", "OpenShardScorer", "ShardEngine", "ShardScorer"]


class ShardScorer(ProxyScorer, Protocol):
    """A scorer of a shard's items that takes users folded by the coordinator's scorer."""

    def resume(self, users: Mapping[str, NDArray[Any]]) -> Any:
        """Return the state of users that were shipped as arrays."""
        ...


OpenShardScorer = Callable[[Bundle, Bundle], ShardScorer]
"""Builds a shard's scorer from the whole bundle (its weights) and the shard (its tables)."""


class ShardEngine:
    """Answers calls in the shard's own item numbers.

    Args:
        bundle: The whole bundle's directory; of it, only the weights are read besides the shard.
        number: Of the shard.
        open_scorer: Builds the scorer.
        clock: For deadlines; None for the machine's.

    Raises:
        ArtifactError: The shard is damaged, or of another bundle.
    """

    def __init__(
        self,
        bundle: Path,
        number: int,
        open_scorer: OpenShardScorer,
        clock: Clock | None = None,
    ) -> None:
        whole = load(bundle, verify=False)
        shard = open_shard(whole, number)
        verify_shard(shard)
        self._clock: Clock = clock or SystemClock()
        self._retriever = open_retriever(shard, clock=self._clock)
        self._scorer = open_scorer(whole, shard)

    def search(self, call: ShardCall) -> list[SearchResult]:
        """Search for all queries of a call."""
        options = call.options_at(self._retriever.n_items, self._clock.monotonic_s())
        scorer = folded(self._scorer, self._scorer.resume(call.state))
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
