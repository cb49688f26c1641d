"""What a search asks of a shard, whichever process that is in.

Shapes: **B** queries, **n** items of the shard, **N** items of the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from graph_index.shards.folded import folded, rows
from vizsla.contracts.index import (
    Query,
    Retriever,
    Scorer,
    SearchOptions,
    SearchResult,
)

__all__ = ["FanOut", "InProcessShard", "Pending", "ShardClient", "ready"]


@dataclass(frozen=True)
class FanOut:
    """One search on its way to all shards.

    Attributes:
        scorer: Of the whole catalogue.
        queries: The batch of B queries.
    """

    scorer: Scorer
    queries: Sequence[Query]

    @cached_property
    def state(self) -> Any:
        """The users' state, folded once for all shards that want it."""
        return self.scorer.user_state(self.queries)


class Pending(Protocol):
    """An answer that a shard owes."""

    def result(self, timeout_s: float | None) -> list[SearchResult]:
        """Wait for B results in the shard's own item numbers.

        Raises:
            TimeoutError: The time is over.
            Exception: The shard failed.
        """
        ...

    def cancel(self) -> None:
        """Want the answer no more."""
        ...


class ShardClient(Protocol):
    """A shard as the coordinator sees it."""

    @property
    def item_nums(self) -> NDArray[np.int64]:
        """``(n,)`` ascending: local row to item number of the catalogue."""
        ...

    def submit(self, fan_out: FanOut, options: SearchOptions) -> Pending:
        """Begin a search.

        Args:
            fan_out: What is searched for.
            options: In the shard's own item numbers; ``deadline_s`` is on this process's clock.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Ready:
    found: Future[list[SearchResult]] = field(default_factory=Future)

    def result(self, timeout_s: float | None) -> list[SearchResult]:
        return self.found.result(timeout_s)

    def cancel(self) -> None:
        self.found.cancel()


def ready(future: Future[list[SearchResult]]) -> Pending:
    """Return what waits for a future of this process."""
    return _Ready(future)


class InProcessShard:
    """A shard that is searched at once, under the rows of the whole catalogue's own scorer.

    Args:
        item_nums: ``(n,)`` ascending.
        retriever: Over the shard's n items.
    """

    def __init__(self, item_nums: NDArray[np.int64], retriever: Retriever) -> None:
        self._item_nums = item_nums
        self._retriever = retriever

    @property
    def item_nums(self) -> NDArray[np.int64]:
        """Local row to item number of the catalogue."""
        return self._item_nums

    def submit(self, fan_out: FanOut, options: SearchOptions) -> Pending:
        """Search, and return what was found."""
        pending = _Ready()
        try:
            scorer = folded(fan_out.scorer, fan_out.state, self._item_nums)
            found = self._retriever.search(scorer, rows(len(fan_out.queries)), options)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            pending.found.set_exception(error)
        else:
            pending.found.set_result(found)
        return pending
