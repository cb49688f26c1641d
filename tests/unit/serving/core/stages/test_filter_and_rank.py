"""Rules and order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from serving.core.job import Found, Job, Visitor
from serving.core.pipeline import Pipeline
from serving.core.protocols import Engine
from serving.core.ranking import Profile, Ranked, best_first
from serving.core.stages.filter import Filter
from serving.core.stages.rank import Rank
from vizsla.clock import FakeClock
from vizsla.contracts.index import Mode, Query
from vizsla.contracts.rank_api import RankerInfo
from vizsla.errors import DeadlineError

NOBODY = Query(np.empty(0, np.int64))


def with_found(nums: list[int], excluded: list[int], k: int) -> Job:
    visitor = Visitor(NOBODY, np.array(sorted(excluded), np.int64))
    found = Found(np.array(nums, np.int64), -np.arange(len(nums), dtype=np.float32))
    return Job((), k, Mode.AUTO, False, 1e9, visitors=(visitor,), found=(found,))


def kept(nums: list[int], excluded: list[int], k: int) -> tuple[list[int], list[str]]:
    stage = Filter(None, None)  # type: ignore[arg-type]
    done = stage.run(with_found(nums, excluded, k), 1.0)
    return done.found[0].item_nums.tolist(), [w.code for w in done.visitors[0].warnings]


def test_excluded_items_go_and_k_stay() -> None:
    """The best k of the allowed items stay, in order."""
    assert kept([4, 2, 9, 7], [2, 5], 2) == ([4, 9], [])


def test_filtered_items_go() -> None:
    """What the request's filters do not allow is no answer either, wherever it came from."""
    job = with_found([0, 1, 2, 3], [0], 3)
    visitor = replace(job.visitors[0], allowed=np.array([True, False, True, True]))
    done = Filter(None, None).run(replace(job, visitors=(visitor,)), 1.0)  # type: ignore[arg-type]

    assert done.found[0].item_nums.tolist() == [2, 3]
    assert done.visitors[0].warnings[0].detail.endswith("; the filters allow 3 items")


def test_too_few_is_said() -> None:
    """Fewer items than asked for come with a warning."""
    assert kept([4, 2], [2], 2) == ([4], ["too_few_items"])


@given(st.lists(st.integers(0, 20), unique=True), st.sets(st.integers(0, 20)), st.integers(1, 25))
def test_never_an_excluded_item(nums: list[int], excluded: set[int], k: int) -> None:
    """Whatever was found, the answer is the first k allowed items in their order."""
    assert kept(nums, list(excluded), k)[0] == [num for num in nums if num not in excluded][:k]


class ByNumber:
    """A ranker that likes the end of the alphabet, and has time only where some is left."""

    info = RankerInfo(content_hash="0", model="made", frame="made", calibrated=False)

    def described(self, bundle: Any) -> Any:
        raise NotImplementedError

    def check(self, context: Any) -> None:
        pass

    def rank(
        self, profile: Profile, candidates: Any, remaining_s: float, explore: Any = None
    ) -> Ranked:
        if remaining_s < 0.001:
            raise DeadlineError("late")
        scores = np.array(["abcdef".index(one.item_id) for one in candidates], np.float64)
        return Ranked(scores, scores / 10)

    def values(self, pctr: Any, bids: Any) -> Any:
        return pctr * bids

    def note_changes(self, rows: Any) -> None:
        pass


def test_ranker_decides_the_order(engine: Engine, users: Any) -> None:
    """With a ranker its scores order the items."""
    stage = Rank(replace(engine, ranker=ByNumber()), users)
    done = stage.run(with_found([2, 5, 3], [], 3), 1.0)

    assert done.found[0].item_nums.tolist() == [5, 3, 2]
    assert done.found[0].scores.tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert done.ranked_by == "ranker"
    assert stage.needs_time


def test_ranker_chooses_from_more_than_were_asked_for(engine: Engine, users: Any) -> None:
    """Three were retrieved, one is wanted: the ranker's best."""
    stage = Rank(replace(engine, ranker=ByNumber()), users)
    asked = replace(with_found([2, 5, 3], [], 1), n_candidates=3)

    assert stage.run(asked, 1.0).found[0].item_nums.tolist() == [5]
    assert stage.fall_back(asked).found[0].item_nums.tolist() == [2]


def test_a_late_ranker_leaves_retrieval_order_and_says_why(engine: Engine, users: Any) -> None:
    """The reason is the deadline, not a failure, and nothing is logged."""
    failures: list[str] = []
    stage = Rank(replace(engine, ranker=ByNumber()), users)
    clock = FakeClock()
    pipeline = Pipeline([stage], clock, lambda name, _: failures.append(name))
    job = replace(with_found([2, 5, 3], [], 3), deadline_s=clock.monotonic_s() + 0.0001)
    done = pipeline.run(job)

    assert done.found[0].item_nums.tolist() == [2, 5, 3]
    assert [(one.fallback, one.reason) for one in done.degraded] == [
        ("retrieval_order", "deadline")
    ]
    assert failures == []


def test_best_first_puts_items_without_a_bid_last() -> None:
    """By value, then by score; ties as they came."""
    scores = np.array([0.1, 0.9, 0.5, 0.9])

    assert best_first(scores, [None] * 4).tolist() == [1, 3, 2, 0]
    assert best_first(scores, [2.0, None, 2.0, 3.0]).tolist() == [3, 2, 0, 1]


def test_without_ranker_retrieval_order_stands(engine: Engine, users: Any) -> None:
    """A bundle without ranker keeps the matcher's order, which is no degradation."""
    stage = Rank(engine, users)
    done = stage.run(with_found([2, 5, 3], [], 3), 1.0)

    assert done.found[0].item_nums.tolist() == [2, 5, 3]
    assert (done.ranked_by, stage.needs_time) == ("retrieval", False)
