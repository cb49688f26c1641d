"""Search a catalogue in parts: ask every shard, take what comes in time, merge it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from graph_index.plan import checked_exclusions, plan_search
from graph_index.returnable import checked_allowed
from graph_index.settings import SearchSettings
from graph_index.shards.breaker import Breaker
from graph_index.shards.client import FanOut, Pending, ShardClient
from graph_index.shards.divide import local_options, merge, most_in_one, shares
from vizsla.clock import Clock, SystemClock
from vizsla.contracts.index import (
    MissingShard,
    Mode,
    Query,
    Scorer,
    SearchOptions,
    SearchResult,
    SearchWork,
    StopReason,
)
from vizsla.errors import ContractError

__all__ = ["ShardedRetriever"]

Reason = Literal["late", "failed", "skipped"]
Replies = dict[int, list[SearchResult]]

PATIENCE_S = 0.1
"""Who did not answer within so much counts as slow, however soon the caller wanted it."""

_NOTHING = SearchResult(
    np.empty(0, np.int64),
    np.empty(0, np.float32),
    SearchWork(Mode.EXHAUSTIVE, 0, 0, 0, StopReason.BUDGET),
)
"""Of a shard for which nothing is left of the budget."""

_log = logging.getLogger("vizsla.shards")


class ShardedRetriever:
    """A ``Retriever`` over shards; safe to share between threads.

    An exhaustive search takes k items of every shard, so its answer is that of an exhaustive
    search of the whole.  Other searches take as many as one shard may have of the k best, see
    ``most_in_one``: a shard that had to walk for more would cost as much as the whole.  A shard that is late, fails or has just
    done so several times is left out, and the results name it.

    Args:
        clients: The shards; each item is in exactly one.
        clock: For deadlines; None for the machine's.

    Raises:
        ContractError: The shards do not hold every item once.
    """

    def __init__(self, clients: Sequence[ShardClient], clock: Clock | None = None) -> None:
        self._clients = list(clients)
        self._clock: Clock = clock or SystemClock()
        self._nums = [client.item_nums for client in clients]
        self._sizes = [len(nums) for nums in self._nums]
        self._breakers = [Breaker(self._clock) for _ in clients]
        _check_partition(self._nums)

    @property
    def n_items(self) -> int:
        """Number of items in the catalogue."""
        return sum(self._sizes)

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return len(self._clients)

    def search(
        self, scorer: Scorer, queries: Sequence[Query], options: SearchOptions
    ) -> list[SearchResult]:
        """Answer B queries with what the shards find until the deadline.

        ``max_scored`` is divided by the shards' sizes, ``k`` as above; other options hold for each.

        Returns:
            One result per query; ``work`` is summed over the shards (rounds: the most),
            ``missing`` names those without an answer.

        Raises:
            ContractError: An option is out of range, or the scorer broke its contract.
        """
        if scorer.n_items != self.n_items:
            raise ContractError(f"the scorer has {scorer.n_items} items, the index {self.n_items}")
        plan_search(options, SearchSettings(), self.n_items)
        excluded = checked_exclusions(options, len(queries), self.n_items)
        allowed = checked_allowed(options, len(queries), self.n_items)
        if not queries:
            return []
        exact = options.mode is Mode.EXHAUSTIVE
        k = options.k if exact else most_in_one(options.k, self.n_shards)
        budgets = shares(options.max_scored, self._sizes)
        asked = {
            shard: local_options(options, excluded, allowed, self._nums[shard], (k, budget))
            for shard, budget in enumerate(budgets)
            if budget != 0
        }
        replies = {
            shard: [_NOTHING] * len(queries) for shard in set(range(self.n_shards)) - asked.keys()
        }
        missing = self._ask(FanOut(scorer, queries), asked, replies)
        return merge(replies, self._nums, missing, len(queries), options.k)

    def _ask(
        self, fan_out: FanOut, asked: Mapping[int, SearchOptions], replies: Replies
    ) -> tuple[MissingShard, ...]:
        """Put what each shard finds into ``replies``; return those that found nothing in time."""
        missing: dict[int, Reason] = {}
        pending: dict[int, Pending] = {}
        started_s = self._clock.monotonic_s()
        for shard, options in asked.items():
            why_not = self._why_not(shard, options.deadline_s)
            if why_not is None:
                pending[shard] = self._clients[shard].submit(fan_out, options)
            else:
                missing[shard] = why_not
        for shard, owed in pending.items():
            try:
                replies[shard] = self._await(shard, owed, asked[shard].deadline_s, started_s)
            except _MissedError as missed:
                missing[shard] = missed.reason
        return tuple(MissingShard(n, self.n_shards, missing[n]) for n in sorted(missing))

    def _why_not(self, shard: int, deadline_s: float | None) -> Reason | None:
        if deadline_s is not None and self._clock.monotonic_s() >= deadline_s:
            return "late"
        return None if self._breakers[shard].allows() else "skipped"

    def _await(
        self, shard: int, owed: Pending, deadline_s: float | None, started_s: float
    ) -> list[SearchResult]:
        breaker, now_s = self._breakers[shard], self._clock.monotonic_s
        try:
            found = owed.result(None if deadline_s is None else max(0.0, deadline_s - now_s()))
        except TimeoutError:
            owed.cancel()
            # a caller in a hurry says nothing about the shard
            if now_s() - started_s >= PATIENCE_S:
                breaker.missed()
            raise _MissedError("late") from None
        except ContractError:
            raise
        except Exception as error:  # noqa: BLE001 - the other shards answer
            _log.warning("shard %d failed: %s", shard, error)
            breaker.missed()
            raise _MissedError("failed") from None
        breaker.succeeded()
        return found


class _MissedError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def _check_partition(item_nums: Sequence[NDArray[np.int64]]) -> None:
    """Every item number from 0 to N - 1 is in one shard."""
    times = np.zeros(sum(map(len, item_nums)), np.int8)
    for nums in item_nums:
        if len(nums) and (nums[0] < 0 or nums[-1] >= len(times) or (np.diff(nums) <= 0).any()):
            raise ContractError("a shard's item numbers must be ascending and in the catalogue")
        times[nums] += 1
    if not times.all():
        raise ContractError("the shards must hold every item exactly once")
