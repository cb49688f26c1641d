"""Shards in other processes, reached through Ray Serve's handles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.shards.client import FanOut, Pending
from graph_index.shards.wire import ShardCall
from vizsla.clock import Clock
from vizsla.contracts.index import SearchOptions, SearchResult

__all__ = ["HandleShard"]


class HandleShard:
    """A ``ShardClient`` of a deployment of ``ShardEngine``.

    Args:
        item_nums: ``(n,)`` the shard's items.
        handle: Of the deployment; has a method ``search``.
        clock: That deadlines are on.
    """

    def __init__(self, item_nums: NDArray[np.int64], handle: Any, clock: Clock) -> None:
        self._item_nums = item_nums
        self._search = handle.search
        self._clock = clock

    @property
    def item_nums(self) -> NDArray[np.int64]:
        """Local row to item number of the catalogue."""
        return self._item_nums

    def submit(self, fan_out: FanOut, options: SearchOptions) -> Pending:
        """Send a search on its way."""
        call = ShardCall.of(fan_out.state, options, self._clock.monotonic_s())
        return _Owed(self._search.remote(call))


class _Owed:
    def __init__(self, response: Any) -> None:
        self._response = response

    def result(self, timeout_s: float | None) -> list[SearchResult]:
        found: list[SearchResult] = self._response.result(timeout_s=timeout_s)
        return found

    def cancel(self) -> None:
        self._response.cancel()
