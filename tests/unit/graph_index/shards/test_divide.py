"""Shards: who has which item, what each is asked, and how their answers become one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from graph_index.shards.divide import local_options, merge, most_in_one, shares
from graph_index.shards.wire import ShardCall
from vizsla.bundles import shard_numbers
from vizsla.contracts.index import (
    MissingShard,
    Mode,
    SearchOptions,
    SearchResult,
    SearchWork,
    StopReason,
)

IDS = ["", "50", "100", "181", "item 7", "café", "商品"]


def test_an_item_stays_in_its_shard_for_ever():
    """The golden numbers: another hash would send every item elsewhere."""
    assert shard_numbers(IDS, 4).tolist() == [0, 1, 2, 1, 1, 3, 0]
    assert shard_numbers(IDS, 1000).tolist() == [876, 637, 366, 805, 253, 259, 600]


def test_shards_have_nearly_equal_sizes():
    """A hash spreads items within a few standard deviations."""
    sizes = np.bincount(shard_numbers([f"item {row}" for row in range(40_000)], 8))

    assert abs(sizes - 5000).max() < 5 * np.sqrt(5000)


@given(st.integers(0, 500), st.lists(st.integers(1, 200), min_size=1, max_size=9))
def test_budgets_are_never_exceeded(total, sizes):
    """The parts sum to the budget, or to the catalogue where that is smaller."""
    parts = shares(total, sizes)

    assert sum(parts) == min(total, sum(sizes)) or total > sum(sizes)
    assert min(parts) >= 0


@given(st.integers(0, 1000), st.integers(1, 50))
def test_most_in_one_is_at_least_the_mean(n_best, n_shards):
    """No shard is asked for less than its mean share, or for more than all."""
    assert n_best / n_shards <= most_in_one(n_best, n_shards) <= n_best


@st.composite
def catalogues(draw):
    """Scores with many ties, and a shard for each item."""
    n_items = draw(st.integers(1, 40))
    scores = draw(st.lists(st.integers(-3, 3), min_size=n_items, max_size=n_items))
    shard_of = draw(st.lists(st.integers(0, 3), min_size=n_items, max_size=n_items))
    return np.array(scores, np.float32), np.array(shard_of), draw(st.integers(1, 50))


@given(catalogues())
def test_merge_equals_one_sort(catalogue):
    """Best first, ties to the smaller item number, whatever the division."""
    scores, shard_of, k = catalogue
    parts = [np.flatnonzero(shard_of == shard) for shard in range(4)]
    answers = {shard: [ranked(scores[nums], k)] for shard, nums in enumerate(parts)}
    (found,) = merge(answers, parts, (), 1, k)
    order = np.lexsort((np.arange(len(scores)), -scores))[:k]

    assert found.item_nums.tolist() == order.tolist()
    assert found.scores.tolist() == scores[order].tolist()
    assert found.work.n_scored == len(scores)


def ranked(scores, k):
    """The exact answer of one shard, in its own numbers."""
    order = np.lexsort((np.arange(len(scores)), -scores))[:k]
    work = SearchWork(Mode.EXHAUSTIVE, len(scores), 0, 0, StopReason.COMPLETE, {"score": 2})
    return SearchResult(order, scores[order], work)


def test_work_is_summed_and_the_worst_reason_kept():
    """Rounds go on side by side, so the most count; everything else adds up."""
    works = [
        SearchWork(Mode.EXHAUSTIVE, 5, 0, 7, StopReason.COMPLETE, {"score": 10}),
        SearchWork(Mode.WALK, 6, 3, 8, StopReason.ROUNDS, {"score": 1, "seed": 2}),
    ]
    answers = {
        shard: [SearchResult(np.empty(0, np.int64), np.empty(0, np.float32), work)]
        for shard, work in enumerate(works)
    }
    nums = [np.array([0]), np.array([1])]
    missing = (MissingShard(2, 3, "failed"),)
    (found,) = merge(answers, nums, missing, 1, 10)

    assert found.work == SearchWork(
        Mode.WALK, 11, 3, 15, StopReason.ROUNDS, {"score": 11, "seed": 2}
    )
    assert found.missing == missing


@given(st.sets(st.integers(0, 29)), st.sets(st.integers(0, 29), min_size=1))
def test_exclusions_are_divided(excluded, own):
    """A shard is told of its own items alone, by its own rows."""
    nums = np.array(sorted(own))
    asked = np.array(sorted(excluded), np.int64)
    (rows,) = local_options(SearchOptions(), [asked], [None], nums, (5, None)).excluded

    assert nums[rows].tolist() == sorted(excluded & own)


def test_equal_filters_stay_one_array():
    """Queries with one filter share its bitmap on the way and at the shard."""
    bitmap, other = np.arange(9) % 2 == 0, np.arange(9) > 3
    nums = np.array([0, 3, 4, 8])
    none = [np.empty(0, np.int64)] * 4
    options = local_options(
        SearchOptions(deadline_s=7.0), none, [bitmap, None, other, bitmap], nums, (5, None)
    )
    call = ShardCall.of({"user": np.zeros((4, 2), np.float32)}, options, 6.0)
    there = call.options_at(4, 100.0)

    assert [None if a is None else a.tolist() for a in there.allowed] == [
        bitmap[nums].tolist(),
        None,
        other[nums].tolist(),
        bitmap[nums].tolist(),
    ]
    assert there.allowed[0] is there.allowed[3]
    assert call.n_bytes == 4 * 2 * 4 + 2
    assert there.deadline_s == pytest.approx(100.9)
