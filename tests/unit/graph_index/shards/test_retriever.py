"""Shards that are late, dead, or away for a while."""

from __future__ import annotations

import numpy as np
import pytest

from graph_index.backends.exhaustive import ExhaustiveRetriever
from graph_index.shards.breaker import MISSES, PAUSE_S
from graph_index.shards.client import InProcessShard
from graph_index.shards.retriever import PATIENCE_S, ShardedRetriever
from vizsla.clock import FakeClock
from vizsla.contracts.index import MissingShard, Mode, Query, SearchOptions, StopReason
from vizsla.errors import ContractError
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import clustered_vectors

VECTORS = clustered_vectors(60)
SCORER = DotScorer(VECTORS)
QUERIES = [Query(np.array([1, 2]))]
PARTS = [np.arange(60)[shard::3] for shard in range(3)]


class Shard(InProcessShard):
    """A shard that can be told to be late or to fail; a wait moves the clock."""

    def __init__(self, nums, clock):
        super().__init__(nums, ExhaustiveRetriever(VECTORS[nums], clock=clock))
        self.clock = clock
        self.takes_s = 0.0
        self.error = None
        self.n_asked = self.n_cancelled = 0

    def submit(self, fan_out, options):
        self.n_asked += 1
        return Owed(self, super().submit(fan_out, options))


class Owed:
    def __init__(self, shard, pending):
        self.shard, self.pending = shard, pending

    def result(self, timeout_s):
        if self.shard.error is not None:
            raise self.shard.error
        late = timeout_s is not None and self.shard.takes_s > timeout_s
        self.shard.clock.advance(timeout_s if late else self.shard.takes_s)
        if late:
            raise TimeoutError
        return self.pending.result(None)

    def cancel(self):
        self.shard.n_cancelled += 1


@pytest.fixture
def clock():
    return FakeClock(10.0)


@pytest.fixture
def shards(clock):
    return [Shard(nums, clock) for nums in PARTS]


@pytest.fixture
def retriever(shards, clock):
    return ShardedRetriever(shards, clock)


def search(retriever, deadline_s=None, **options):
    options = SearchOptions(k=10, mode=Mode.EXHAUSTIVE, deadline_s=deadline_s, **options)
    return retriever.search(SCORER, QUERIES, options)[0]


def exact(parts):
    """What an exhaustive search of some shards alone finds."""
    nums = np.sort(np.concatenate(parts))
    scores = SCORER.score(SCORER.user_state(QUERIES), np.zeros(len(nums), np.int64), nums)
    return nums[np.lexsort((nums, -scores))[:10]].tolist()


def test_all_shards_give_the_exact_answer(retriever):
    """Nothing is missing, and the answer is that of the whole."""
    found = search(retriever)

    assert found.item_nums.tolist() == exact(PARTS)
    assert found.missing == ()
    assert found.work.n_scored == 60


def test_a_slow_shard_is_left_out_at_the_deadline(retriever, shards, clock):
    """The answer comes at the deadline, not later, and names the shard."""
    shards[1].takes_s = 99.0
    found = search(retriever, deadline_s=10.25)

    assert clock.monotonic_s() == 10.25
    assert found.item_nums.tolist() == exact([PARTS[0], PARTS[2]])
    assert found.missing == (MissingShard(1, 3, "late"),)
    assert found.work.stopped_by is StopReason.DEADLINE
    assert shards[1].n_cancelled == 1


def test_a_dead_shard_is_left_out_at_once(retriever, shards, clock):
    """Nobody waits for it."""
    shards[2].error = ConnectionError("gone")
    found = search(retriever, deadline_s=20.0)

    assert clock.monotonic_s() == 10.0
    assert found.item_nums.tolist() == exact(PARTS[:2])
    assert found.missing == (MissingShard(2, 3, "failed"),)


def test_no_shard_at_all_gives_an_empty_answer(retriever, shards):
    """Every one is named."""
    for shard in shards:
        shard.error = ConnectionError("gone")
    found = search(retriever)

    assert len(found.item_nums) == 0
    assert [missing.shard for missing in found.missing] == [0, 1, 2]


def test_a_shard_that_fails_again_and_again_is_skipped(retriever, shards, clock):
    """One search per pause tries it, and the first answer brings it back."""
    shards[0].error = ConnectionError("gone")
    reasons = [search(retriever).missing[0].reason for _ in range(MISSES + 2)]

    assert reasons == ["failed"] * MISSES + ["skipped"] * 2
    assert shards[0].n_asked == MISSES
    clock.advance(PAUSE_S)
    assert search(retriever).missing[0].reason == "failed"
    assert search(retriever).missing[0].reason == "skipped"
    shards[0].error = None
    clock.advance(PAUSE_S)
    assert [search(retriever).missing for _ in range(2)] == [(), ()]


def test_callers_in_a_hurry_do_not_shut_a_shard_out(retriever, shards, clock):
    """Late within less than the patience says nothing about the shard."""
    shards[0].takes_s = PATIENCE_S / 2
    for _ in range(MISSES + 1):
        late = search(retriever, deadline_s=clock.monotonic_s() + PATIENCE_S / 4)
        assert late.missing[0].reason == "late"

    assert search(retriever, deadline_s=clock.monotonic_s() + 1.0).missing == ()


def test_no_shard_is_asked_after_the_deadline(retriever, shards):
    """There would be no time to answer."""
    found = search(retriever, deadline_s=10.0)

    assert [shard.n_asked for shard in shards] == [0, 0, 0]
    assert found.work.stopped_by is StopReason.DEADLINE


@pytest.mark.parametrize("parts", [PARTS[:2], [*PARTS, PARTS[0]], [PARTS[0][::-1], *PARTS[1:]]])
def test_shards_hold_every_item_once(parts, clock):
    """Anything else would lose items, or return them twice."""
    with pytest.raises(ContractError, match="item"):
        ShardedRetriever([Shard(nums, clock) for nums in parts], clock)
